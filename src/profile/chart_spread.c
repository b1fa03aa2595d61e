/* Two charts of many small things: the gaps between tokens, and the operations of a step under the roofline
 * (Williams, Waterman and Patterson, "Roofline", CACM 2009). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/chart.h"
#include "profile/chart_plot.h"
#include "profile/clean.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/stats.h"

/* ---- gaps between tokens ---- */

enum { MAX_GAPS = 20000, MIN_GAPS = 20, BINS = 48 };

static size_t collect_gaps(const json_t *test, double *out)
{
    size_t n = 0;
    const json_t *samples = json_get_array(test, "samples");
    for (size_t i = 0, n_samples = json_get_count(samples, ""); i < n_samples; i++) {
        const json_t *sample = json_get_item(samples, i), *gaps = json_get(sample, "itl_ms");
        if (!json_get_is(sample, "outcome", "ok"))
            continue;
        for (size_t k = 0, m = json_get_count(gaps, ""); k < m && n < MAX_GAPS; k++) {
            double gap = chart_figure(json_get_item(gaps, k), "");
            if (!isnan(gap))
                out[n++] = gap;
        }
    }
    return n;
}

/* The test whose gaps are shown: decoding at the least depth; without one, the first prompt. */
static const json_t *gaps_test(const json_t *report, double *gaps, size_t *n)
{
    const json_t *tests = json_get_array(report, "tests"), *best = NULL;
    double best_depth = INFINITY;
    for (size_t i = 0, count = json_get_count(tests, ""); i < count; i++) {
        const json_t *test = json_get_item(tests, i);
        double depth = json_get_is(test, "kind", "decode") ? chart_figure(test, "depth") : 1e12;
        if (depth < best_depth && collect_gaps(test, gaps) >= MIN_GAPS) {
            best = test;
            best_depth = depth;
        }
    }
    *n = best ? collect_gaps(best, gaps) : 0;
    stats_sort(gaps, *n);
    return best;
}

static void mark_percentile(const struct plot *plot, const double *gaps, size_t n, double p, int row)
{
    const struct chart_theme *theme = plot->canvas->theme;
    char text[64], number[FORMAT_MAX];
    double value = stats_percentile(gaps, n, p), x = plot_x(plot, value);
    snprintf(text, sizeof text, "p%.0f %s", p, format_ms(number, value));
    struct draw_style style = {.size = 8.5, .bold = true, .color = theme->ink};
    double width = draw_text_width(plot->canvas, &style, text), y = plot->y + 8 + 12 * row;
    if (x + 4 + width > plot->x + plot->w) {
        style.anchor = DRAW_RIGHT;
        x -= 8;
    }
    draw_text(plot->canvas, &style, x + 4, y, text);
    x = plot_x(plot, value);
    draw_dashed(plot->canvas, x, y - 8, x, plot->y + plot->h, 1, theme->ink);
}

static void draw_gaps(const struct canvas *canvas, const json_t *test, const double *gaps, size_t n)
{
    const struct chart_theme *theme = canvas->theme;
    struct plot plot;
    double bins[BINS] = {0}, top = 0, p99 = stats_percentile(gaps, n, 99);
    plot_init(&plot, canvas);
    plot.x_low = fmax(0, gaps[0] - 0.1 * (p99 - gaps[0]));
    plot.x_high = fmax(p99 + 0.25 * (p99 - plot.x_low), plot.x_low + 1e-3);
    for (size_t i = 0; i < n; i++) {
        double at = (gaps[i] - plot.x_low) / (plot.x_high - plot.x_low) * BINS;
        if (at >= 0 && at < BINS)
            bins[(int)at] += 100.0 / (double)n;
    }
    for (int i = 0; i < BINS; i++)
        top = fmax(top, bins[i]);
    plot.y_high = fmax(top * 1.3, 1e-3);
    plot_axes(&plot, "gap between tokens, ms", "% of gaps");
    double width = plot.w / BINS;
    for (int i = 0; i < BINS; i++) {
        double y = plot_y(&plot, bins[i]);
        draw_rectangle(canvas, plot.x + i * width + 0.4, y, width - 0.8, plot.y + plot.h - y, 1,
                       theme->accent, 0.85);
    }
    mark_percentile(&plot, gaps, n, 50, 0);
    mark_percentile(&plot, gaps, n, 90, 1);
    if (n >= 100)
        mark_percentile(&plot, gaps, n, 99, 2);
    char label[128], number[FORMAT_MAX];
    struct buffer name = {0};
    clean_line(&name, json_get_text(test, "label", "-"), 30);
    snprintf(label, sizeof label, "%s · %zu gaps · longest %s", name.data ? name.data : "-", n,
             format_ms(number, gaps[n - 1]));
    buffer_free(&name);
    draw_text_fit(canvas, &(struct draw_style){.size = 8, .color = theme->muted, .anchor = DRAW_RIGHT},
                  plot.x + plot.w, plot.y - 6, plot.w * 0.75, label);
}

bool chart_itl(const json_t *report, const struct canvas *canvas)
{
    double *gaps = calloc(MAX_GAPS, sizeof *gaps);
    size_t n = 0;
    const json_t *test = gaps ? gaps_test(report, gaps, &n) : NULL;
    if (test && canvas)
        draw_gaps(canvas, test, gaps, n);
    free(gaps);
    return test != NULL;
}

/* ---- roofline ---- */

enum { MAX_OPERATIONS = 40, MAX_LABELS = 5 };

struct operation {
    char name[96];
    double intensity, gflops, share;
};
struct roofline {
    struct operation items[MAX_OPERATIONS];
    int n;
    double bandwidth, peak; /* GB/s, GFLOP/s: what the operations are held against */
    const char *bandwidth_name, *peak_name;
    double cache, int8; /* the other ceilings, where they are higher; NaN: unknown */
};

/* Which of two measured ceilings a figure is. */
static const char *nearest(double value, double a, const char *name_a, double b, const char *name_b)
{
    return isnan(b) || fabs(value - a) <= fabs(value - b) ? name_a : name_b;
}

static int by_share(const void *a, const void *b)
{
    double left = ((const struct operation *)a)->share, right = ((const struct operation *)b)->share;
    return left > right ? -1 : left < right;
}

static bool collect_roofline(const json_t *report, struct roofline *roof)
{
    const json_t *items = json_get_array(report, "analysis.roofline.operations");
    double memory = chart_figure(report, "ceilings.memory_read.value"),
           f32 = chart_figure(report, "ceilings.f32.value");
    roof->bandwidth = chart_figure(report, "analysis.roofline.read_gbps");
    roof->peak = chart_figure(report, "analysis.roofline.peak_gflops");
    roof->cache = chart_figure(report, "ceilings.cache_read.value");
    roof->int8 = chart_figure(report, "ceilings.int8.value");
    if (isnan(roof->bandwidth))
        roof->bandwidth = memory;
    if (isnan(roof->peak))
        roof->peak = f32;
    roof->bandwidth_name = nearest(roof->bandwidth, memory, "memory", roof->cache, "cache");
    roof->peak_name = nearest(roof->peak, f32, "f32", roof->int8, "int8");
    for (size_t i = 0, n = json_get_count(items, ""); i < n && roof->n < MAX_OPERATIONS; i++) {
        const json_t *item = json_get_item(items, i);
        double gbps = chart_figure(item, "gbps"), gflops = chart_figure(item, "gflops");
        if (!(gbps > 1e-9) || !(gflops > 1e-9) || !json_get_string(item, "bound"))
            continue; /* also what was refused as faster than its ceilings */
        struct operation *operation = &roof->items[roof->n++];
        struct buffer name = {0};
        const char *full = json_get_text(item, "name", "-"), *layers = "layers.*.";
        clean_line(&name, full + (strncmp(full, layers, strlen(layers)) == 0 ? strlen(layers) : 0), 24);
        snprintf(operation->name, sizeof operation->name, "%s", name.data ? name.data : "-");
        buffer_free(&name);
        operation->intensity = gflops / gbps;
        operation->gflops = gflops;
        operation->share = fmin(fmax(chart_figure(item, "share"), 0), 1);
    }
    qsort(roof->items, (size_t)roof->n, sizeof roof->items[0], by_share);
    return roof->n > 0 && roof->bandwidth > 0 && roof->peak > 0;
}

static void roofline_range(const struct roofline *roof, struct plot *plot)
{
    double ridge = roof->peak / roof->bandwidth, x0 = ridge / 30, x1 = ridge * 6, y0 = INFINITY, y1 = 0;
    for (int i = 0; i < roof->n; i++) {
        x0 = fmin(x0, roof->items[i].intensity / 2);
        x1 = fmax(x1, roof->items[i].intensity * 2);
        y0 = fmin(y0, roof->items[i].gflops / 2);
        y1 = fmax(y1, roof->items[i].gflops);
    }
    double top = fmax(fmax(roof->peak, roof->int8), fmin(y1, 100 * roof->peak)) * 2;
    plot->log_x = plot->log_y = true;
    plot->x_low = fmin(fmax(x0, ridge / 1e4), x1 / 10);
    plot->x_high = fmin(x1, ridge * 1e4);
    plot->y_low = fmin(fmax(fmin(y0, plot->x_low * roof->bandwidth), top / 1e5), top / 100);
    plot->y_high = top;
}

/* A slanted ceiling up to `peak`, with its name along it. */
static void draw_bandwidth(const struct plot *plot, double gbps, double peak, const char *what,
                           uint32_t color, bool dashed)
{
    char text[64], number[FORMAT_MAX];
    double from = fmax(plot->x_low, plot->y_low / gbps), to = peak / gbps;
    if (!(to > from))
        return;
    double x0 = plot_x(plot, from), y0 = plot_y(plot, from * gbps), x1 = plot_x(plot, to),
           y1 = plot_y(plot, to * gbps);
    (dashed ? draw_dashed : draw_line)(plot->canvas, x0, y0, x1, y1, dashed ? 1.1 : 1.8, color);
    snprintf(text, sizeof text, "%s %s GB/s", what, format_number(number, gbps));
    struct draw_style style = {.size = 8, .color = color};
    double length = hypot(x1 - x0, y1 - y0), width = draw_text_width(plot->canvas, &style, text);
    if (length < width + 12) {
        draw_text(plot->canvas, &style, x0 + 2, fmax(y1, plot->y + 8) - 5, text);
        return;
    }
    cairo_t *cr = plot->canvas->cr;
    cairo_save(cr);
    cairo_translate(cr, x0, y0);
    cairo_rotate(cr, atan2(y1 - y0, x1 - x0));
    draw_text(plot->canvas, &style, fmax(6, (length - width) * 0.3), -4, text);
    cairo_restore(cr);
}

static void draw_peak(const struct plot *plot, double gflops, double gbps, const char *what, uint32_t color,
                      bool dashed)
{
    char text[64], number[FORMAT_MAX];
    double y = plot_y(plot, gflops), x0 = plot_x(plot, gflops / gbps);
    (dashed ? draw_dashed : draw_line)(plot->canvas, x0, y, plot->x + plot->w, y, dashed ? 1.1 : 1.8, color);
    snprintf(text, sizeof text, "%s %s", what, format_number(number, gflops));
    draw_text(plot->canvas, &(struct draw_style){.size = 8, .color = color, .anchor = DRAW_RIGHT},
              plot->x + plot->w - 2, dashed ? y - 4 : y + 10, text);
}

/* Names of the largest operations beside their dots, moved down where they would lie on each other. */
static void draw_operations(const struct plot *plot, const struct roofline *roof)
{
    const struct chart_theme *theme = plot->canvas->theme;
    double taken[MAX_LABELS];
    for (int i = roof->n - 1; i >= 0; i--) {
        const struct operation *operation = &roof->items[i];
        draw_dot(plot->canvas, plot_x(plot, operation->intensity), plot_y(plot, operation->gflops),
                 2.2 + 7 * sqrt(operation->share), theme->accent);
    }
    for (int i = 0; i < roof->n && i < MAX_LABELS; i++) {
        const struct operation *operation = &roof->items[i];
        char text[128], percent[FORMAT_MAX];
        double x = plot_x(plot, operation->intensity), y = plot_y(plot, operation->gflops) + 3;
        for (int tries = 0; tries < MAX_LABELS; tries++)
            for (int k = 0; k < i; k++)
                if (fabs(taken[k] - y) < 10)
                    y = taken[k] + 10;
        taken[i] = y;
        snprintf(text, sizeof text, "%s %s", operation->name, format_percent(percent, operation->share));
        draw_text_fit(plot->canvas, &(struct draw_style){.size = 8, .color = theme->ink},
                      x + 6 + 7 * sqrt(operation->share), y, plot->x + plot->w - x - 14, text);
    }
}

bool chart_roofline(const json_t *report, const struct canvas *canvas)
{
    struct roofline roof = {0};
    if (!collect_roofline(report, &roof))
        return false;
    if (!canvas)
        return true;
    const struct chart_theme *theme = canvas->theme;
    struct plot plot;
    plot_init(&plot, canvas);
    roofline_range(&roof, &plot);
    plot_axes(&plot, "operations per byte read", "GFLOP/s");
    double widest = fmax(roof.bandwidth, roof.cache);
    if (roof.cache > 1.2 * roof.bandwidth)
        draw_bandwidth(&plot, roof.cache, roof.peak, "cache", theme->muted, true);
    draw_bandwidth(&plot, roof.bandwidth, roof.peak, roof.bandwidth_name, theme->second, false);
    draw_peak(&plot, roof.peak, widest, roof.peak_name, theme->second, false);
    if (roof.int8 > 1.2 * roof.peak)
        draw_peak(&plot, roof.int8, widest, "int8", theme->muted, true);
    draw_operations(&plot, &roof);
    return true;
}
