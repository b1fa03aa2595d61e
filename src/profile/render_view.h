/* What a report shows, before any format: its lines, cards, tables and findings as clean text (clean.h), made
 * once from the JSON. Terminal, Markdown, HTML and PDF only lay this out, and therefore show the same
 * figures. Reads the report as if a stranger had written it; numbers of rows and lengths are bounded here.
 *
 * One owner, one thread. All strings live in the view and are never NULL unless it says so.
 */
#ifndef LLMIND_PROFILE_RENDER_VIEW_H
#define LLMIND_PROFILE_RENDER_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "profile/table.h"

enum view_table {
    VIEW_PROMPTS,
    VIEW_SPEED,
    VIEW_CONFIGURATIONS,
    VIEW_COMPARISON,
    VIEW_PREDICTED,
    VIEW_WHAT_IF,
    VIEW_MEMORY,
    VIEW_CEILINGS,
    VIEW_OPERATIONS,
    VIEW_SENSORS,
    VIEW_MACHINE, /* from here on: name and value */
    VIEW_FLAGS,
    VIEW_RUN,
    VIEW_TABLES
};

enum {
    VIEW_CARDS = 4,
    VIEW_MAX_ROWS = 100, /* of a table; how many more there are is in `cut_rows` */
    VIEW_MAX_LINES = 24, /* of a list */
    VIEW_NAME = 60,      /* characters of a name in a table */
    VIEW_TITLE = 120,
    VIEW_SENTENCE = 500
};

struct view_lines {
    const char *items[VIEW_MAX_LINES];
    size_t n, more; /* more: that are not among the items */
};

struct view_card {
    const char *label, *value /* "15.6 tok/s"; "-" when unknown */, *note /* or why it is unknown */;
};

struct view_finding {
    const char *severity /* High, Medium, Low */, *title, *text, *evidence /* "mbu 0.83, ...", or "" */;
    bool principal;
};

struct view_advice {
    const char *text, *expected /* "about +31 %", or "" */;
    const char *proof; /* "proved: 4 threads → 2: decode +31 % [...], kept", "unproved", ... ; never "" */
    bool provable;
};

struct view {
    struct arena arena;
    const char *heading; /* "Performance profile", "Model comparison", "Remote target", "Proof" */
    const char *title;   /* the model, or what was compared */
    const char *model_line, *machine_line;   /* "llama · 4-bit ...", "AMD EPYC · 2 of 64 cores ..." */
    const char *engine_line, *roofline_line; /* "" when there is none */
    const char *run_line;                    /* date, mode, duration, repeats */
    const char *created;                     /* "2026-11-23 12:41 UTC" */
    const char *status;                      /* "" for a success, else "failed: why" */
    const char *quality;                     /* a sentence */
    const char *best; /* a sentence on the configurations, of a proof its own; "" when there are none */
    bool quick, comparison, proof; /* comparison: of several models */
    struct view_card cards[VIEW_CARDS];
    struct table tables[VIEW_TABLES]; /* a table without rows is not shown */
    size_t cut_rows[VIEW_TABLES];
    struct view_lines proofs; /* what was tried, a sentence each */
    struct view_lines strengths, failures, cuts, notes, flags, method;
    struct view_finding findings[VIEW_MAX_LINES];
    struct view_advice advice[VIEW_MAX_LINES];
    size_t n_findings, more_findings, n_advice, more_advice;
};

/* report: an object; borrowed, and not needed any more afterwards. ERROR_MEMORY. */
int view_open(const json_t *report, struct view *out, struct error *error);
void view_close(struct view *view); /* a zeroed one is legal */

const char *view_table_title(enum view_table table);
/* "412 ± 2.1": mean and standard deviation of a "stats", "412" when there is one sample, "-" for none. */
enum { VIEW_CELL = 80 };
const char *view_spread(char out[VIEW_CELL], const json_t *stats);

/* For the files of the view alone. */
const char *view_text(struct view *view, const json_t *json, const char *path, const char *fallback,
                      size_t max_characters);
const char *view_format(struct view *view, const char *format, ...) __attribute__((format(printf, 2, 3)));
void view_line(struct view_lines *lines, const char *text);
void view_fill_tables(struct view *view, const json_t *report);
void view_fill_facts(struct view *view, const json_t *report);
void view_fill_lists(struct view *view, const json_t *report);
void view_fill_predicted(struct view *view, const json_t *report); /* and what-if */

#endif
