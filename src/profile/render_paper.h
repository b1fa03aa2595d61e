/* Pages that things are put on from top to bottom: what does not fit begins the next page. Nothing is drawn
 * outside of the margins: text is wrapped or cut to the width there is. Lengths in points; A4. */
#ifndef LLMIND_PROFILE_RENDER_PAPER_H
#define LLMIND_PROFILE_RENDER_PAPER_H

#include "profile/chart_draw.h"
#include "profile/render_view.h"

struct paper {
    double scale;         /* of the page that is drawn: 1, or smaller where more has to go on it */
    double next_scale;    /* of the pages behind it */
    struct canvas canvas; /* x, w: inside of the margins */
    double y;             /* where the next thing begins */
    double bottom;        /* where the last one has to end */
    int page, pages;      /* from 1; pages: 0 while they are being counted */
    const char *footer;
};

enum { PAPER_WIDTH = 595, PAPER_HEIGHT = 842, PAPER_MARGIN = 38 };
#define PAPER_FACT 9.6 /* height of a line of paper_facts */

/* The first page is drawn at its full size, the others at `scale`. */
void paper_begin(struct paper *paper, cairo_t *cr, int pages, double scale, const char *footer);
void paper_end(struct paper *paper); /* the footer of the last page */
void paper_next_page(struct paper *paper);
/* A new page when less than `height` is left on this one. */
void paper_need(struct paper *paper, double height);
double paper_left(const struct paper *paper);

void paper_heading(struct paper *paper, const char *title);
void paper_text(struct paper *paper, double size, uint32_t color, int max_lines, const char *text);
/* Text behind a mark, wrapped beside it, six lines of it at most. */
void paper_item(struct paper *paper, const char *mark, uint32_t color, const char *text);
double paper_item_height(const struct paper *paper, double width, const char *text);
/* At most max_rows rows; those left out are counted in a line below. Drawn from x, `width` wide. */
void paper_table(struct paper *paper, const struct table *table, double x, double width, size_t max_rows,
                 size_t cut_rows);
double paper_table_height(const struct table *table, size_t max_rows, size_t cut_rows);
/* A table of name and value, without its heading. */
void paper_facts(struct paper *paper, const struct table *table, double x, double width, size_t max_rows);

#endif
