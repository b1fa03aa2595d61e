#include "profile/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "profile/clean.h"

void table_init(struct table *table, const char *align)
{
    memset(table, 0, sizeof *table);
    table->align = align;
    table->n_columns = strlen(align);
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    free(table->cells);
    memset(table, 0, sizeof *table);
}

void table_cell(struct table *table, const char *format, ...)
{
    if (table->n_cells == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        char **more = realloc(table->cells, capacity * sizeof *more);
        if (!more) {
            table->failed = true;
            return;
        }
        table->cells = more;
        table->capacity = capacity;
    }
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct buffer line = {0};
    clean_line(&line, text, sizeof text);
    if (line.data && !line.failed)
        table->cells[table->n_cells++] = line.data; /* now the table's */
    else
        table->failed = true;
    if (line.failed)
        buffer_free(&line);
}

size_t table_rows(const struct table *table)
{
    size_t rows = table->n_columns ? table->n_cells / table->n_columns : 0;
    return rows ? rows - 1 : 0;
}

const char *table_at(const struct table *table, size_t row, size_t column)
{
    size_t i = row * table->n_columns + column;
    return i < table->n_cells ? table->cells[i] : "";
}

size_t table_width(const char *text)
{
    return clean_width(text);
}

static void pad(struct buffer *out, size_t columns)
{
    buffer_format(out, "%*s", (int)columns, "");
}

static void write_cell(struct buffer *out, const char *text, char align, size_t width, bool last)
{
    struct buffer cut = {0};
    clean_cut(&cut, text, width);
    const char *shown = cut.data ? cut.data : "";
    size_t own = clean_width(shown), padding = own < width ? width - own : 0;
    if (align == 'r')
        pad(out, padding);
    buffer_text(out, shown);
    if (align != 'r' && !last)
        pad(out, padding);
    buffer_free(&cut);
}

static void write_rule(const struct table *table, struct buffer *out, const size_t *widths)
{
    buffer_text(out, "|");
    for (size_t c = 0; c < table->n_columns; c++) {
        buffer_text(out, " ");
        for (size_t i = 1; i < widths[c]; i++)
            buffer_text(out, "-");
        buffer_text(out, table->align[c] == 'r' ? ": |" : "- |");
    }
    buffer_text(out, "\n");
}

/* Takes what is too much from the widest of the columns that may be cut. */
static void shrink(const struct table *table, size_t *widths, size_t between, size_t width)
{
    enum { MIN_WIDTH = 8 };
    for (;;) {
        size_t sum = between, widest = table->n_columns;
        for (size_t c = 0; c < table->n_columns; c++) {
            sum += widths[c];
            if (table->align[c] == 'L' && widths[c] > MIN_WIDTH &&
                (widest == table->n_columns || widths[c] > widths[widest]))
                widest = c;
        }
        if (sum <= width || widest == table->n_columns)
            return;
        widths[widest]--;
    }
}

static void write_text_row(const struct table *table, struct buffer *out, size_t row, const size_t *widths,
                           size_t width)
{
    struct buffer line = {0};
    for (size_t c = 0; c < table->n_columns; c++) {
        buffer_text(&line, c ? "  " : "");
        write_cell(&line, table_at(table, row, c), table->align[c], widths[c], c + 1 == table->n_columns);
    }
    if (width)
        clean_cut(out, line.data ? line.data : "", width);
    else
        buffer_text(out, line.data ? line.data : "");
    out->failed = out->failed || line.failed;
    buffer_free(&line);
}

static void write_text(const struct table *table, struct buffer *out, bool color, int indent, size_t width)
{
    size_t widths[TABLE_MAX_COLUMNS] = {0}, inner = width > (size_t)indent ? width - (size_t)indent : 0;
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t own = clean_width(table->cells[i]), *of = &widths[i % table->n_columns];
        *of = own > *of ? own : *of;
    }
    if (inner)
        shrink(table, widths, 2 * (table->n_columns - 1), inner);
    for (size_t row = 0; row < table->n_cells / table->n_columns; row++) {
        pad(out, (size_t)indent);
        buffer_text(out, row == 0 && color ? "\x1b[2m" : "");
        write_text_row(table, out, row, widths, inner);
        buffer_text(out, row == 0 && color ? "\x1b[0m\n" : "\n");
    }
}

static void write_markdown(const struct table *table, struct buffer *out)
{
    size_t widths[TABLE_MAX_COLUMNS];
    for (size_t c = 0; c < table->n_columns; c++)
        widths[c] = 2;
    for (size_t i = 0; i < table->n_cells; i++) {
        struct buffer cell = {0};
        clean_markdown(&cell, table->cells[i]);
        size_t own = clean_width(cell.data ? cell.data : ""), *of = &widths[i % table->n_columns];
        *of = own > *of ? own : *of;
        buffer_free(&cell);
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t c = i % table->n_columns;
        struct buffer cell = {0};
        clean_markdown(&cell, table->cells[i]);
        buffer_text(out, c ? " " : "| ");
        write_cell(out, cell.data ? cell.data : "", table->align[c], widths[c], false);
        buffer_text(out, c + 1 == table->n_columns ? " |\n" : " |");
        out->failed = out->failed || cell.failed;
        buffer_free(&cell);
        if (i + 1 == table->n_columns)
            write_rule(table, out, widths);
    }
}

void table_write(const struct table *table, struct buffer *out, enum table_style style, int indent,
                 size_t width)
{
    if (table->failed || table->n_columns == 0 || table->n_columns > TABLE_MAX_COLUMNS)
        buffer_text(out, "(a table is missing here: not enough memory)\n");
    else if (style == TABLE_MARKDOWN)
        write_markdown(table, out);
    else
        write_text(table, out, style == TABLE_TEXT_COLOR, indent, width);
}

void table_print(const struct table *table, FILE *out, enum table_style style, int indent)
{
    struct buffer text = {0};
    table_write(table, &text, style, indent, 0);
    if (text.failed)
        fputs("(a table is missing here: not enough memory)\n", out);
    else
        fwrite(text.data, 1, text.length, out);
    buffer_free(&text);
}
