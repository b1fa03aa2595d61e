#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/line.h"
#include "cli/terminal.h"

static void expect_clean(const char *text, const char *expected)
{
    char out[256];
    size_t n = terminal_clean(text, strlen(text), out);
    out[n] = '\0';
    assert_string_equal(out, expected);
}

static void escapes_are_taken_out(void **state)
{
    (void)state;
    expect_clean("plain\ttext\n", "plain\ttext\n");
    expect_clean("\x1b[2J", "\xEF\xBF\xBD[2J");
    expect_clean("a\rb\x07", "a\xEF\xBF\xBD"
                             "b\xEF\xBF\xBD");
    expect_clean("\xC2\x9B"
                 "31m",
                 "\xEF\xBF\xBD"
                 "31m");                                          /* C1: the one-character CSI */
    expect_clean("\xC2\xA0\xE2\x82\xAC", "\xC2\xA0\xE2\x82\xAC"); /* no-break space and euro stay */
}

/* A reader over a pipe that already holds this text and is closed. */
static struct line_reader reader_of(const char *text)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    close(ends[1]);
    return (struct line_reader){.descriptor = ends[0], .interrupt = -1};
}

static void lines(void **state)
{
    (void)state;
    struct line_reader reader = reader_of("one\n\ntwo");
    static const char *const expected[] = {"one", "", "two"};
    char *line;
    size_t length;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(line_read(&reader, &line, &length), LINE_READ);
        assert_string_equal(line, expected[i]);
        assert_int_equal(length, strlen(expected[i]));
        free(line);
    }
    assert_int_equal(line_read(&reader, &line, &length), LINE_END);
    assert_null(line);
    close(reader.descriptor);
}

static void a_line_longer_than_the_buffer(void **state)
{
    (void)state;
    enum { LENGTH = 3 * LINE_BUFFER + 5 };
    char *text = malloc(LENGTH + 2);
    memset(text, 'x', LENGTH);
    text[LENGTH] = '\n';
    text[LENGTH + 1] = '\0';
    struct line_reader reader = reader_of(text);
    char *line;
    size_t length;
    assert_int_equal(line_read(&reader, &line, &length), LINE_READ);
    assert_int_equal(length, LENGTH);
    free(line);
    free(text);
    close(reader.descriptor);
}

/* What came before the wait counts: nothing else would end it. */
static void an_interrupt_ends_the_wait(void **state)
{
    (void)state;
    int typed[2], interrupts[2];
    assert_int_equal(pipe(typed), 0);
    assert_int_equal(pipe(interrupts), 0);
    assert_int_equal(write(typed[1], "half a line", 11), 11);
    assert_int_equal(write(interrupts[1], "", 1), 1);
    struct line_reader reader = {.descriptor = typed[0], .interrupt = interrupts[0]};
    char *line;
    size_t length;
    assert_int_equal(line_read(&reader, &line, &length), LINE_INTERRUPTED);
    assert_null(line);
    for (int i = 0; i < 2; i++) {
        close(typed[i]);
        close(interrupts[i]);
    }
}

static void a_closed_descriptor_fails(void **state)
{
    (void)state;
    struct line_reader reader = {.descriptor = -1, .interrupt = -1};
    char *line;
    size_t length;
    alarm(20); /* it once waited for ever */
    assert_int_equal(line_read(&reader, &line, &length), LINE_FAILED);
    assert_null(line);

    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    close(ends[1]);
    reader = (struct line_reader){.descriptor = ends[0], .interrupt = -1};
    assert_int_equal(line_read(&reader, &line, &length), LINE_FAILED);
    assert_null(line);
    alarm(0);
}

/* Without the one that interrupts, what is typed still comes. */
static void a_closed_interrupt_is_none(void **state)
{
    (void)state;
    int interrupts[2];
    struct line_reader reader = reader_of("typed");
    assert_int_equal(pipe(interrupts), 0);
    close(interrupts[0]);
    close(interrupts[1]);
    reader.interrupt = interrupts[0];
    char *line;
    size_t length;
    assert_int_equal(line_read(&reader, &line, &length), LINE_READ);
    assert_string_equal(line, "typed");
    free(line);
    close(reader.descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_taken_out),         cmocka_unit_test(lines),
        cmocka_unit_test(a_line_longer_than_the_buffer), cmocka_unit_test(an_interrupt_ends_the_wait),
        cmocka_unit_test(a_closed_descriptor_fails),     cmocka_unit_test(a_closed_interrupt_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
