/* Text of strangers, made fit to be shown. A report may come from anybody, and its names, prompts and
 * messages end on a terminal, in a table, in HTML and on paper: what steers a terminal, turns the direction
 * of the line round, breaks a layout or is not allowed in XML is taken out once, here, and lengths are
 * bounded. What is left is escaped for the format it goes to.
 *
 * All text is UTF-8; bytes that are not become '?'. Pure, any thread.
 */
#ifndef LLMIND_PROFILE_CLEAN_H
#define LLMIND_PROFILE_CLEAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"

/* One line of at most max_characters (the last one is then "…"): runs of blanks, line ends and control
 * characters are one blank; direction marks, zero-width characters and tags are gone. */
void clean_line(struct buffer *out, const char *text, size_t max_characters);
/* The same in an arena; "" when text is NULL or memory is short. */
const char *clean_copy(struct arena *arena, const char *text, size_t max_characters);

/* The next character of a zero-terminated text, moving *text behind it; 0 at its end; '?' for a bad byte. */
uint32_t clean_next(const char **text);

/* Columns on a terminal: 2 for the wide characters of East Asia and emoji, 0 for combining marks. */
size_t clean_width(const char *text);
/* The beginning that fits into so many columns, "…" instead of its end where it was cut. */
void clean_cut(struct buffer *out, const char *text, size_t width);
/* Words in lines of at most `width` columns, each but the first begun with `indent` blanks; a word that is
 * longer than a line is broken. The first line begins at column `at`. Ends with a line end. */
void clean_wrap(struct buffer *out, const char *text, size_t at, size_t indent, size_t width);

/* Escaped, so that it stays text: no table cell ends, no link, image, tag or emphasis begins. */
void clean_markdown(struct buffer *out, const char *text);
/* For the inside of elements and of quoted attributes, HTML and XML alike. */
void clean_xml(struct buffer *out, const char *text);

#endif
