/* A small table that is collected first and aligned when it is printed, as text or as Markdown. One owner,
 * one thread. Running out of memory is remembered and reported by table_print. */
#ifndef LLMIND_PROFILE_TABLE_H
#define LLMIND_PROFILE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buffer.h"

enum table_style { TABLE_TEXT, TABLE_TEXT_COLOR, TABLE_MARKDOWN };

enum { TABLE_MAX_COLUMNS = 32 };

struct table {
    size_t n_columns;
    /* For each column 'l' or 'r', or 'L': to the left, and cut short ("…") where a line would become wider
     * than it may be; borrowed. */
    const char *align;
    char **cells;
    size_t n_cells, capacity;
    bool failed;
};

void table_init(struct table *table, const char *align);
void table_free(struct table *table);
/* Appends the next cell, row by row; the first row is the heading. Cells are one line (clean.h). */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t table_rows(const struct table *table); /* without the heading */
/* Row 0 is the heading; "" beyond the end. */
const char *table_at(const struct table *table, size_t row, size_t column);

/* indent: blanks before each line of a text table. width: of a line of a text table; 0: any. Cells of a
 * Markdown table are escaped. */
void table_write(const struct table *table, struct buffer *out, enum table_style style, int indent,
                 size_t width);
void table_print(const struct table *table, FILE *out, enum table_style style, int indent);

/* Columns a UTF-8 text takes on a terminal. */
size_t table_width(const char *text);

#endif
