/* The charts of a report, drawn with the same calls onto any cairo surface: PNG, SVG, a page of the PDF.
 * A chart without data does not exist. Figures that are absurd (negative, beyond 1e12) are not drawn.
 */
#ifndef LLMIND_PROFILE_CHART_H
#define LLMIND_PROFILE_CHART_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "profile/chart_draw.h"

/* In the order they are shown. */
enum chart {
    CHART_COMPARISON,     /* compared models */
    CHART_SPEED,          /* decode and prefill by test, with spread */
    CHART_CONFIGURATIONS, /* change against the baseline, with its 95 % interval */
    CHART_DEPTH,          /* time per token against depth, with the two-term line */
    CHART_ROOFLINE,       /* operations under the ceilings of the machine */
    CHART_ITL,            /* distribution of the gaps between tokens */
    CHART_SCALING,        /* tokens per second against concurrency */
    CHART_TIMELINE,       /* sensors over the run, with its phases */
    CHARTS
};

enum { CHART_WIDTH = 460, CHART_HEIGHT = 270 }; /* what they are designed for */

/* Which charts this report has data for; returns how many. */
size_t chart_list(const json_t *report, enum chart out[CHARTS]);
const char *chart_title(enum chart chart);
/* What it shows and how to read it, in a sentence. */
const char *chart_caption(enum chart chart);
/* Draws title, caption and chart into the canvas; false: there is no data, and nothing was drawn. */
bool chart_draw(const json_t *report, enum chart chart, const struct canvas *canvas);

/* All charts on one sheet; it says so when there are none. ERROR_INTERNAL: cairo, with its words. */
int chart_png(const json_t *report, struct buffer *out, struct error *error); /* two pixels a point */
int chart_svg(const json_t *report, struct buffer *out, struct error *error);
/* One chart as an <svg> element without XML declaration, to stand inside of HTML: all its ids begin with
 * `prefix` (letters and digits). */
int chart_svg_element(const json_t *report, enum chart chart, const struct chart_theme *theme, double width,
                      double height, const char *prefix, struct buffer *out, struct error *error);

/* ---- for the files of the charts ---- */

/* The number at path when it can be drawn, else NaN. Of a "stats" its median. */
double chart_figure(const json_t *json, const char *path);
double chart_signed(const json_t *json, const char *path);

/* Each: whether there is data; drawn when canvas is not NULL. The canvas is what is left below the title. */
bool chart_comparison(const json_t *report, const struct canvas *canvas);
bool chart_speed(const json_t *report, const struct canvas *canvas);
bool chart_configurations(const json_t *report, const struct canvas *canvas);
bool chart_depth(const json_t *report, const struct canvas *canvas);
bool chart_roofline(const json_t *report, const struct canvas *canvas);
bool chart_itl(const json_t *report, const struct canvas *canvas);
bool chart_scaling(const json_t *report, const struct canvas *canvas);
bool chart_timeline(const json_t *report, const struct canvas *canvas);

#endif
