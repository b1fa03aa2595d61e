/* What a terminal can show, and text from models made harmless for it. */
#ifndef LLMIND_CLI_TERMINAL_H
#define LLMIND_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A terminal that understands colours, and NO_COLOR (no-color.org) is not set. */
bool terminal_has_color(FILE *stream);
bool terminal_is(FILE *stream);

/* Writes text as it is to a file or pipe. To a terminal, control characters other than newline and tab come
 * out as U+FFFD: what a model says must not move the cursor or retitle the window. text is whole UTF-8
 * characters. */
void terminal_write_text(FILE *stream, const char *text, size_t length);
/* The filter itself: writes at most 3 * length bytes to out, returns how many. */
size_t terminal_clean(const char *text, size_t length, char *out);

/* A progress line on stderr that replaces itself on a terminal and is a plain line of its own elsewhere.
 * fraction: 0 .. 1, or NaN; eta_s: NaN = unknown. */
void terminal_progress(const char *what, double fraction, double eta_s);
/* Removes it (terminal only). */
void terminal_progress_end(void);

#endif
