/* Charts with one row for each thing: tests, configurations, models. Names stand to the left of the rows,
 * figures beside the marks, so that nothing has to be looked up on an axis. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/chart.h"
#include "profile/clean.h"
#include "profile/compared.h"
#include "profile/format.h"
#include "profile/json_get.h"

enum { MAX_ROWS = 16, NAME_BYTES = 160 };

struct row {
    char name[NAME_BYTES], note[NAME_BYTES];
    double value, low, high;    /* NaN: none */
    double value2, low2, high2; /* a second figure */
    uint32_t color;
    bool bold;
};
struct rows {
    struct row items[MAX_ROWS];
    int n;
    size_t more;
};

static struct row *add_row(struct rows *rows, const json_t *item, const char *name_path)
{
    if (rows->n == MAX_ROWS) {
        rows->more++;
        return NULL;
    }
    struct row *row = &rows->items[rows->n++];
    *row = (struct row){.value = NAN, .low = NAN, .high = NAN, .value2 = NAN, .low2 = NAN, .high2 = NAN};
    struct buffer name = {0};
    clean_line(&name, json_get_text(item, name_path, "-"), 38);
    snprintf(row->name, sizeof row->name, "%s", name.data ? name.data : "-");
    buffer_free(&name);
    return row;
}

static double row_height(const struct rows *rows, const struct canvas *canvas, double reserved)
{
    double h = (canvas->h - reserved) / (rows->n + (rows->more ? 1 : 0));
    return h > 30 ? 30 : h;
}

static void draw_more(const struct rows *rows, const struct canvas *canvas, double y)
{
    char text[64];
    if (!rows->more)
        return;
    snprintf(text, sizeof text, "and %zu more", rows->more);
    draw_text(canvas, &(struct draw_style){.size = 8, .color = canvas->theme->muted}, canvas->x, y, text);
}

static void draw_name(const struct canvas *canvas, const struct row *row, double y, double width)
{
    draw_text_fit(canvas, &(struct draw_style){.size = 8.5, .bold = row->bold, .color = canvas->theme->ink},
                  canvas->x, y + 3, width, row->name);
}

/* Width of the widest name, at most `limit`. */
static double name_width(const struct rows *rows, const struct canvas *canvas, double limit)
{
    double widest = 0;
    for (int i = 0; i < rows->n; i++)
        widest = fmax(widest,
                      draw_text_width(canvas, &(struct draw_style){.size = 8.5, .bold = rows->items[i].bold},
                                      rows->items[i].name));
    return fmin(widest + 2, limit);
}

/* ---- bars ---- */

static void draw_bar(const struct canvas *canvas, double x, double y, double width, double thickness,
                     double top, double value, double low, double high, uint32_t color)
{
    char number[FORMAT_MAX];
    double room = width - 40, scale = room / top, end = x + value * scale;
    draw_rectangle(canvas, x, y - thickness / 2, fmax(value * scale, 0.8), thickness, 2, color, 1);
    double label = end;
    if (high > low) {
        draw_whisker(canvas, x + low * scale, x + high * scale, y, canvas->theme->ink);
        label = fmax(label, x + high * scale);
    }
    draw_text(canvas, &(struct draw_style){.size = 8.5, .bold = true, .color = canvas->theme->ink}, label + 5,
              y + 3, format_number(number, value));
}

static double largest(const struct rows *rows, bool second)
{
    double top = 0;
    for (int i = 0; i < rows->n; i++) {
        const struct row *row = &rows->items[i];
        top = fmax(top, fmax(second ? row->value2 : row->value, second ? row->high2 : row->high));
    }
    return top;
}

static bool collect_speed(const json_t *report, struct rows *rows)
{
    static const char decode[] = "summary.decode_tokens_per_second",
                      prefill[] = "summary.prefill_tokens_per_second";
    const json_t *tests = json_get_array(report, "tests");
    for (size_t i = 0, n = json_get_count(tests, ""); i < n; i++) {
        const json_t *test = json_get_item(tests, i), *d = json_get(test, decode),
                     *p = json_get(test, prefill);
        bool pure_decode = json_get_is(test, "kind", "decode");
        double value = chart_figure(d, ""), value2 = pure_decode ? NAN : chart_figure(p, "");
        struct row *row = isnan(value) && isnan(value2) ? NULL : add_row(rows, test, "label");
        if (!row)
            continue;
        row->value = value;
        row->low = chart_figure(d, "min");
        row->high = chart_figure(d, "max");
        row->value2 = value2;
        row->low2 = pure_decode ? NAN : chart_figure(p, "min");
        row->high2 = pure_decode ? NAN : chart_figure(p, "max");
    }
    return rows->n > 0;
}

/* Bars of the first or of the second figure of all rows, in a column of their own. */
static void draw_half(const struct rows *rows, const struct canvas *canvas, bool second, double x,
                      double width, double row, const char *name)
{
    const struct chart_theme *theme = canvas->theme;
    uint32_t color = second ? theme->second : theme->accent;
    double top = largest(rows, second);
    draw_text(canvas, &(struct draw_style){.size = 8.5, .bold = true, .color = color}, x, canvas->y + 9,
              name);
    draw_line(canvas, x, canvas->y + 15, x, canvas->y + 18 + row * rows->n, 0.8, theme->grid);
    for (int i = 0; i < rows->n && top > 0; i++) {
        const struct row *r = &rows->items[i];
        double y = canvas->y + 18 + row * (i + 0.5), value = second ? r->value2 : r->value;
        if (!isnan(value))
            draw_bar(canvas, x, y, width, fmin(14, row * 0.56), top, value, second ? r->low2 : r->low,
                     second ? r->high2 : r->high, color);
    }
}

bool chart_speed(const json_t *report, const struct canvas *canvas)
{
    struct rows rows = {0};
    if (!collect_speed(report, &rows))
        return false;
    if (!canvas)
        return true;
    double row = row_height(&rows, canvas, 20), names = name_width(&rows, canvas, canvas->w * 0.34) + 8;
    double prefill = largest(&rows, true), left = canvas->x + names, room = canvas->w - names;
    double decode_width = prefill > 0 ? room * 0.52 : room;
    for (int i = 0; i < rows.n; i++)
        draw_name(canvas, &rows.items[i], canvas->y + 18 + row * (i + 0.5), names - 8);
    draw_half(&rows, canvas, false, left, decode_width - 8, row, "decode, tok/s");
    if (prefill > 0)
        draw_half(&rows, canvas, true, left + decode_width, room - decode_width, row, "prefill, tok/s");
    draw_more(&rows, canvas, canvas->y + 20 + row * (rows.n + 0.5));
    return true;
}

/* ---- compared models ---- */

static bool collect_models(const json_t *report, struct rows *rows)
{
    const json_t *models = json_get_array(report, "comparison.models");
    bool any = false;
    for (size_t i = 0, n = json_get_count(models, ""); i < n; i++) {
        const json_t *model = json_get_item(models, i);
        struct row *row = add_row(rows, model, "model");
        if (!row)
            continue;
        row->value = chart_figure(model, "tokens_per_second");
        row->low = chart_figure(model, "tokens_per_second.mean_ci95.0");
        row->high = chart_figure(model, "tokens_per_second.mean_ci95.1");
        row->value2 = chart_figure(model, "memory_bytes") / 1e9;
        row->bold = json_get_integer(model, "rank", 1, 1000, 0) == 1;
        if (isnan(row->value))
            snprintf(row->note, sizeof row->note, "%s",
                     json_get_is(model, "status", "error") ? "failed" : "not measured");
        any = any || !isnan(row->value);
    }
    return any;
}

bool chart_comparison(const json_t *report, const struct canvas *canvas)
{
    struct rows rows = {0};
    if (!collect_models(report, &rows))
        return false;
    if (!canvas)
        return true;
    const struct chart_theme *theme = canvas->theme;
    double row = row_height(&rows, canvas, 22), names = name_width(&rows, canvas, canvas->w * 0.4) + 8;
    double left = canvas->x + names, room = canvas->w - names;
    bool memory = largest(&rows, true) > 0;
    double speed_width = memory ? room * 0.55 : room;
    for (int i = 0; i < rows.n; i++) {
        double y = canvas->y + 18 + row * (i + 0.5);
        draw_name(canvas, &rows.items[i], y, names - 8);
        if (rows.items[i].note[0])
            draw_text(canvas, &(struct draw_style){.size = 8.5, .color = theme->bad}, left + 5, y + 3,
                      rows.items[i].note);
    }
    draw_half(&rows, canvas, false, left, speed_width - 10, row, "tokens per second");
    if (memory)
        draw_half(&rows, canvas, true, left + speed_width, room - speed_width, row, "memory, GB");
    draw_more(&rows, canvas, canvas->y + 20 + row * (rows.n + 0.5));
    return true;
}

/* ---- changes against the baseline ---- */

static bool collect_changes(const json_t *report, const struct chart_theme *theme, struct rows *rows)
{
    const json_t *items = json_get_array(report, "configurations");
    bool any = false;
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i);
        if (json_get_is(item, "id", "baseline"))
            continue;
        double change = chart_signed(item, "change_pct");
        struct row *row = isnan(change) ? NULL : add_row(rows, item, "label");
        if (!row)
            continue;
        row->value = change;
        row->low = chart_signed(item, "ci95.0");
        row->high = chart_signed(item, "ci95.1");
        row->bold = json_get_bool(item, "best", false);
        int verdict = compared_verdict(item);
        row->color = verdict > 0 ? theme->good : verdict < 0 ? theme->bad : theme->muted;
        const char *figure = compared_name(item); /* without its unit: "decode" */
        snprintf(row->note, sizeof row->note, "%.*s", (int)strcspn(figure, " "), figure);
        any = true;
    }
    return any;
}

enum { CHANGE_WIDTH = 42 }; /* of the figures at the right end */

/* The range of the axis: all intervals, zero and the margin; outliers of nonsense do not flatten the rest. */
static void change_range(const struct rows *rows, double *low, double *high)
{
    *low = -5;
    *high = 5;
    for (int i = 0; i < rows->n; i++) {
        const struct row *row = &rows->items[i];
        *low = fmin(*low, fmin(row->value, row->low));
        *high = fmax(*high, fmax(row->value, row->high));
    }
    *low = fmax(*low, -100);
    *high = fmin(*high, 2000);
    double pad = 0.05 * (*high - *low);
    *low -= pad;
    *high += pad;
}

static void draw_change(const struct canvas *canvas, const struct row *row, double y, double x0, double scale,
                        double low, double high, double label_x)
{
    char text[48];
    if (row->low <= row->high) {
        double from = fmin(fmax(row->low, low), high), to = fmin(fmax(row->high, low), high);
        draw_whisker(canvas, x0 + (from - low) * scale, x0 + (to - low) * scale, y, row->color);
    }
    draw_dot(canvas, x0 + (fmin(fmax(row->value, low), high) - low) * scale, y, 3.4, row->color);
    snprintf(text, sizeof text, fabs(row->value) < 9.95 ? "%+.1f %%" : "%+.0f %%", row->value);
    draw_text(canvas,
              &(struct draw_style){.size = 8.5, .bold = true, .color = row->color, .anchor = DRAW_RIGHT},
              label_x, y + 3, text);
    draw_text(canvas, &(struct draw_style){.size = 7.5, .color = canvas->theme->muted, .anchor = DRAW_RIGHT},
              label_x - CHANGE_WIDTH, y + 3, row->note);
}

bool chart_configurations(const json_t *report, const struct canvas *canvas)
{
    struct rows rows = {0};
    const struct chart_theme *theme = canvas ? canvas->theme : &chart_light;
    if (!collect_changes(report, theme, &rows))
        return false;
    if (!canvas)
        return true;
    double low, high, row = row_height(&rows, canvas, 20);
    double names = name_width(&rows, canvas, canvas->w * 0.34) + 8, values = CHANGE_WIDTH + 36;
    double x = canvas->x + names, w = canvas->w - names - values, bottom = canvas->y + row * rows.n;
    change_range(&rows, &low, &high);
    double scale = w / (high - low);
    draw_rectangle(canvas, x + (-2 - low) * scale, canvas->y, 4 * scale, bottom - canvas->y, 0, theme->grid,
                   0.7);
    struct draw_ticks ticks;
    draw_ticks(low, high, (int)fmax(3, w / 36), &ticks);
    for (int i = 0; i < ticks.n; i++) {
        char label[32], text[40];
        double at = x + (ticks.at[i] - low) * scale;
        draw_tick_label(label, ticks.at[i]);
        snprintf(text, sizeof text, "%s%s %%", ticks.at[i] > 0 ? "+" : "", label);
        draw_line(canvas, at, canvas->y, at, bottom, ticks.at[i] == 0 ? 1.2 : 0.6,
                  ticks.at[i] == 0 ? theme->muted : theme->grid);
        draw_text(canvas, &(struct draw_style){.size = 8, .color = theme->muted, .anchor = DRAW_CENTER}, at,
                  bottom + 12, text);
    }
    for (int i = 0; i < rows.n; i++) {
        double y = canvas->y + row * (i + 0.5);
        draw_name(canvas, &rows.items[i], y, names - 8);
        draw_change(canvas, &rows.items[i], y, x, scale, low, high, canvas->x + canvas->w);
    }
    draw_more(&rows, canvas, bottom + 12);
    return true;
}
