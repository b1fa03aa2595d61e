#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/options.h"

enum { OPTION_RAW = 300, OPTION_STOP };

static const struct cli_option options[] = {{'n', 'n', "max-tokens", "N", "how many"},
                                            {OPTION_RAW, 0, "raw", NULL, "a switch"},
                                            {OPTION_STOP, 0, "stop", "TEXT", "text"},
                                            {0, 0, NULL, NULL, NULL}};
static const struct cli_spec spec = {.command = "test",
                                     .arguments = "MODEL",
                                     .about = "",
                                     .options = options,
                                     .engine_options = true,
                                     .min_positional = 1,
                                     .max_positional = 1,
                                     .examples = ""};

/* Splits words at blanks and reads all options; the last result of cli_next. */
struct outcome {
    struct cli_parser parser;
    uint32_t n, count;
    bool raw;
    const char *stop;
    int result;
};

static struct outcome parse(const char *line)
{
    static char buffer[512];
    static char *words[32];
    int n = 0;
    snprintf(buffer, sizeof buffer, "%s", line);
    for (char *word = strtok(buffer, " "); word; word = strtok(NULL, " "))
        words[n++] = word;
    words[n] = NULL;
    struct outcome o = {.n = 0};
    cli_begin(&o.parser, &spec, n, words);
    while ((o.result = cli_next(&o.parser)) > 0) {
        o.count++;
        if (o.result == 'n')
            cli_u32(&o.parser, 1, 4096, &o.n);
        else if (o.result == OPTION_RAW)
            o.raw = true;
        else
            o.stop = o.parser.value;
    }
    return o;
}

static void reads_options_anywhere(void **state)
{
    (void)state;
    struct outcome o = parse("test -n 12 model --raw --stop=x --threads 3 --kv-bits 32 --precise");
    assert_int_equal(o.result, CLI_END);
    assert_int_equal(o.n, 12);
    assert_true(o.raw);
    assert_string_equal(o.stop, "x");
    assert_int_equal(o.count, 3); /* engine options do not come out */
    assert_int_equal(o.parser.engine.n_threads, 3);
    assert_int_equal(o.parser.engine.kv_bits, 32);
    assert_true(o.parser.engine.precise);
    assert_string_equal(o.parser.positional[0], "model");
    o = parse("test model -t4"); /* state of getopt does not leak from one parse into the next */
    assert_int_equal(o.result, CLI_END);
    assert_int_equal(o.parser.engine.n_threads, 4);
    assert_int_equal(o.n, 0);
}

static void expect_error(const char *line, const char *message)
{
    struct outcome o = parse(line);
    assert_int_equal(o.result, CLI_ERROR);
    assert_string_equal(o.parser.error.message, message);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    expect_error("test m --thraeds 2", "unknown option '--thraeds' (did you mean --threads?)");
    expect_error("test m --zzzzzz", "unknown option '--zzzzzz'");
    expect_error("test m -x", "unknown option '-x'");
    expect_error("test m -n", "-n wants a value");
    expect_error("test m --stop", "--stop wants a value");
    expect_error("test m --raw=1", "--raw takes no value");
    expect_error("test m extra", "unexpected argument 'extra'");
    expect_error("test", "MODEL is missing ('llmind list' shows what is here); usage: llmind test MODEL");
}

static void numbers_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"abc", "-1",  "0", "4097", "12x", "1e3", "99999999999999999999",
                                      "+3",  "0x10"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[64];
        snprintf(line, sizeof line, "test m --max-tokens=%s", bad[i]);
        struct outcome o = parse(line);
        assert_int_equal(o.result, CLI_ERROR);
        assert_non_null(strstr(o.parser.error.message, "a whole number from 1 to 4096"));
    }
    struct outcome o = parse("test m --ctx 0");
    assert_int_equal(o.result, CLI_ERROR);
}

static void lists_and_floats(void **state)
{
    (void)state;
    struct cli_parser parser = {.option = "p"};
    uint32_t out[3], count = 0;
    parser.value = "1,2,40";
    cli_u32_list(&parser, 0, 50, out, 3, &count);
    assert_int_equal(parser.error.code, 0);
    assert_int_equal(count, 3);
    assert_int_equal(out[2], 40);
    static const char *const bad[] = {"",        ",",  "1,",  ",1",   "1,,2",
                                      "1,2,3,4", "51", "1;2", "1, 2", "11111111111111111111111"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        parser.error.code = 0;
        parser.value = bad[i];
        cli_u32_list(&parser, 0, 50, out, 3, &count);
        assert_int_equal(parser.error.code, ERROR_INVALID);
    }
    float x = 0;
    parser.error.code = 0;
    parser.value = "0.7";
    cli_float(&parser, 0, 1, &x);
    assert_int_equal(parser.error.code, 0);
    assert_true(x > 0.69f && x < 0.71f);
    static const char *const bad_floats[] = {"", "nan", "inf", "1.5", "-0.1", "0.5x"};
    for (size_t i = 0; i < sizeof bad_floats / sizeof *bad_floats; i++) {
        parser.error.code = 0;
        parser.value = bad_floats[i];
        cli_float(&parser, 0, 1, &x);
        assert_int_equal(parser.error.code, ERROR_INVALID);
    }
}

static void flag_beats_environment(void **state)
{
    (void)state;
    setenv("LLMIND_THREADS", "5", 1);
    setenv("LLMIND_PREFILL_CHUNK", "64", 1);
    setenv("LLMIND_PRECISE", "1", 1);
    struct outcome o = parse("test m --threads 2");
    assert_int_equal(o.parser.engine.n_threads, 2);
    assert_int_equal(o.parser.engine.prefill_chunk, 64);
    assert_true(o.parser.engine.precise);
    setenv("LLMIND_PRECISE", "0", 1);
    o = parse("test m");
    assert_int_equal(o.parser.engine.n_threads, 5);
    assert_false(o.parser.engine.precise);
    setenv("LLMIND_THREADS", "many", 1);
    expect_error("test m", "LLMIND_THREADS wants a whole number from 1 to 1024, not 'many'");
    unsetenv("LLMIND_THREADS");
    unsetenv("LLMIND_PREFILL_CHUNK");
    unsetenv("LLMIND_PRECISE");
}

static void help_is_not_an_error(void **state)
{
    (void)state;
    assert_int_equal(parse("test --help").result, CLI_HELP);
    assert_int_equal(parse("test m -h").result, CLI_HELP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_options_anywhere), cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(numbers_are_checked),    cmocka_unit_test(lists_and_floats),
        cmocka_unit_test(flag_beats_environment), cmocka_unit_test(help_is_not_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
