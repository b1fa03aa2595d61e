/* Lines are read back from a file that stands where stderr was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static char text[65536];

/* What `write` puts on stderr, without the time in front of it. */
static const char *logged(void (*write_lines)(void))
{
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    write_lines();
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void write_fields(void)
{
    log_event(LOG_LEVEL_INFO, "request", "method=%s status=%d ms=%.1f bytes=%zu n=%llu agent=%s", "GET", -404,
              1.25, (size_t)7, 18446744073709551615ULL, "a \"quoted\" one");
}

static void fields_are_text(void **state)
{
    (void)state;
    log_open(LOG_LEVEL_INFO, false);
    const char *line = logged(write_fields);
    assert_int_equal(strcspn(line, " "), strlen("2026-11-23T07:12:03.120Z"));
    assert_int_equal(line[23], 'Z');
    assert_string_equal(line + 24,
                        " info request method=GET status=-404 ms=1.2 bytes=7 n=18446744073709551615 "
                        "agent=\"a \\\"quoted\\\" one\"\n");
}

static void fields_are_json(void **state)
{
    (void)state;
    log_open(LOG_LEVEL_INFO, true);
    const char *line = logged(write_fields);
    assert_memory_equal(line, "{\"time\":\"20", 11);
    assert_string_equal(
        strchr(line, 'Z'),
        "Z\",\"level\":\"info\",\"event\":\"request\",\"method\":\"GET\",\"status\":-404,\"ms\":1.2,"
        "\"bytes\":7,\"n\":18446744073709551615,\"agent\":\"a \\\"quoted\\\" one\"}\n");
}

static void write_hostile(void)
{
    log_event(LOG_LEVEL_ERROR, "bad", "path=%s key=%s number=%s", "/a\r\nfake line\x1b[31m", "\xff\xfe",
              "007");
}

/* A value can neither end the line nor colour the terminal, and only true JSON numbers go without quotes. */
static void hostile_values_are_cleaned(void **state)
{
    (void)state;
    log_open(LOG_LEVEL_INFO, true);
    assert_string_equal(
        strchr(logged(write_hostile), 'Z'),
        "Z\",\"level\":\"error\",\"event\":\"bad\",\"path\":\"/a??fake line?[31m\",\"key\":\"??\","
        "\"number\":\"007\"}\n");
}

static char huge[20000];
static void write_huge(void)
{
    memset(huge, 'x', sizeof huge - 1);
    for (int i = 0; i < 5; i++)
        log_event(LOG_LEVEL_INFO, "huge", "a=%s b=%s c=%s d=%s e=%s f=%s", huge, huge, huge, huge, huge,
                  huge);
}

static void long_lines_are_cut_and_stay_lines(void **state)
{
    (void)state;
    log_open(LOG_LEVEL_INFO, false);
    const char *lines = logged(write_huge);
    int n = 0;
    for (const char *p = lines; *p; p++)
        n += *p == '\n';
    assert_int_equal(n, 5);
    assert_true(strlen(lines) <= 5 * 4096);
}

static void write_levels(void)
{
    log_event(LOG_LEVEL_DEBUG, "hidden", NULL);
    log_event(LOG_LEVEL_WARNING, "shown", NULL);
}

static void levels_below_are_silent(void **state)
{
    (void)state;
    log_open(LOG_LEVEL_WARNING, false);
    assert_string_equal(logged(write_levels) + 24, " warning shown\n");
    log_open(LOG_LEVEL_OFF, false);
    assert_string_equal(logged(write_levels), "");
}

/* A pipe that nobody reads must not stop the program; afterwards the reader learns that something is missing.
 */
static void a_full_pipe_is_not_waited_for(void **state)
{
    (void)state;
    int ends[2];
    log_open(LOG_LEVEL_INFO, false);
    assert_int_equal(pipe(ends), 0);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < 5000; i++)
        log_event(LOG_LEVEL_INFO, "filling", "number=%d", i);
    ssize_t n = 0, got;
    while ((got = read(ends[0], text, sizeof text - 1)) == (ssize_t)sizeof text - 1)
        n += got;
    n += got;
    log_event(LOG_LEVEL_INFO, "last", NULL);
    ssize_t rest = read(ends[0], text, sizeof text - 1);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    assert_true(n < 5000 * 40);
    text[rest] = '\0';
    assert_non_null(strstr(text, "info last\n(the log lost "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_text),
        cmocka_unit_test(fields_are_json),
        cmocka_unit_test(hostile_values_are_cleaned),
        cmocka_unit_test(long_lines_are_cut_and_stay_lines),
        cmocka_unit_test(levels_below_are_silent),
        cmocka_unit_test(a_full_pipe_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
