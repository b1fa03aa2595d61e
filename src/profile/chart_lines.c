/* Charts of one figure against another: time per token against depth, throughput against concurrency. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/chart.h"
#include "profile/chart_plot.h"
#include "profile/compared.h"
#include "profile/format.h"
#include "profile/json_get.h"

enum { MAX_POINTS = 32 };

struct point {
    double x, y, low, high;
    double bytes; /* DEPTH: read per token; NaN unknown */
};
struct points {
    struct point items[MAX_POINTS];
    int n;
};

static int by_x(const void *a, const void *b)
{
    double left = ((const struct point *)a)->x, right = ((const struct point *)b)->x;
    return left < right ? -1 : left > right;
}

static void sort_points(struct points *points)
{
    qsort(points->items, (size_t)points->n, sizeof points->items[0], by_x);
}

static double highest(const struct points *points)
{
    double top = 0;
    for (int i = 0; i < points->n; i++)
        top = fmax(top, fmax(points->items[i].y, points->items[i].high));
    return top;
}

/* ---- depth ---- */

static void collect_depths(const json_t *report, struct points *points)
{
    const json_t *tests = json_get_array(report, "tests");
    for (size_t i = 0, n = json_get_count(tests, ""); i < n && points->n < MAX_POINTS; i++) {
        const json_t *test = json_get_item(tests, i), *tpot = json_get(test, "summary.tpot_ms");
        double depth = chart_figure(test, "depth"), y = chart_figure(tpot, "");
        if (!json_get_is(test, "kind", "decode") || isnan(depth) || !(y > 0))
            continue;
        points->items[points->n++] = (struct point){
            .x = depth,
            .y = y,
            .low = chart_figure(tpot, "min"),
            .high = chart_figure(tpot, "max"),
            .bytes = chart_figure(test, "roofline.weight_bytes_per_token") +
                     chart_figure(test, "roofline.kv_bytes_per_token"),
        };
    }
    sort_points(points);
}

/* The line TPOT = bytes / bandwidth + fixed through the depths, and the fixed part as a band below it. */
static void draw_two_term(const json_t *report, const struct plot *plot, const struct points *points)
{
    const struct canvas *canvas = plot->canvas;
    const struct chart_theme *theme = canvas->theme;
    double bandwidth = chart_figure(report, "analysis.two_term.bandwidth_gbps"),
           fixed = chart_signed(report, "analysis.two_term.fixed_ms");
    const struct point *first = &points->items[0], *last = &points->items[points->n - 1];
    if (!(bandwidth > 0) || isnan(fixed) || isnan(first->bytes + last->bytes) || points->n < 2)
        return;
    char text[96];
    if (fixed > 0) {
        double y = plot_y(plot, fixed);
        draw_rectangle(canvas, plot->x, y, plot->w, plot->y + plot->h - y, 0, theme->soft, 0.8);
        snprintf(text, sizeof text, "fixed: %.3g ms a token", fixed);
        double base = plot->y + plot->h - y >= 11 ? plot->y + plot->h - 3.5 : y - 3.5;
        draw_text(canvas, &(struct draw_style){.size = 8, .color = theme->accent}, plot->x + 5, base, text);
    }
    double y0 = fixed + first->bytes / (bandwidth * 1e6), y1 = fixed + last->bytes / (bandwidth * 1e6);
    draw_line(canvas, plot_x(plot, first->x), plot_y(plot, y0), plot_x(plot, last->x), plot_y(plot, y1), 1.6,
              theme->second);
    snprintf(text, sizeof text, "bytes / %.3g GB/s + %.3g ms", bandwidth, fixed);
    double middle = (first->x + last->x) / 2;
    draw_text(canvas, &(struct draw_style){.size = 8.5, .color = theme->second, .anchor = DRAW_CENTER},
              plot_x(plot, middle), plot_y(plot, (y0 + y1) / 2) + 16, text);
}

bool chart_depth(const json_t *report, const struct canvas *canvas)
{
    struct points points = {0};
    collect_depths(report, &points);
    if (points.n < 2 || points.items[points.n - 1].x <= points.items[0].x)
        return false;
    if (!canvas)
        return true;
    struct plot plot;
    plot_init(&plot, canvas);
    plot.x_low = 0;
    plot.x_high = points.items[points.n - 1].x * 1.04;
    plot.y_high = highest(&points) * 1.18;
    plot_axes(&plot, "depth: tokens of context before the step", "ms per token");
    draw_two_term(report, &plot, &points);
    for (int i = 0; i < points.n; i++) {
        const struct point *point = &points.items[i];
        double x = plot_x(&plot, point->x), y = plot_y(&plot, point->y);
        char label[48], number[FORMAT_MAX];
        if (point->low <= point->high)
            draw_whisker_upright(canvas, x, plot_y(&plot, point->low), plot_y(&plot, point->high),
                                 canvas->theme->ink);
        draw_dot(canvas, x, y, 3.4, canvas->theme->accent);
        snprintf(label, sizeof label, "%s ms", format_number(number, point->y));
        enum draw_anchor anchor = i == 0 ? DRAW_LEFT : i + 1 == points.n ? DRAW_RIGHT : DRAW_CENTER;
        if (points.n <= 6)
            draw_text(canvas,
                      &(struct draw_style){
                          .size = 8.5, .bold = true, .color = canvas->theme->ink, .anchor = anchor},
                      x, fmin(y, plot_y(&plot, point->high)) - 8, label);
    }
    return true;
}

/* ---- concurrency ---- */

/* One request at a time is what each of the others was measured in turn with: the middle of those. */
static void collect_single(const json_t *stats, struct point *single)
{
    double y = chart_figure(stats, ""), low = chart_figure(stats, "min"), high = chart_figure(stats, "max");
    if (!(y > 0))
        return;
    single->x += 1; /* how many */
    single->y += y;
    single->low = fmin(single->low, low);
    single->high = fmax(single->high, high);
}

static void collect_scaling(const json_t *report, struct points *points)
{
    const json_t *items = json_get_array(report, "configurations");
    struct point single = {.low = NAN, .high = NAN, .bytes = NAN};
    for (size_t i = 0, n = json_get_count(items, ""); i < n && points->n < MAX_POINTS - 1; i++) {
        const json_t *item = json_get_item(items, i), *stats = compared_value(item);
        double at = chart_figure(item, "knobs.concurrency"), y = chart_figure(stats, "");
        if (!(at > 1 && at <= 4096) || !(y > 0))
            continue;
        collect_single(compared_baseline(report, item), &single);
        points->items[points->n++] =
            (struct point){at, y, chart_figure(stats, "min"), chart_figure(stats, "max"), NAN};
    }
    if (single.x > 0) {
        single.y /= single.x;
        single.x = 1;
        points->items[points->n++] = single;
    }
    sort_points(points);
}

bool chart_scaling(const json_t *report, const struct canvas *canvas)
{
    struct points points = {0};
    collect_scaling(report, &points);
    if (points.n < 2 || points.items[points.n - 1].x <= points.items[0].x)
        return false;
    if (!canvas)
        return true;
    const struct chart_theme *theme = canvas->theme;
    const struct point *first = &points.items[0], *last = &points.items[points.n - 1];
    struct plot plot;
    plot_init(&plot, canvas);
    plot.x_high = last->x * 1.06;
    plot.y_high = highest(&points) * 1.25;
    plot_axes(&plot, "requests at once", "tokens per second, all together");
    /* what it would be if each request cost nothing more */
    double ideal = fmin(last->x, plot.y_high * first->x / first->y);
    draw_dashed(canvas, plot_x(&plot, first->x), plot_y(&plot, first->y), plot_x(&plot, ideal),
                plot_y(&plot, first->y * ideal / first->x), 1.2, theme->muted);
    draw_text(canvas, &(struct draw_style){.size = 8.5, .color = theme->muted}, plot_x(&plot, ideal) + 6,
              plot_y(&plot, first->y * ideal / first->x) + 10, "in proportion");
    for (int i = 1; i < points.n; i++)
        draw_line(canvas, plot_x(&plot, points.items[i - 1].x), plot_y(&plot, points.items[i - 1].y),
                  plot_x(&plot, points.items[i].x), plot_y(&plot, points.items[i].y), 1.8, theme->accent);
    for (int i = 0; i < points.n; i++) {
        const struct point *point = &points.items[i];
        double x = plot_x(&plot, point->x), y = plot_y(&plot, point->y);
        char number[FORMAT_MAX];
        if (point->low <= point->high)
            draw_whisker_upright(canvas, x, plot_y(&plot, point->low), plot_y(&plot, point->high),
                                 theme->ink);
        draw_dot(canvas, x, y, 3.4, theme->accent);
        if (points.n <= 8)
            draw_text(canvas,
                      &(struct draw_style){.size = 8.5,
                                           .bold = true,
                                           .color = theme->ink,
                                           .anchor = i + 1 == points.n ? DRAW_RIGHT : DRAW_LEFT},
                      x + (i + 1 == points.n ? -2 : 3), y + 15, format_number(number, point->y));
    }
    return true;
}
