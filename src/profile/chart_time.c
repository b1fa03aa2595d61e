/* The run over time: a strip for each of the sensors that tell most, one below the other, over the phases of
 * the run. Long series are drawn as means over columns, with the range in them as a band. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/chart.h"
#include "profile/clean.h"
#include "profile/format.h"
#include "profile/json_get.h"

enum { MAX_STRIPS = 4, COLUMNS = 240, MAX_PHASES = 400 };

struct strip {
    const json_t *series;
    const char *name, *unit;
    double scale;     /* figure * scale is in `unit` */
    double low, high; /* of the axis */
};
struct timeline {
    struct strip strips[MAX_STRIPS];
    int n;
    const json_t *times;
    double seconds; /* the end of the axis */
};

/* What is shown, most telling first. `at_least`: a series that never gets so high is left out. */
static const struct candidate {
    const char *id, *name, *unit;
    double scale, at_least;
    bool from_zero;
    double top; /* of the axis; 0: by the data */
} CANDIDATES[] = {
    {"gpu_0_busy", "GPU busy", "%", 100, 0, true, 100},
    {"cpu_busy", "CPU busy", "%", 100, 0, true, 100},
    {"throttled_fraction", "throttled", "%", 100, 0.01, true, 100},
    {"steal", "withheld", "%", 100, 0.05, true, 100},
    {"footprint_bytes", "memory", "MB", 1e-6, 0, true, 0},
    {"cpu_mhz", "frequency", "MHz", 1, 0, false, 0},
    {"cpu_temperature_c", "temperature", "°C", 1, 0, false, 0},
    {"cpu_power_w", "power", "W", 1, 0, true, 0},
    {"gpu_0_power_w", "GPU power", "W", 1, 0, true, 0},
    {"process_cores", "CPU of the process", "cores", 1, 0, true, 0},
};

/* The range of what will be drawn; false: nothing. */
static bool measure(const json_t *series, double scale, double *low, double *high)
{
    const json_t *values = json_get_array(series, "values");
    size_t known = 0;
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0, n = json_get_count(values, ""); i < n; i++) {
        double value = chart_signed(json_get_item(values, i), "") * scale;
        if (isnan(value))
            continue;
        known++;
        *low = fmin(*low, value);
        *high = fmax(*high, value);
    }
    return known >= 2;
}

static void add_strip(struct timeline *timeline, const json_t *series, const struct candidate *candidate)
{
    double low, high;
    if (!measure(series, candidate->scale, &low, &high) || high < candidate->at_least * candidate->scale)
        return;
    double pad = fmax(0.15 * (high - low), 0.04 * fabs(high));
    struct strip *strip = &timeline->strips[timeline->n++];
    *strip =
        (struct strip){series, candidate->name, candidate->unit, candidate->scale, low - pad, high + pad};
    if (candidate->from_zero)
        strip->low = fmin(0, low);
    if (candidate->top > 0)
        strip->high = fmax(candidate->top, high);
    if (strip->high <= strip->low)
        strip->high = strip->low + 1;
    if (strcmp(candidate->unit, "MB") == 0 && strip->high > 2000) {
        strip->unit = "GB";
        strip->scale /= 1000;
        strip->low /= 1000;
        strip->high /= 1000;
    }
}

static bool collect(const json_t *report, struct timeline *timeline)
{
    timeline->times = json_get_array(report, "sensors.t_s");
    size_t n = json_get_count(timeline->times, "");
    if (n < 2)
        return false;
    timeline->seconds = chart_figure(json_get_item(timeline->times, n - 1), "");
    if (!(timeline->seconds > 0))
        return false;
    for (size_t i = 0; i < sizeof CANDIDATES / sizeof *CANDIDATES && timeline->n < MAX_STRIPS; i++) {
        const json_t *series = json_get_where(report, "sensors.series", "id", CANDIDATES[i].id);
        if (series)
            add_strip(timeline, series, &CANDIDATES[i]);
    }
    return timeline->n > 0;
}

/* ---- drawing ---- */

struct column {
    double sum, low, high;
    int n;
};

static void fill_columns(const struct timeline *timeline, const struct strip *strip,
                         struct column columns[COLUMNS])
{
    const json_t *values = json_get_array(strip->series, "values");
    for (size_t i = 0, n = json_get_count(values, ""); i < n; i++) {
        double value = chart_signed(json_get_item(values, i), "") * strip->scale,
               t = chart_figure(json_get_item(timeline->times, i), "");
        if (isnan(value) || isnan(t) || t > timeline->seconds)
            continue;
        int at = (int)(t / timeline->seconds * (COLUMNS - 1));
        struct column *column = &columns[at];
        column->low = column->n ? fmin(column->low, value) : value;
        column->high = column->n ? fmax(column->high, value) : value;
        column->sum += value;
        column->n++;
    }
}

static double strip_y(const struct strip *strip, double y, double h, double value)
{
    double at = (value - strip->low) / (strip->high - strip->low);
    return y + h * (1 - fmin(fmax(at, 0), 1));
}

/* The range of each column as a light band, its mean as a line; broken where nothing was read. */
static void draw_series(const struct canvas *canvas, const struct strip *strip, const struct column *columns,
                        double x, double y, double w, double h, uint32_t color)
{
    cairo_t *cr = canvas->cr;
    bool begun = false;
    int last = 0, reach = COLUMNS / 40; /* thin series leave columns empty: so many are bridged */
    for (int i = 0; i < COLUMNS; i++) {
        double top = strip_y(strip, y, h, columns[i].high), bottom = strip_y(strip, y, h, columns[i].low);
        if (columns[i].n > 1)
            cairo_rectangle(cr, x + w * i / COLUMNS, top, w / COLUMNS, fmax(bottom - top, 0.3));
    }
    draw_color(canvas, color, 0.22);
    cairo_fill(cr);
    cairo_new_path(cr);
    for (int i = 0; i < COLUMNS; i++) {
        if (columns[i].n == 0)
            continue;
        double px = x + w * (i + 0.5) / COLUMNS, py = strip_y(strip, y, h, columns[i].sum / columns[i].n);
        if (begun && i - last <= reach + 1)
            cairo_line_to(cr, px, py);
        else
            cairo_move_to(cr, px, py);
        begun = true;
        last = i;
    }
    draw_color(canvas, color, 1);
    cairo_set_line_width(cr, 1.3);
    cairo_stroke(cr);
}

static void draw_strip(const struct canvas *canvas, const struct timeline *timeline, int index, double x,
                       double y, double w, double h)
{
    const struct chart_theme *theme = canvas->theme;
    const struct strip *strip = &timeline->strips[index];
    const uint32_t colors[MAX_STRIPS] = {theme->accent, theme->second, theme->third, theme->fourth};
    struct column columns[COLUMNS] = {0};
    struct draw_ticks ticks;
    char text[48], mean[FORMAT_MAX];
    draw_ticks(strip->low, strip->high, 2, &ticks);
    for (int i = 0; i < ticks.n; i++) {
        double at = strip_y(strip, y, h, ticks.at[i]);
        draw_tick_label(text, ticks.at[i]);
        draw_line(canvas, x, at, x + w, at, 0.5, theme->grid);
        draw_text(canvas, &(struct draw_style){.size = 7.5, .color = theme->muted, .anchor = DRAW_RIGHT},
                  x - 4, at + 2.6, text);
    }
    fill_columns(timeline, strip, columns);
    draw_series(canvas, strip, columns, x, y, w, h, colors[index]);
    draw_text(canvas, &(struct draw_style){.size = 8.5, .bold = true, .color = colors[index]}, canvas->x,
              y + 9, strip->name);
    draw_text(canvas, &(struct draw_style){.size = 8, .color = theme->muted}, canvas->x, y + 19, strip->unit);
    double average = chart_signed(strip->series, "mean") * strip->scale;
    if (!isnan(average) && h >= 32) {
        snprintf(text, sizeof text, "mean %s", format_number(mean, average));
        draw_text(canvas, &(struct draw_style){.size = 8, .color = theme->muted}, canvas->x, y + 29, text);
    }
}

/* "decode 128 @ 0, run 2" -> "decode 128 @ 0": repeats of one test are one band. */
static void phase_name(const json_t *phase, char out[96])
{
    struct buffer name = {0};
    clean_line(&name, json_get_text(phase, "name", ""), 30);
    snprintf(out, 96, "%s", name.data ? name.data : "");
    char *run = strstr(out, ", run "), *warm_up = strstr(out, ", warm-up");
    if (run)
        *run = '\0';
    if (warm_up)
        *warm_up = '\0';
    buffer_free(&name);
}

static void draw_phases(const struct canvas *canvas, const json_t *report, const struct timeline *timeline,
                        double x, double w, double top, double bottom)
{
    const struct chart_theme *theme = canvas->theme;
    const json_t *phases = json_get_array(report, "sensors.phases");
    size_t n = json_get_count(phases, "");
    n = n < MAX_PHASES ? n : MAX_PHASES;
    bool shaded = false;
    for (size_t i = 0; i < n;) {
        char name[96], next[96];
        double from = chart_figure(json_get_item(phases, i), "start_s"), to = NAN;
        phase_name(json_get_item(phases, i), name);
        do {
            double end = chart_figure(json_get_item(phases, i), "end_s");
            to = isnan(end) ? to : fmin(end, timeline->seconds);
            if (++i < n)
                phase_name(json_get_item(phases, i), next);
        } while (i < n && strcmp(name, next) == 0);
        double x0 = x + w * from / timeline->seconds, x1 = x + w * to / timeline->seconds;
        if (!(x1 > x0))
            continue;
        shaded = !shaded;
        draw_rectangle(canvas, x0, top, x1 - x0, bottom - top, 0, theme->soft, shaded ? 0.55 : 0.25);
        struct draw_style style = {.size = 7.5, .color = theme->muted, .anchor = DRAW_CENTER};
        if (draw_text_width(canvas, &style, name) <= x1 - x0 - 2)
            draw_text(canvas, &style, (x0 + x1) / 2, top - 3, name);
    }
}

bool chart_timeline(const json_t *report, const struct canvas *canvas)
{
    struct timeline timeline = {0};
    if (!collect(report, &timeline))
        return false;
    if (!canvas)
        return true;
    const struct chart_theme *theme = canvas->theme;
    double left = 78, x = canvas->x + left, w = canvas->w - left - 4, top = canvas->y + 11,
           bottom = canvas->y + canvas->h - 26, gap = 7, h = (bottom - top + gap) / timeline.n - gap;
    draw_phases(canvas, report, &timeline, x, w, top, bottom);
    for (int i = 0; i < timeline.n; i++)
        draw_strip(canvas, &timeline, i, x, top + i * (h + gap), w, h);
    struct draw_ticks ticks;
    draw_ticks(0, timeline.seconds, 7, &ticks);
    draw_line(canvas, x, bottom, x + w, bottom, 1, theme->muted);
    for (int i = 0; i < ticks.n; i++) {
        char label[32];
        double at = x + w * ticks.at[i] / timeline.seconds;
        draw_tick_label(label, ticks.at[i]);
        draw_line(canvas, at, bottom, at, bottom + 3, 0.8, theme->muted);
        draw_text(canvas, &(struct draw_style){.size = 8, .color = theme->muted, .anchor = DRAW_CENTER}, at,
                  bottom + 12, label);
    }
    draw_text(canvas, &(struct draw_style){.size = 8.5, .color = theme->muted, .anchor = DRAW_CENTER},
              x + w / 2, bottom + 24, "seconds since the start of the run");
    return true;
}
