/* A small table that is collected first and aligned when it is printed, as text or as Markdown. One owner,
 * one thread. Running out of memory is remembered and reported by table_print. */
#ifndef LLMIND_PROFILE_TABLE_H
#define LLMIND_PROFILE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum table_style { TABLE_TEXT, TABLE_TEXT_COLOR, TABLE_MARKDOWN };

struct table {
    size_t n_columns;
    const char *align; /* one 'l' or 'r' per column; borrowed */
    char **cells;
    size_t n_cells, capacity;
    bool failed;
};

void table_init(struct table *table, const char *align);
void table_free(struct table *table);
/* Appends the next cell, row by row; the first row is the heading. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* indent: blanks before each line of a text table. */
void table_print(const struct table *table, FILE *out, enum table_style style, int indent);

/* Columns a UTF-8 text takes on a terminal (one for each character: no wide ones are expected). */
size_t table_width(const char *text);

#endif
