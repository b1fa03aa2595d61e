/* Ink on a cairo surface: colours, text that is measured before it is drawn, axes. What charts and the PDF
 * are made of; knows nothing of reports. Lengths in points; y grows downwards. All text is UTF-8 that
 * clean.h made fit. A cairo_t remembers its first error; it is looked at once, at the end.
 */
#ifndef LLMIND_PROFILE_CHART_DRAW_H
#define LLMIND_PROFILE_CHART_DRAW_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0xRRGGBB */
struct chart_theme {
    uint32_t paper, panel, grid, muted, ink;
    uint32_t accent, soft;          /* teal, and a light tint of it */
    uint32_t second, third, fourth; /* further series, told apart also by the colour-blind */
    uint32_t good, bad, warn;
};
extern const struct chart_theme chart_light, chart_dark;

struct canvas {
    cairo_t *cr;
    const struct chart_theme *theme;
    double x, y, w, h; /* where to draw */
};

/* ---- shapes ---- */

void draw_color(const struct canvas *canvas, uint32_t color, double alpha);
void draw_rectangle(const struct canvas *canvas, double x, double y, double w, double h, double radius,
                    uint32_t color, double alpha);
void draw_line(const struct canvas *canvas, double x0, double y0, double x1, double y1, double width,
               uint32_t color);
void draw_dashed(const struct canvas *canvas, double x0, double y0, double x1, double y1, double width,
                 uint32_t color);
/* A circle with a rim of paper, so that it stands out from lines and bands. */
void draw_dot(const struct canvas *canvas, double x, double y, double radius, uint32_t color);
/* A line from low to high at y with short ends: an interval. */
void draw_whisker(const struct canvas *canvas, double low, double high, double y, uint32_t color);
void draw_whisker_upright(const struct canvas *canvas, double x, double low, double high, uint32_t color);

/* ---- text ---- */

enum draw_anchor { DRAW_LEFT, DRAW_CENTER, DRAW_RIGHT };

struct draw_style {
    double size;
    bool bold;
    uint32_t color;
    enum draw_anchor anchor;
};

double draw_text_width(const struct canvas *canvas, const struct draw_style *style, const char *text);
/* y is the base line. Returns the width. */
double draw_text(const struct canvas *canvas, const struct draw_style *style, double x, double y,
                 const char *text);
/* The same, cut with "…" so that it is at most `width` wide. */
double draw_text_fit(const struct canvas *canvas, const struct draw_style *style, double x, double y,
                     double width, const char *text);
/* Words in lines of at most `width`, the first base line at y, at most max_lines of them (the last one cut
 * with "…"). Returns the number of lines. draw: false only counts them. */
int draw_paragraph(const struct canvas *canvas, const struct draw_style *style, double x, double y,
                   double width, double leading, int max_lines, bool draw, const char *text);

/* ---- axes ---- */

enum { DRAW_MAX_TICKS = 12 };
struct draw_ticks {
    double at[DRAW_MAX_TICKS];
    int n;
};
/* Round numbers from low to high, about `wanted` of them; both ends finite, low < high. */
void draw_ticks(double low, double high, int wanted, struct draw_ticks *out);
/* 1.5, 20, 1k, 2.5k, 1M */
void draw_tick_label(char out[32], double value);

#endif
