/* Which charts there are, and the sheet of all of them as PNG and SVG. */
#include "profile/chart.h"

#include <cairo-svg.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/clean.h"
#include "profile/json_get.h"

static const struct {
    const char *title, *caption;
    bool (*draw)(const json_t *report, const struct canvas *canvas);
    bool wide; /* takes a whole row of the sheet */
} KINDS[CHARTS] = {
    [CHART_COMPARISON] = {"Speed and memory of the models",
                          "Median, with the 95 % interval of the mean; memory at its peak", chart_comparison,
                          false},
    [CHART_SPEED] = {"Speed by test", "Median of the repeats; the line spans slowest to fastest", chart_speed,
                     false},
    [CHART_CONFIGURATIONS] = {"Configurations against the baseline",
                              "Change with its 95 % interval; grey: no real difference", chart_configurations,
                              false},
    [CHART_DEPTH] = {"Decoding against depth", "Time per token, measured, and what its bytes predict",
                     chart_depth, false},
    [CHART_ROOFLINE] = {"Roofline of one decode step",
                        "Its operations, sized by time, under measured ceilings", chart_roofline, false},
    [CHART_ITL] = {"Gaps between tokens", "How evenly tokens come", chart_itl, false},
    [CHART_SCALING] = {"Several requests at once", "Tokens per second of all together", chart_scaling, false},
    [CHART_TIMELINE] = {"The machine during the run", "Mean and range of each moment; shaded: timed runs",
                        chart_timeline, true},
};

double chart_signed(const json_t *json, const char *path)
{
    double value = json_get_figure(json, path);
    return fabs(value) <= 1e12 ? value : NAN;
}

double chart_figure(const json_t *json, const char *path)
{
    double value = chart_signed(json, path);
    return value >= 0 ? value : NAN;
}

const char *chart_title(enum chart chart)
{
    return KINDS[chart].title;
}

const char *chart_caption(enum chart chart)
{
    return KINDS[chart].caption;
}

size_t chart_list(const json_t *report, enum chart out[CHARTS])
{
    size_t n = 0;
    for (int i = 0; i < CHARTS; i++)
        if (KINDS[i].draw(report, NULL))
            out[n++] = (enum chart)i;
    return n;
}

bool chart_draw(const json_t *report, enum chart chart, const struct canvas *canvas)
{
    if (!KINDS[chart].draw(report, NULL))
        return false;
    const struct chart_theme *theme = canvas->theme;
    struct canvas inner = *canvas;
    inner.y += 38;
    inner.h -= 38;
    draw_text_fit(canvas, &(struct draw_style){.size = 11, .bold = true, .color = theme->ink}, canvas->x,
                  canvas->y + 11, canvas->w, KINDS[chart].title);
    draw_text_fit(canvas, &(struct draw_style){.size = 8.5, .color = theme->muted}, canvas->x, canvas->y + 24,
                  canvas->w, KINDS[chart].caption);
    cairo_save(canvas->cr);
    KINDS[chart].draw(report, &inner);
    cairo_restore(canvas->cr);
    return true;
}

/* ---- surfaces to bytes ---- */

static cairo_status_t append(void *out, const unsigned char *bytes, unsigned int length)
{
    buffer_append(out, bytes, length);
    return ((struct buffer *)out)->failed ? CAIRO_STATUS_NO_MEMORY : CAIRO_STATUS_SUCCESS;
}

static int failed(cairo_status_t status, struct error *error)
{
    if (status == CAIRO_STATUS_SUCCESS)
        return 0;
    if (status == CAIRO_STATUS_NO_MEMORY)
        return error_memory(error, "a chart", 0);
    return error_set(error, ERROR_INTERNAL, "cairo cannot draw: %s", cairo_status_to_string(status));
}

/* ---- the sheet ---- */

enum { MARGIN = 28, GAP = 26, HEAD = 62, FOOT = 26, PAD = 14 };

struct sheet {
    enum chart charts[CHARTS];
    size_t n;
    int columns;
    double width, height;
};

/* Cells left to right, two in a row; wide ones have a row of their own, and so has an odd last one. */
static int next_row(const struct sheet *sheet, size_t i)
{
    if (sheet->columns == 1 || KINDS[sheet->charts[i]].wide)
        return 1;
    return i + 1 < sheet->n && !KINDS[sheet->charts[i + 1]].wide ? 2 : 1;
}

static void sheet_plan(const json_t *report, struct sheet *sheet)
{
    sheet->n = chart_list(report, sheet->charts);
    sheet->columns = sheet->n > 1 ? 2 : 1;
    int rows = sheet->n ? 0 : 1; /* without charts there is a row that says so */
    for (size_t i = 0; i < sheet->n; i += (size_t)next_row(sheet, i))
        rows++;
    sheet->width = 2 * MARGIN + sheet->columns * (CHART_WIDTH + 2 * PAD) + (sheet->columns - 1) * GAP;
    sheet->height = HEAD + FOOT + MARGIN + rows * (CHART_HEIGHT + 2 * PAD) + (rows - 1) * GAP;
}

static void draw_head(const json_t *report, const struct canvas *canvas)
{
    const struct chart_theme *theme = canvas->theme;
    struct buffer title = {0}, line = {0};
    bool compare = json_get_is(report, "kind", "compare");
    clean_line(&title, compare ? "Models compared" : json_get_text(report, "model.name", "a model"), 120);
    clean_line(&line, json_get_text(report, "machine.cpu", ""), 80);
    buffer_text(&line, line.length ? " · " : "");
    clean_line(&line, json_get_text(report, "created", ""), 40);
    draw_rectangle(canvas, MARGIN, 26, 4, 26, 2, theme->accent, 1);
    draw_text_fit(canvas, &(struct draw_style){.size = 17, .bold = true, .color = theme->ink}, MARGIN + 14,
                  38, canvas->w - 2 * MARGIN - 14, title.data ? title.data : "");
    draw_text_fit(canvas, &(struct draw_style){.size = 9, .color = theme->muted}, MARGIN + 14, 53,
                  canvas->w - 2 * MARGIN - 14, line.data ? line.data : "");
    buffer_free(&title);
    buffer_free(&line);
}

/* Instead of charts: why there are none. */
static void draw_nothing(const json_t *report, const struct canvas *page, double y)
{
    struct draw_style style = {.size = 11, .color = page->theme->muted};
    struct buffer text = {0};
    double w = page->w - 2 * MARGIN;
    buffer_text(&text, "There is nothing to draw. ");
    clean_line(&text, json_get_text(report, "message", ""), 600);
    draw_rectangle(page, MARGIN, y, w, CHART_HEIGHT + 2 * PAD, 8, page->theme->panel, 1);
    draw_paragraph(page, &style, MARGIN + 2 * PAD, y + 40, w - 4 * PAD, 17, 14, true,
                   text.data ? text.data : "");
    buffer_free(&text);
}

static void sheet_draw(const json_t *report, const struct sheet *sheet, cairo_t *cr)
{
    struct canvas page = {cr, &chart_light, 0, 0, sheet->width, sheet->height};
    double y = HEAD + 12, full = sheet->width - 2 * MARGIN;
    draw_rectangle(&page, 0, 0, sheet->width, sheet->height, 0, chart_light.paper, 1);
    draw_head(report, &page);
    if (sheet->n == 0)
        draw_nothing(report, &page, y);
    for (size_t i = 0; i < sheet->n;) {
        int cells = next_row(sheet, i);
        double w = cells == 2 ? (full - GAP) / 2 : full;
        for (int k = 0; k < cells; k++, i++) {
            double x = MARGIN + k * (w + GAP);
            draw_rectangle(&page, x, y, w, CHART_HEIGHT + 2 * PAD, 8, chart_light.grid, 1);
            draw_rectangle(&page, x + 1, y + 1, w - 2, CHART_HEIGHT + 2 * PAD - 2, 7, chart_light.paper, 1);
            struct canvas cell = page;
            cell.x = x + PAD;
            cell.y = y + PAD;
            cell.w = w - 2 * PAD;
            cell.h = CHART_HEIGHT;
            chart_draw(report, sheet->charts[i], &cell);
        }
        y += CHART_HEIGHT + 2 * PAD + GAP;
    }
}

int chart_png(const json_t *report, struct buffer *out, struct error *error)
{
    enum { SCALE = 2 };
    struct sheet sheet;
    sheet_plan(report, &sheet);
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(SCALE * sheet.width),
                                                          (int)(SCALE * sheet.height));
    cairo_t *cr = cairo_create(surface);
    cairo_scale(cr, SCALE, SCALE);
    sheet_draw(report, &sheet, cr);
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_write_to_png_stream(surface, append, out);
    cairo_surface_destroy(surface);
    return failed(status, error);
}

static int finish(cairo_t *cr, cairo_surface_t *surface, struct error *error)
{
    cairo_status_t status = cairo_status(cr);
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return failed(status, error);
}

int chart_svg(const json_t *report, struct buffer *out, struct error *error)
{
    struct sheet sheet;
    sheet_plan(report, &sheet);
    cairo_surface_t *surface = cairo_svg_surface_create_for_stream(append, out, sheet.width, sheet.height);
    cairo_t *cr = cairo_create(surface);
    sheet_draw(report, &sheet, cr);
    return finish(cr, surface, error);
}

/* cairo numbers the ids of glyphs and clips from 0 in every file; in one HTML page they would be each
 * other's. The text of an SVG by cairo holds no strings of the report: its letters are outlines. */
static void append_with_prefix(struct buffer *out, const char *svg, const char *prefix)
{
    static const char *const before[] = {" id=\"", "href=\"#", "url(#"};
    while (*svg) {
        size_t length = 0;
        for (size_t i = 0; i < sizeof before / sizeof *before; i++)
            if (strncmp(svg, before[i], strlen(before[i])) == 0)
                length = strlen(before[i]);
        buffer_append(out, svg, length ? length : 1);
        if (length)
            buffer_text(out, prefix);
        svg += length ? length : 1;
    }
}

int chart_svg_element(const json_t *report, enum chart chart, const struct chart_theme *theme, double width,
                      double height, const char *prefix, struct buffer *out, struct error *error)
{
    struct buffer svg = {0};
    cairo_surface_t *surface = cairo_svg_surface_create_for_stream(append, &svg, width, height);
    cairo_t *cr = cairo_create(surface);
    struct canvas canvas = {cr, theme, 2, 2, width - 4, height - 4};
    chart_draw(report, chart, &canvas);
    int rc = finish(cr, surface, error);
    const char *element = svg.data ? strstr(svg.data, "<svg") : NULL;
    if (!rc && element)
        append_with_prefix(out, element, prefix);
    buffer_free(&svg);
    return rc;
}
