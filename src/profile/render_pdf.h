/* Between the files of the PDF. */
#ifndef LLMIND_PROFILE_RENDER_PDF_H
#define LLMIND_PROFILE_RENDER_PDF_H

#include <jansson.h>

#include "profile/chart.h"
#include "profile/render_paper.h"
#include "profile/render_view.h"

/* Fills the first page; charts are in the order of what they tell. Returns how many of them it has. */
size_t pdf_first_page(struct paper *paper, const struct view *view, const json_t *report,
                      const enum chart *charts, size_t n);
/* Charts side by side in rows of two, each row `height` high; the timeline has a row of its own. */
void pdf_chart_rows(struct paper *paper, const json_t *report, const enum chart *charts, size_t n,
                    double height);
/* A table of the view with its heading over the whole width; nothing when it has no rows. */
void pdf_table(struct paper *paper, const struct view *view, enum view_table which);

#endif
