#include "profile/chart_plot.h"

#include <math.h>
#include <string.h>

void plot_init(struct plot *plot, const struct canvas *canvas)
{
    *plot = (struct plot){
        .canvas = canvas, .x = canvas->x + 34, .y = canvas->y + 14, .w = canvas->w - 44, .h = canvas->h - 42};
}

static double place(double value, double low, double high, bool logarithmic)
{
    double at =
        logarithmic ? (value > 0 ? log(value / low) / log(high / low) : 0) : (value - low) / (high - low);
    return fmin(fmax(at, 0), 1);
}

double plot_x(const struct plot *plot, double value)
{
    return plot->x + plot->w * place(value, plot->x_low, plot->x_high, plot->log_x);
}

double plot_y(const struct plot *plot, double value)
{
    return plot->y + plot->h * (1 - place(value, plot->y_low, plot->y_high, plot->log_y));
}

/* Powers of ten, and every second or third of them when they are many. */
static void decades(double low, double high, struct draw_ticks *out)
{
    int first = (int)ceil(log10(low) - 1e-9), last = (int)floor(log10(high) + 1e-9);
    int step = 1 + (last - first) / 7;
    out->n = 0;
    for (int power = first; power <= last && out->n < DRAW_MAX_TICKS; power += step)
        out->at[out->n++] = pow(10, power);
}

static void x_axis(const struct plot *plot, const char *name)
{
    const struct chart_theme *theme = plot->canvas->theme;
    struct draw_ticks ticks;
    double bottom = plot->y + plot->h;
    if (plot->log_x)
        decades(plot->x_low, plot->x_high, &ticks);
    else
        draw_ticks(plot->x_low, plot->x_high, 6, &ticks);
    for (int i = 0; i < ticks.n; i++) {
        char label[32];
        double x = plot_x(plot, ticks.at[i]);
        draw_tick_label(label, ticks.at[i]);
        if (plot->log_x)
            draw_line(plot->canvas, x, plot->y, x, bottom, 0.6, theme->grid);
        draw_line(plot->canvas, x, bottom, x, bottom + 3, 0.8, theme->muted);
        draw_text(plot->canvas, &(struct draw_style){.size = 8, .color = theme->muted, .anchor = DRAW_CENTER},
                  x, bottom + 12, label);
    }
    draw_text(plot->canvas, &(struct draw_style){.size = 8.5, .color = theme->muted, .anchor = DRAW_CENTER},
              plot->x + plot->w / 2, bottom + 25, name);
}

void plot_axes(const struct plot *plot, const char *x_name, const char *y_name)
{
    const struct chart_theme *theme = plot->canvas->theme;
    struct draw_ticks ticks;
    if (plot->log_y)
        decades(plot->y_low, plot->y_high, &ticks);
    else
        draw_ticks(plot->y_low, plot->y_high, 5, &ticks);
    for (int i = 0; i < ticks.n; i++) {
        char label[32];
        double y = plot_y(plot, ticks.at[i]);
        draw_tick_label(label, ticks.at[i]);
        draw_line(plot->canvas, plot->x, y, plot->x + plot->w, y, 0.6, theme->grid);
        draw_text(plot->canvas, &(struct draw_style){.size = 8, .color = theme->muted, .anchor = DRAW_RIGHT},
                  plot->x - 5, y + 3, label);
    }
    draw_text(plot->canvas, &(struct draw_style){.size = 8.5, .color = theme->muted}, plot->canvas->x,
              plot->y - 6, y_name);
    x_axis(plot, x_name);
    draw_line(plot->canvas, plot->x, plot->y + plot->h, plot->x + plot->w, plot->y + plot->h, 1,
              theme->muted);
}
