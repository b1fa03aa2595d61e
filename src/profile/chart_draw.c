/* The few primitives everything on paper and screen is drawn with. Text goes through cairo's "toy" interface:
 * one sans-serif face of the system, measured before it is drawn. */
#include "profile/chart_draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "profile/clean.h"

/* Teal, indigo, amber, rose: distinct in lightness too, so that they survive grey print and red-green
 * blindness. */
const struct chart_theme chart_light = {.paper = 0xFFFFFF,
                                        .panel = 0xF6F9FA,
                                        .grid = 0xDFE6EA,
                                        .muted = 0x52606D,
                                        .ink = 0x12222B,
                                        .accent = 0x0F766E,
                                        .soft = 0xCCEBE7,
                                        .second = 0x4F46A5,
                                        .third = 0xC77700,
                                        .fourth = 0xB4235A,
                                        .good = 0x0F766E,
                                        .bad = 0xB93A0E,
                                        .warn = 0xB7791F};
const struct chart_theme chart_dark = {.paper = 0x101B21,
                                       .panel = 0x16242B,
                                       .grid = 0x2A3B44,
                                       .muted = 0x9FB1BB,
                                       .ink = 0xE7EFF2,
                                       .accent = 0x3CC9B8,
                                       .soft = 0x1B4A48,
                                       .second = 0xA29BF5,
                                       .third = 0xF2B34B,
                                       .fourth = 0xF08AAE,
                                       .good = 0x3CC9B8,
                                       .bad = 0xFF8A5C,
                                       .warn = 0xF2B34B};

#ifdef __SANITIZE_ADDRESS__
/* cairo keeps the faces it has used, and fontconfig keeps their patterns behind pointers that are stored as
 * offsets: the leak checker cannot follow them and takes the patterns for lost. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\n";
}
#endif

void draw_color(const struct canvas *canvas, uint32_t color, double alpha)
{
    cairo_set_source_rgba(canvas->cr, (color >> 16 & 255) / 255.0, (color >> 8 & 255) / 255.0,
                          (color & 255) / 255.0, alpha);
}

void draw_rectangle(const struct canvas *canvas, double x, double y, double w, double h, double radius,
                    uint32_t color, double alpha)
{
    cairo_t *cr = canvas->cr;
    if (!(w > 0) || !(h > 0))
        return;
    radius = fmin(radius, fmin(w, h) / 2);
    draw_color(canvas, color, alpha);
    if (radius > 0) {
        cairo_new_sub_path(cr);
        cairo_arc(cr, x + w - radius, y + radius, radius, -M_PI / 2, 0);
        cairo_arc(cr, x + w - radius, y + h - radius, radius, 0, M_PI / 2);
        cairo_arc(cr, x + radius, y + h - radius, radius, M_PI / 2, M_PI);
        cairo_arc(cr, x + radius, y + radius, radius, M_PI, 3 * M_PI / 2);
        cairo_close_path(cr);
    } else {
        cairo_rectangle(cr, x, y, w, h);
    }
    cairo_fill(cr);
}

void draw_line(const struct canvas *canvas, double x0, double y0, double x1, double y1, double width,
               uint32_t color)
{
    draw_color(canvas, color, 1);
    cairo_set_line_width(canvas->cr, width);
    cairo_move_to(canvas->cr, x0, y0);
    cairo_line_to(canvas->cr, x1, y1);
    cairo_stroke(canvas->cr);
}

void draw_dashed(const struct canvas *canvas, double x0, double y0, double x1, double y1, double width,
                 uint32_t color)
{
    static const double dashes[] = {4, 3};
    cairo_set_dash(canvas->cr, dashes, 2, 0);
    draw_line(canvas, x0, y0, x1, y1, width, color);
    cairo_set_dash(canvas->cr, NULL, 0, 0);
}

void draw_dot(const struct canvas *canvas, double x, double y, double radius, uint32_t color)
{
    cairo_new_path(canvas->cr);
    cairo_arc(canvas->cr, x, y, radius + 1.2, 0, 2 * M_PI);
    draw_color(canvas, canvas->theme->paper, 1);
    cairo_fill(canvas->cr);
    cairo_arc(canvas->cr, x, y, radius, 0, 2 * M_PI);
    draw_color(canvas, color, 1);
    cairo_fill(canvas->cr);
}

void draw_whisker(const struct canvas *canvas, double low, double high, double y, uint32_t color)
{
    draw_line(canvas, low, y, high, y, 1.4, color);
    if (high - low < 4) /* too short to have ends */
        return;
    draw_line(canvas, low, y - 2.5, low, y + 2.5, 1.4, color);
    draw_line(canvas, high, y - 2.5, high, y + 2.5, 1.4, color);
}

void draw_whisker_upright(const struct canvas *canvas, double x, double low, double high, uint32_t color)
{
    draw_line(canvas, x, low, x, high, 1.4, color);
    if (fabs(high - low) < 4)
        return;
    draw_line(canvas, x - 2.5, low, x + 2.5, low, 1.4, color);
    draw_line(canvas, x - 2.5, high, x + 2.5, high, 1.4, color);
}

/* ---- text ---- */

static void use_font(const struct canvas *canvas, const struct draw_style *style)
{
    cairo_select_font_face(canvas->cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           style->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(canvas->cr, style->size);
}

static double measured(const struct canvas *canvas, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(canvas->cr, text, &extents);
    return extents.x_advance;
}

double draw_text_width(const struct canvas *canvas, const struct draw_style *style, const char *text)
{
    use_font(canvas, style);
    return measured(canvas, text);
}

double draw_text(const struct canvas *canvas, const struct draw_style *style, double x, double y,
                 const char *text)
{
    use_font(canvas, style);
    double width = measured(canvas, text);
    double left = style->anchor == DRAW_RIGHT ? x - width : style->anchor == DRAW_CENTER ? x - width / 2 : x;
    draw_color(canvas, style->color, 1);
    cairo_move_to(canvas->cr, left, y);
    cairo_show_text(canvas->cr, text);
    return width;
}

/* Bytes of a beginning of at most `limit` bytes that ends between characters. */
static size_t character_boundary(const char *text, size_t limit)
{
    while (limit > 0 && ((unsigned char)text[limit] & 0xC0) == 0x80)
        limit--;
    return limit;
}

enum { LINE_BYTES = 1024 };

/* The longest beginning, with "…" behind it, that is at most `width` wide; by halving. */
static void cut_to_width(const struct canvas *canvas, double width, const char *text, char out[LINE_BYTES])
{
    size_t low = 0, high = strlen(text);
    if (high > LINE_BYTES - 4)
        high = character_boundary(text, LINE_BYTES - 4);
    while (low < high) {
        size_t middle = character_boundary(text, low + (high - low + 1) / 2);
        if (middle <= low) { /* inside of the character behind low */
            middle = low + utf8_character(text + low, high - low);
            if (middle <= low)
                break;
        }
        snprintf(out, LINE_BYTES, "%.*s…", (int)middle, text);
        if (measured(canvas, out) <= width)
            low = middle;
        else
            high = character_boundary(text, middle - 1);
    }
    while (low > 0 && text[low - 1] == ' ')
        low--;
    snprintf(out, LINE_BYTES, "%.*s…", (int)low, text);
}

double draw_text_fit(const struct canvas *canvas, const struct draw_style *style, double x, double y,
                     double width, const char *text)
{
    char cut[LINE_BYTES];
    use_font(canvas, style);
    if (strlen(text) < LINE_BYTES && measured(canvas, text) <= width)
        return draw_text(canvas, style, x, y, text);
    cut_to_width(canvas, width, text, cut);
    return draw_text(canvas, style, x, y, cut);
}

/* Bytes of the words that fit on one line, at least a part of the first word. */
static size_t line_length(const struct canvas *canvas, double width, const char *text)
{
    char line[LINE_BYTES];
    size_t fits = 0, at = 0;
    for (;;) {
        size_t end = at + strcspn(text + at, " ");
        if (end >= LINE_BYTES)
            break;
        memcpy(line, text, end);
        line[end] = '\0';
        if (end > 0 && measured(canvas, line) > width)
            break;
        fits = end;
        if (!text[end])
            break;
        at = end + strspn(text + end, " ");
    }
    if (fits > 0)
        return fits;
    cut_to_width(canvas, width, text, line); /* a word longer than the line is broken */
    size_t part = strlen(line) - strlen("…");
    size_t first = utf8_character(text, strlen(text));
    return part > first ? part : first ? first : 1;
}

int draw_paragraph(const struct canvas *canvas, const struct draw_style *style, double x, double y,
                   double width, double leading, int max_lines, bool draw, const char *text)
{
    int lines = 0;
    use_font(canvas, style);
    text += strspn(text, " ");
    while (*text && lines < max_lines) {
        size_t length = line_length(canvas, width, text);
        const char *rest = text + length + strspn(text + length, " ");
        if (draw && lines + 1 == max_lines && *rest) {
            draw_text_fit(canvas, style, x, y, width, text);
        } else if (draw) {
            char line[LINE_BYTES];
            snprintf(line, sizeof line, "%.*s", (int)length, text);
            draw_text(canvas, style, x, y, line);
        }
        y += leading;
        lines++;
        text = rest;
    }
    return lines;
}

/* ---- axes ---- */

void draw_ticks(double low, double high, int wanted, struct draw_ticks *out)
{
    out->n = 0;
    double raw = (high - low) / (wanted > 1 ? wanted : 1);
    if (!(raw > 0) || !isfinite(raw))
        return;
    double power = pow(10, floor(log10(raw))), step = power;
    if (raw > 5 * power)
        step = 10 * power;
    else if (raw > 2 * power)
        step = 5 * power;
    else if (raw > power)
        step = 2 * power;
    double first = ceil(low / step - 1e-9);
    for (int i = 0; i < DRAW_MAX_TICKS; i++) {
        double at = (first + i) * step;
        if (at > high + 1e-9 * step)
            break;
        out->at[out->n++] = fabs(at) < 1e-9 * step ? 0 : at;
    }
}

void draw_tick_label(char out[32], double value)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    int unit = 0;
    while (unit < 4 && fabs(value) >= 999.5) {
        value /= 1000;
        unit++;
    }
    snprintf(out, 32, "%.4g%s", value, units[unit]);
}
