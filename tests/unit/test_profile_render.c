/* Every format of every kind of report: the same figures, nothing that breaks out of its format, and no
 * report that brings a renderer down. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "profile/clean.h"
#include "profile/render.h"
#include "support/report_fixture.h"

static struct buffer render(const json_t *report, enum report_format format, bool color)
{
    struct buffer out = {0};
    struct error error = {0};
    if (report_render(report, format, color, &out, &error) != 0)
        fail_msg("%s: %s", report_format_extension(format), error.message);
    assert_false(out.failed);
    return out;
}

static struct buffer render_fixture(const char *name, enum report_format format)
{
    json_t *report = report_fixture(name);
    assert_non_null(report);
    struct buffer out = render(report, format, false);
    json_decref(report);
    return out;
}

static void formats_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < REPORT_FORMATS; i++) {
        assert_int_equal(report_format_find(report_format_extension((enum report_format)i)), i);
        assert_non_null(strchr(report_format_content_type((enum report_format)i), '/'));
    }
    assert_int_equal(report_format_find("docx"), -1);
    assert_int_equal(report_format_find(""), -1);
}

static void every_format_of_every_report(void **state)
{
    (void)state;
    static const char *const begins[REPORT_FORMATS] = {
        [REPORT_JSON] = "{",
        [REPORT_CSV] = "run_id,created,model,of,id,label,repeat,",
        [REPORT_MARKDOWN] = "# LLMind ",
        [REPORT_TEXT] = "",
        [REPORT_HTML] = "<!DOCTYPE html>",
        [REPORT_PDF] = "%PDF-",
        [REPORT_PNG] = "\x89PNG",
        [REPORT_SVG] = "<?xml",
    };
    for (int i = 0; i < N_REPORT_FIXTURES; i++)
        for (int f = 0; f < REPORT_FORMATS; f++) {
            struct buffer out = render_fixture(REPORT_FIXTURES[i], (enum report_format)f);
            assert_true(out.length > 200);
            assert_memory_equal(out.data, begins[f], strlen(begins[f]));
            if (f != REPORT_PDF && f != REPORT_PNG)
                assert_true(utf8_is_valid(out.data, out.length));
            buffer_free(&out);
        }
}

static void a_terminal_has_100_columns(void **state)
{
    (void)state;
    for (int i = 0; i < N_REPORT_FIXTURES; i++) {
        struct buffer out = render_fixture(REPORT_FIXTURES[i], REPORT_TEXT);
        char *rest = out.data;
        for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
            assert_true(clean_width(line) <= 100);
            for (char *c = line; *c; c++)
                assert_true((unsigned char)*c >= 0x20 && *c != 0x7F);
        }
        buffer_free(&out);
    }
}

static void color_only_when_asked(void **state)
{
    (void)state;
    json_t *report = report_fixture("full");
    struct buffer colored = render(report, REPORT_TEXT, true), plain = render(report, REPORT_TEXT, false);
    assert_non_null(strchr(colored.data, '\x1b'));
    assert_null(strchr(plain.data, '\x1b'));
    buffer_free(&colored);
    buffer_free(&plain);
    json_decref(report);
}

/* A figure of the report as all readers must see it. */
static void the_same_figures_everywhere(void **state)
{
    (void)state;
    static const enum report_format formats[] = {REPORT_TEXT, REPORT_MARKDOWN, REPORT_HTML};
    static const char *const shown[] = {"Llama-3.2-1B-Instruct-4bit",
                                        "1.24 B parameters",
                                        "AMD EPYC 9B14",
                                        "decode 128 @ 4096",
                                        "no real difference",
                                        "4 at once",
                                        "+117 %",
                                        "Decoding is bound by memory bandwidth",
                                        "done again",
                                        "1.01 GB"};
    json_t *report = report_fixture("full");
    char decode[40];
    double mean = json_number_value(json_object_get(
        json_object_get(json_object_get(json_array_get(json_object_get(report, "tests"), 4), "summary"),
                        "decode_tokens_per_second"),
        "mean"));
    snprintf(decode, sizeof decode, "%.1f ± ", mean);
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        struct buffer out = render(report, formats[f], false);
        assert_non_null(strstr(out.data, decode));
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
            if (!strstr(out.data, shown[i]))
                fail_msg("%s is not in the %s", shown[i], report_format_extension(formats[f]));
        buffer_free(&out);
    }
    json_decref(report);
}

/* Less is better for the time to the first token: a report that says "lower" there is no bad news. */
static void better_is_told_from_higher(void **state)
{
    (void)state;
    struct buffer out = render_fixture("full", REPORT_TEXT);
    char *row = strstr(out.data, "known prompt");
    assert_non_null(row);
    *strchr(row, '\n') = '\0';
    assert_non_null(strstr(row, "TTFT ms"));
    assert_non_null(strstr(row, "-84 %"));
    assert_non_null(strstr(row, "better"));
    buffer_free(&out);
    out = render_fixture("full", REPORT_TEXT);
    row = strstr(out.data, "\n  1 thread") + 1;
    *strchr(row, '\n') = '\0';
    assert_non_null(strstr(row, "worse"));
    buffer_free(&out);
}

/* A wide interval is no sameness, and the best of a disturbed run is to be measured again. */
static void a_verdict_says_what_it_is_worth(void **state)
{
    (void)state;
    json_t *report = report_fixture("full"), *list = json_object_get(report, "configurations"), *item;
    struct buffer out = render(report, REPORT_MARKDOWN, false);
    assert_null(strstr(out.data, "unclear"));
    assert_null(strstr(out.data, "quiet machine"));
    buffer_free(&out);
    size_t i, same = 0;
    json_array_foreach(list, i, item) {
        if (strcmp(json_string_value(json_object_get(item, "verdict")), "no_real_difference") != 0)
            continue;
        json_object_set_new(item, "ci95", json_pack("[f, f]", -15.0, 15.5));
        same++;
    }
    assert_true(same > 0);
    json_t *found = json_array_get(json_object_get(json_object_get(report, "analysis"), "bottlenecks"), 0);
    json_object_set_new(found, "id", json_string("busy_host"));
    out = render(report, REPORT_MARKDOWN, false);
    assert_non_null(strstr(out.data, "unclear"));
    assert_null(strstr(out.data, "| no real difference"));
    assert_non_null(strstr(out.data, "against the baseline; measured while others took the processors"));
    buffer_free(&out);
    json_decref(report);
}

static void what_is_unknown_says_why(void **state)
{
    (void)state;
    struct buffer out = render_fixture("remote", REPORT_TEXT);
    assert_non_null(strstr(out.data, "a remote target is a black box"));
    assert_non_null(strstr(out.data, "measured from AMD EPYC"));
    buffer_free(&out);
    out = render_fixture("failed", REPORT_HTML);
    assert_non_null(strstr(out.data, "it is cut short; download it again"));
    buffer_free(&out);
    out = render_fixture("failed", REPORT_TEXT);
    assert_null(strstr(out.data, "0 tok/s")); /* never a zero for what was not measured */
    buffer_free(&out);
    out = render_fixture("compare", REPORT_MARKDOWN);
    assert_non_null(strstr(out.data, "failed |"));
    assert_non_null(strstr(out.data, "broken-model: model.safetensors"));
    buffer_free(&out);
}

/* ---- escaping ---- */

static void html_stays_text(void **state)
{
    (void)state;
    struct buffer out = render_fixture("hostile", REPORT_HTML);
    assert_null(strstr(out.data, "<script"));
    assert_null(strstr(out.data, "<img"));
    assert_non_null(strstr(out.data, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_null(strstr(out.data, "http-equiv=\"refresh"));
    assert_null(strstr(out.data, "src=\""));
    assert_non_null(strstr(out.data, "default-src 'none'"));
    buffer_free(&out);
    out = render_fixture("hostile", REPORT_MARKDOWN);
    assert_null(strstr(out.data, "[click](javascript"));
    for (const char *at = out.data; (at = strstr(at, "<script")) != NULL; at++)
        assert_true(at > out.data && at[-1] == '\\');
    buffer_free(&out);
}

/* Reads one CSV cell as RFC 4180 has it; NULL at the end of the line. */
static char *cell(char **at, bool *quoted)
{
    static char value[8192];
    size_t n = 0;
    if (!*at)
        return NULL;
    *quoted = **at == '"';
    if (*quoted) {
        for (++*at; **at && !(**at == '"' && (*at)[1] != '"'); ++*at) {
            *at += **at == '"';
            assert_true(n < sizeof value - 1);
            value[n++] = **at;
        }
        assert_int_equal(**at, '"');
        ++*at;
    } else {
        while (**at && **at != ',' && **at != '\r') {
            assert_true(n < sizeof value - 1);
            value[n++] = *(*at)++;
        }
    }
    value[n] = '\0';
    *at = **at == ',' ? *at + 1 : NULL;
    return value;
}

static void csv_has_no_formulas(void **state)
{
    (void)state;
    for (int i = 0; i < N_REPORT_FIXTURES; i++) {
        struct buffer out = render_fixture(REPORT_FIXTURES[i], REPORT_CSV);
        char *rest = out.data;
        size_t lines = 0, columns = 0;
        for (char *end; (end = strstr(rest, "\r\n")) != NULL; rest = end + 2, lines++) {
            *end = '\0';
            char *at = rest;
            bool quoted;
            size_t n = 0;
            for (char *value; (value = cell(&at, &quoted)) != NULL; n++) {
                char *number_end;
                if (quoted)
                    assert_null(*value ? strchr("=+-@\t\r", *value) : NULL);
                else if (lines > 0 && *value) { /* bare: a number */
                    strtod(value, &number_end);
                    assert_int_equal(*number_end, '\0');
                }
            }
            columns = columns ? columns : n;
            assert_int_equal(n, columns);
        }
        assert_string_equal(rest, "");
        assert_true(lines > 1 || strcmp(REPORT_FIXTURES[i], "failed") == 0);
        buffer_free(&out);
    }
}

static void csv_has_a_line_for_each_sample(void **state)
{
    (void)state;
    json_t *report = report_fixture("full");
    size_t wanted = 1, lines = 0, i;
    json_t *item;
    json_array_foreach(json_object_get(report, "tests"), i, item)
        wanted += json_array_size(json_object_get(item, "samples"));
    json_array_foreach(json_object_get(report, "configurations"), i, item) {
        size_t samples = json_array_size(json_object_get(item, "samples"));
        wanted += samples ? samples : 1; /* one that failed has a line that says so */
    }
    struct buffer out = render(report, REPORT_CSV, false);
    for (char *at = out.data; (at = strstr(at, "\r\n")) != NULL; at += 2)
        lines++;
    assert_int_equal(lines, wanted);
    assert_non_null(
        strstr(out.data, "\"error\",\"transparent huge pages are switched off on this machine\""));
    buffer_free(&out);
    json_decref(report);
}

static void json_comes_back_the_same(void **state)
{
    (void)state;
    json_t *report = report_fixture("compare");
    struct buffer out = render(report, REPORT_JSON, false);
    json_t *again = json_loads(out.data, 0, NULL);
    assert_true(json_equal(report, again));
    assert_non_null(strstr(out.data, "\n  \"kind\": \"compare\""));
    json_decref(again);
    json_decref(report);
    buffer_free(&out);
}

/* ---- reports that are none, or broken ---- */

static void what_is_no_report_is_refused(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct error error;
    json_t *list = json_array(), *other = json_pack("{s:s}", "schema", "llmind.report/2");
    buffer_text(&out, "before");
    for (int f = 0; f < REPORT_FORMATS; f++) {
        assert_int_equal(report_render(list, (enum report_format)f, false, &out, &error), ERROR_INVALID);
        assert_int_equal(report_render(NULL, (enum report_format)f, false, &out, &error), ERROR_INVALID);
        assert_int_equal(report_render(other, (enum report_format)f, false, &out, &error), ERROR_INVALID);
        assert_non_null(strstr(error.message, "schema"));
    }
    assert_string_equal(out.data, "before");
    buffer_free(&out);
    json_decref(list);
    json_decref(other);
}

enum { DOCUMENTS = 1 }; /* with HTML and PDF, which draw all charts and take longer */

static void render_all(const json_t *report, int what)
{
    static const enum report_format formats[] = {REPORT_TEXT, REPORT_MARKDOWN, REPORT_CSV, REPORT_HTML,
                                                 REPORT_PDF};
    for (int i = 0; i < (what == DOCUMENTS ? 5 : 3); i++) {
        struct buffer out = {0};
        struct error error = {0};
        bool named = json_is_string(json_object_get(report, "schema")) &&
                     strcmp(json_string_value(json_object_get(report, "schema")), "llmind.report/1") == 0;
        int rc = report_render(report, formats[i], false, &out, &error);
        if (rc != (named ? 0 : ERROR_INVALID))
            fail_msg("%s: %s", report_format_extension(formats[i]), error.message);
        buffer_free(&out);
    }
    report_check(report, NULL);
}

static json_t *wrong_value(int kind)
{
    switch (kind) {
    case 0:
        return json_null();
    case 1:
        return json_string("\x1b[2J<script>=1+1");
    case 2:
        return json_real(-1e308);
    case 3:
        return json_pack("[[], {}, n, i, s]", 9, "x");
    case 4:
        return json_pack("{s:{s:[]}, s:b}", "a", "b", "n", 1);
    default:
        return json_true();
    }
}

/* Puts wrong values in the place of every member, one at a time, down to a depth: each kind of them near the
 * top, one kind further down. Of arrays the first element stands for all. */
static size_t spoil(json_t *report, json_t *value, int depth, int max_depth)
{
    size_t n = 0;
    if (json_is_array(value)) {
        json_t *first = json_array_get(value, 0);
        for (int kind = 0; first && kind < 6; kind++, n++) {
            json_incref(first);
            json_array_set_new(value, 0, wrong_value(kind));
            render_all(report, 0);
            json_array_set_new(value, 0, first);
        }
        return n + (first ? spoil(report, first, depth, max_depth) : 0);
    }
    if (!json_is_object(value) || depth > max_depth)
        return 0;
    size_t n_keys = json_object_size(value), i = 0;
    char(*keys)[80] = calloc(n_keys ? n_keys : 1, sizeof *keys);
    const char *key;
    json_t *item;
    json_object_foreach(value, key, item)
        snprintf(keys[i++], sizeof *keys, "%s", key);
    for (i = 0; i < n_keys; i++) {
        item = json_object_get(value, keys[i]);
        for (int kind = depth < 2 ? 0 : (int)i % 6; kind < 6; kind += depth < 2 ? 1 : 6, n++) {
            json_incref(item);
            json_object_set_new(value, keys[i], wrong_value(kind));
            render_all(report, depth == 0 && kind == 3 && json_object_size(item) > 2 ? DOCUMENTS : 0);
            json_object_set_new(value, keys[i], item);
        }
        n += spoil(report, item, depth + 1, max_depth);
    }
    free(keys);
    return n;
}

/* Shorter lists of samples: many reports are rendered. */
static void shorten(json_t *value)
{
    size_t i;
    json_t *item;
    const char *key;
    if (json_is_array(value)) {
        while (json_array_size(value) > 3)
            json_array_remove(value, 3);
        json_array_foreach(value, i, item)
            shorten(item);
    }
    if (json_is_object(value))
        json_object_foreach(value, key, item)
            shorten(item);
}

static void members_of_the_wrong_type_break_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"full", "compare"};
    for (size_t i = 0; i < 2; i++) {
        json_t *report = report_fixture(names[i]);
        shorten(report);
        json_object_del(report, "traces"); /* nothing shows them */
        size_t n = spoil(report, report, 0, 3);
        assert_true(n > 200);
        json_decref(report);
    }
}

static void missing_members_break_nothing(void **state)
{
    (void)state;
    json_t *report = json_pack("{s:s}", "schema", "llmind.report/1");
    render_all(report, DOCUMENTS);
    json_decref(report);
    report = report_fixture("quick");
    while (json_object_size(report) > 1) {
        const char *key = json_object_iter_key(json_object_iter(report));
        if (strcmp(key, "schema") == 0) /* goes to the end of the order */
            key = json_object_iter_key(json_object_iter_next(report, json_object_iter(report)));
        json_object_del(report, key);
        render_all(report, json_object_size(report) % 4 == 0 ? DOCUMENTS : 0);
    }
    json_decref(report);
}

/* ---- check ---- */

static void good_reports_are_accepted(void **state)
{
    (void)state;
    for (int i = 0; i < N_REPORT_FIXTURES; i++) {
        struct error error = {0};
        json_t *report = report_fixture(REPORT_FIXTURES[i]);
        int rc = report_check(report, &error);
        if (strcmp(REPORT_FIXTURES[i], "hostile") == 0)
            assert_int_equal(rc, ERROR_INVALID); /* its model has a name of pages */
        else if (rc != 0)
            fail_msg("%s: %s", REPORT_FIXTURES[i], error.message);
        json_decref(report);
    }
}

static void expect_refused(const char *member, json_t *value, const char *named)
{
    struct error error = {0};
    json_t *report = report_fixture("quick");
    if (value)
        json_object_set_new(report, member, value);
    else
        json_object_del(report, member);
    assert_int_equal(report_check(report, &error), ERROR_INVALID);
    if (strncmp(error.message, named, strlen(named)) != 0)
        fail_msg("'%s' does not begin with '%s'", error.message, named);
    json_decref(report);
}

static void the_check_names_what_is_wrong(void **state)
{
    (void)state;
    expect_refused("schema", json_string("llmind.report/2"), "schema: ");
    expect_refused("schema", NULL, "schema: ");
    expect_refused("kind", NULL, "kind: ");
    expect_refused("kind", json_string("load"), "kind: ");
    expect_refused("status", json_string("running"), "status: ");
    expect_refused("mode", json_integer(1), "mode: ");
    expect_refused("created", json_string("yesterday"), "created: ");
    expect_refused("created", json_string("2026-11-23T12:41:07+01"), "created: ");
    expect_refused("duration_s", json_real(-1), "duration_s: ");
    expect_refused("duration_s", json_null(), "duration_s: ");
    expect_refused("tests", NULL, "tests: is missing");
    expect_refused("tests", json_object(), "tests: must be an array");
    expect_refused("tests", json_pack("[i]", 1), "tests[0]: must be an object");
    expect_refused("tests", json_pack("[{s:s}]", "id", "x"), "tests[0]: samples");
    expect_refused("tests", json_pack("[{s:[]}]", "samples"), "tests[0]: id");
    expect_refused("summary", json_null(), "summary: must be an object");
    expect_refused("analysis", json_array(), "analysis: must be an object");
    expect_refused("configurations", json_object(), "configurations: must be an array");
    expect_refused("message", json_integer(3), "message: must be a string");
    expect_refused("model", json_null(), "model.name: ");
    expect_refused("model", json_pack("{s:i}", "name", 1), "model.name: ");
    json_t *list = json_array();
    assert_int_equal(report_check(list, NULL), ERROR_INVALID);
    assert_int_equal(report_check(NULL, NULL), ERROR_INVALID);
    json_decref(list);
}

static void the_check_bounds_size_and_depth(void **state)
{
    (void)state;
    json_t *deep = json_array();
    for (int i = 0; i < 40; i++)
        deep = json_pack("[o]", deep);
    expect_refused("notes", deep, "the report is too large: it is nested");
    char *text = calloc(1, (1 << 20) + 2);
    memset(text, 'x', (1 << 20) + 1);
    expect_refused("message", json_string(text), "the report is too large: a text");
    free(text);
    json_t *many = json_array();
    for (int i = 0; i < 2000001; i++)
        json_array_append_new(many, json_null());
    expect_refused("notes", many, "the report is too large: it holds more");
    json_t *tests = json_array();
    for (int i = 0; i < 1001; i++)
        json_array_append_new(tests, json_pack("{s:s, s:[]}", "id", "x", "samples"));
    expect_refused("tests", tests, "tests: at most 1000");
}

/* ---- threads ---- */

static void *render_each(void *report)
{
    for (int f = 0; f < REPORT_FORMATS; f++) {
        struct buffer out = {0};
        if (report_render(report, (enum report_format)f, false, &out, NULL) != 0)
            return report;
        buffer_free(&out);
    }
    return NULL;
}

static void many_threads_at_once(void **state)
{
    (void)state;
    json_t *report = report_fixture("quick");
    pthread_t threads[3];
    /* cairo asks for the local time; without TZ the C library reads the zone anew each time, under a lock of
     * its own that the thread sanitizer does not see. */
    setenv("TZ", "UTC", 1);
    tzset();
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, render_each, report), 0);
    for (int i = 0; i < 3; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(every_format_of_every_report),
        cmocka_unit_test(a_terminal_has_100_columns),
        cmocka_unit_test(color_only_when_asked),
        cmocka_unit_test(the_same_figures_everywhere),
        cmocka_unit_test(better_is_told_from_higher),
        cmocka_unit_test(a_verdict_says_what_it_is_worth),
        cmocka_unit_test(what_is_unknown_says_why),
        cmocka_unit_test(html_stays_text),
        cmocka_unit_test(csv_has_no_formulas),
        cmocka_unit_test(csv_has_a_line_for_each_sample),
        cmocka_unit_test(json_comes_back_the_same),
        cmocka_unit_test(what_is_no_report_is_refused),
        cmocka_unit_test(members_of_the_wrong_type_break_nothing),
        cmocka_unit_test(missing_members_break_nothing),
        cmocka_unit_test(good_reports_are_accepted),
        cmocka_unit_test(the_check_names_what_is_wrong),
        cmocka_unit_test(the_check_bounds_size_and_depth),
        cmocka_unit_test(many_threads_at_once),
    };
#if defined(__SANITIZE_THREAD__)
    cmocka_set_test_filter(
        "many_threads_at_once"); /* the others start no thread, and take a minute and a half */
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
