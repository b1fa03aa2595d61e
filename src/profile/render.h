/* A stored report in every form people ask for. All read the same JSON ("llmind.report/1", also imported
 * ones: nothing in it is trusted) and show the same figures. */
#ifndef LLMIND_PROFILE_RENDER_H
#define LLMIND_PROFILE_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum report_format {
    REPORT_JSON,     /* indented */
    REPORT_CSV,      /* one line a sample: run, test or configuration, repeat, every figure; RFC 4180; no cell
                        can be a spreadsheet formula */
    REPORT_MARKDOWN, /* for people and issues */
    REPORT_TEXT,     /* a terminal, 100 columns */
    REPORT_HTML,     /* one self-contained file, offline, no script needed to read it */
    REPORT_PDF,      /* two A4 pages: summary, cards, charts; method and machine */
    REPORT_PNG,      /* the charts, 2x */
    REPORT_SVG,
    REPORT_FORMATS
};

/* Appends it to out. color: REPORT_TEXT only. Errors: ERROR_INVALID (not a report that can be shown: what is
 * missing), ERROR_MEMORY, ERROR_INTERNAL (cairo, with its words). Any thread. */
int report_render(const json_t *report, enum report_format format, bool color, struct buffer *out,
                  struct error *error);

/* By "json", "csv", "md", "txt", "html", "pdf", "png", "svg"; -1: none of them. */
int report_format_find(const char *extension);
const char *report_format_extension(enum report_format format);
const char *report_format_content_type(enum report_format format);

/* Whether it is a report of a version we read, complete enough to be stored: bounded in size and depth, the
 * members that others rely on there and of the right types. ERROR_INVALID names the member. */
int report_check(const json_t *report, struct error *error);

#endif
