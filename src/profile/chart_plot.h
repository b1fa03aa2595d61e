/* Two axes, linear or logarithmic, and where a figure lies between them. */
#ifndef LLMIND_PROFILE_CHART_PLOT_H
#define LLMIND_PROFILE_CHART_PLOT_H

#include "profile/chart_draw.h"

struct plot {
    const struct canvas *canvas;
    double x, y, w, h;                   /* the inside; plot_init leaves room for the labels of the axes */
    double x_low, x_high, y_low, y_high; /* low < high; positive where logarithmic */
    bool log_x, log_y;
};

/* Takes the whole canvas. Ranges are set by the caller before anything is drawn. */
void plot_init(struct plot *plot, const struct canvas *canvas);
double plot_x(const struct plot *plot, double value); /* clamped to the inside */
double plot_y(const struct plot *plot, double value);
/* Grid, ticks and the names of the axes: y_name above the axis, x_name below. */
void plot_axes(const struct plot *plot, const char *x_name, const char *y_name);

#endif
