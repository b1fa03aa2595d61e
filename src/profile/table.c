#include "profile/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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
    char *copy = strdup(text);
    if (copy)
        table->cells[table->n_cells++] = copy;
    else
        table->failed = true;
}

size_t table_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void print_cell(FILE *out, const char *text, char align, size_t width, bool last)
{
    size_t own = table_width(text);
    int padding = own < width ? (int)(width - own) : 0;
    if (align == 'r')
        fprintf(out, "%*s%s", padding, "", text);
    else
        fprintf(out, "%s%*s", text, last ? 0 : padding, "");
}

static void print_rule(const struct table *table, FILE *out, const size_t *widths)
{
    fputc('|', out);
    for (size_t c = 0; c < table->n_columns; c++) {
        fputc(' ', out);
        for (size_t i = 1; i < widths[c]; i++)
            fputc('-', out);
        fputs(table->align[c] == 'r' ? ": |" : "- |", out);
    }
    fputc('\n', out);
}

void table_print(const struct table *table, FILE *out, enum table_style style, int indent)
{
    enum { MAX_COLUMNS = 32 };
    size_t widths[MAX_COLUMNS] = {0}, columns = table->n_columns;
    if (table->failed || columns == 0 || columns > MAX_COLUMNS) {
        fputs("(a table is missing here: not enough memory)\n", out);
        return;
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t width = table_width(table->cells[i]);
        if (width > widths[i % columns])
            widths[i % columns] = width;
    }
    bool markdown = style == TABLE_MARKDOWN;
    for (size_t c = 0; c < columns && markdown; c++)
        widths[c] = widths[c] < 2 ? 2 : widths[c];
    for (size_t row = 0; row < table->n_cells / columns; row++) {
        bool dim = row == 0 && style == TABLE_TEXT_COLOR;
        fprintf(out, "%*s%s", markdown ? 0 : indent, "", markdown ? "|" : dim ? "\x1b[2m" : "");
        for (size_t c = 0; c < columns; c++) {
            bool last = c + 1 == columns;
            fputs(markdown ? " " : c ? "  " : "", out);
            print_cell(out, table->cells[row * columns + c], table->align[c], widths[c], last && !markdown);
            fputs(markdown ? " |" : "", out);
        }
        fputs(dim ? "\x1b[0m\n" : "\n", out);
        if (row == 0 && markdown)
            print_rule(table, out, widths);
    }
}
