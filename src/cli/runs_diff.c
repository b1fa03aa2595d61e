/* Stored runs in a terminal, as `history` and `compare --runs` show them. Names and messages in a report may
 * be anybody's: they are cleaned before they are printed. */
#include "cli/runs_diff.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/terminal.h"
#include "profile/clean.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/pairs.h"

enum { SHORT_ID = 12, LINE_WIDTH = 110 };

void runs_line(const char *label, const char *text)
{
    struct buffer line = {0};
    clean_line(&line, text, 500);
    printf("  %-9s%s\n", label, line.data ? line.data : "");
    buffer_free(&line);
}

void runs_text_cell(struct table *table, const json_t *run, const char *name)
{
    struct buffer line = {0};
    clean_line(&line, json_get_text(run, name, "-"), 60);
    table_cell(table, "%s", line.data ? line.data : "-");
    buffer_free(&line);
}

/* "+9.8 % [+7.3, +12.1]" */
static void show_change(struct table *table, const json_t *figure)
{
    double change = json_get_number(figure, "change_pct"), low = json_get_number(figure, "ci95.0"),
           high = json_get_number(figure, "ci95.1");
    if (isnan(change))
        table_cell(table, "-");
    else if (isnan(low) || isnan(high))
        table_cell(table, "%+.1f %%", change);
    else
        table_cell(table, "%+.1f %% [%+.1f, %+.1f]", change, low, high);
}

static void show_value(struct table *table, const json_t *figure, const char *side)
{
    char number[FORMAT_MAX];
    double value = json_get_number(figure, side);
    const char *unit = json_get_text(figure, "unit", "");
    if (strcmp(unit, "bytes") == 0)
        format_bytes(number, value);
    else if (strcmp(unit, "ms") == 0)
        format_ms(number, value);
    else if (strcmp(unit, "fraction") == 0)
        format_percent(number, value);
    else
        format_number(number, value);
    table_cell(table, "%s", number);
}

/* Of a figure of which neither side is shown to be better. */
static const char *undecided(const json_t *figure)
{
    struct pairs pairs = {.low = json_get_number(figure, "ci95.0") / 100,
                          .high = json_get_number(figure, "ci95.1") / 100};
    if (json_get_is(figure, "verdict", "unknown"))
        return "-";
    return pairs_clear(&pairs) ? "no real difference" : "unclear";
}

static void print_figures(const json_t *figures)
{
    static const char *const heading[] = {"figure", "a", "b", "b against a [95 %]", "verdict"};
    struct table table;
    table_init(&table, "Lrrrl");
    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        table_cell(&table, "%s", heading[i]);
    for (size_t i = 0; i < json_array_size(figures); i++) {
        const json_t *figure = json_array_get(figures, i);
        const char *better = json_get_string(figure, "better");
        runs_text_cell(&table, figure, "name");
        show_value(&table, figure, "a");
        show_value(&table, figure, "b");
        show_change(&table, figure);
        if (better)
            table_cell(&table, "%s is better", better);
        else
            table_cell(&table, "%s", undecided(figure));
    }
    struct buffer text = {0};
    table_write(&table, &text, terminal_has_color(stdout) ? TABLE_TEXT_COLOR : TABLE_TEXT, 0, LINE_WIDTH);
    if (text.data)
        fputs(text.data, stdout);
    buffer_free(&text);
    table_free(&table);
}

static void print_flag(const json_t *flag)
{
    char *a = json_dumps(json_object_get(flag, "a"), JSON_ENCODE_ANY | JSON_COMPACT);
    char *b = json_dumps(json_object_get(flag, "b"), JSON_ENCODE_ANY | JSON_COMPACT);
    char line[256];
    snprintf(line, sizeof line, "%s: %.60s -> %.60s", json_get_text(flag, "name", ""), a ? a : "?",
             b ? b : "?");
    runs_line("flag", line);
    free(a);
    free(b);
}

void runs_diff_print(const json_t *diff)
{
    static const char *const sides[] = {"a", "b"};
    for (int k = 0; k < 2; k++) {
        const json_t *run = json_object_get(diff, sides[k]);
        char text[256];
        snprintf(text, sizeof text, "%.*s  %.20s  %.200s", SHORT_ID, json_get_text(run, "id", ""),
                 json_get_text(run, "created", ""), json_get_text(run, "model", "-"));
        runs_line(sides[k], text);
    }
    const json_t *flags = json_object_get(diff, "flags"), *warnings = json_object_get(diff, "warnings");
    for (size_t i = 0; i < json_array_size(flags); i++)
        print_flag(json_array_get(flags, i));
    for (size_t i = 0; i < json_array_size(warnings); i++)
        runs_line("note", json_string_value(json_array_get(warnings, i)));
    if (!json_get_bool(diff, "comparable", false))
        puts("  These two cannot be compared: the notes say why.");
    putchar('\n');
    print_figures(json_object_get(diff, "figures"));
}
