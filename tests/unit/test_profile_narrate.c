/* What a model is told of a run, and which of its sentences are believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "profile/narrate.h"

static const char REPORT[] =
    "{\"model\": {\"name\": \"mlx-community/Llama-3.2-1B-4bit\"},"
    " \"summary\": {\"decode_tokens_per_second\": 16.78, \"prefill_tokens_per_second\": 61.568, \"ttft_ms\": "
    "1340.85,"
    "               \"mbu\": 0.8385, \"mfu\": null, \"mfu_reason\": \"not measured\"},"
    " \"machine\": {\"cores_allowed\": 2, \"quota_cores\": null}, \"flags\": {\"threads\": 2},"
    " \"host\": {\"steal_fraction\": 0.004, \"temperature_c\": null},"
    " \"analysis\": {\"bottlenecks\": ["
    "   {\"id\": \"kv_cache\", \"title\": \"Long contexts slow decoding down\", \"explanation\": \"17 % "
    "longer.\","
    "    \"principal\": false},"
    "   {\"id\": \"memory_bandwidth\", \"title\": \"Decoding is bound by memory bandwidth\","
    "    \"explanation\": \"Every token reads 697 MB, and decoding uses 84 % of 14.2 GB/s.\", \"principal\": "
    "true}],"
    "  \"recommendations\": [{\"id\": \"x\", \"text\": \"Serve up to 4 requests at once.\"}]}}";

static json_t *report_of(const char *text)
{
    json_t *report = json_loads(text, 0, NULL);
    assert_non_null(report);
    return report;
}

static void test_short_form(void **state)
{
    (void)state;
    struct error error = {0};
    json_t *report = report_of(REPORT);
    char *figures = narrate_figures(report, true, &error);
    assert_string_equal(figures,
                        "model: my-model\ndecode_tok_s: 16.8\nprefill_tok_s: 62\nttft_ms: 1341\n"
                        "mbu_pct: 84\ncores: 2\nthreads: 2\nsteal_pct: 0\nbottleneck: memory_bandwidth\n");
    char *messages = narrate_messages(figures, true);
    json_t *list = report_of(messages);
    assert_int_equal(json_array_size(list), 1);
    const char *content = json_string_value(json_object_get(json_array_get(list, 0), "content"));
    assert_int_equal(strncmp(content, "Explain this report.\nmodel: ", 28), 0);
    assert_int_equal(content[strlen(content) - 1], 'h'); /* no line is left open */
    json_decref(list);
    free(messages);
    free(figures);
    json_decref(report);
}

static void test_long_form(void **state)
{
    (void)state;
    struct error error = {0};
    json_t *report = report_of(REPORT);
    char *figures = narrate_figures(report, false, &error);
    assert_non_null(strstr(figures, "\nprincipal bottleneck: Every token reads 697 MB"));
    assert_non_null(strstr(figures, "\nalso: 17 % longer.\n"));
    assert_non_null(strstr(figures, "\nadvice: Serve up to 4 requests at once.\n"));
    char *messages = narrate_messages(figures, false);
    json_t *list = report_of(messages);
    assert_int_equal(json_array_size(list), 2);
    json_decref(list);
    free(messages);
    free(figures);
    json_decref(report);
}

static void test_nothing_to_say(void **state)
{
    (void)state;
    static const char *const reports[] = {
        "{}", "{\"analysis\": null, \"summary\": {\"decode_tokens_per_second\": 3}}",
        "{\"analysis\": {}, \"summary\": {\"decode_tokens_per_second\": null}}",
        "{\"analysis\": [], \"summary\": 7}"};
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        struct error error = {0};
        json_t *report = report_of(reports[i]);
        assert_null(narrate_figures(report, i % 2, &error));
        assert_int_equal(error.code, ERROR_UNSUPPORTED);
        json_decref(report);
    }
}

/* What is kept of an answer; kept: sentences that must be, in order, NULL at the end. */
static void check(const char *answer, const char *text, int left_out)
{
    struct error error = {0};
    json_t *report = report_of(REPORT);
    char *figures = narrate_figures(report, false, &error);
    json_t *told = narrate_check(report, figures, answer);
    const char *kept = json_string_value(json_object_get(told, "text"));
    if (text)
        assert_string_equal(kept ? kept : "(nothing)", text);
    else
        assert_null(kept);
    assert_int_equal(json_integer_value(json_object_get(told, "left_out")), left_out);
    assert_true(kept || json_is_string(json_object_get(told, "text_reason")));
    json_decref(told);
    free(figures);
    json_decref(report);
}

static void test_figures_that_are_there(void **state)
{
    (void)state;
    check("It decodes at 16.8 tok/s. It reads 697 MB.", "It decodes at 16.8 tok/s. It reads 697 MB.", 0);
    check("About 17 tok/s, 84 % of 14.2 GB/s!", "About 17 tok/s, 84 % of 14.2 GB/s!",
          0);                                                             /* rounded as far as it is */
    check("Llama-3.2-1B-4bit is fine.", "Llama-3.2-1B-4bit is fine.", 0); /* the name's own digits */
    check("The first token takes 1,341 ms.", "The first token takes 1,341 ms.", 0);
    check("It takes 1\xE2\x80\xAF"
          "341 ms.",
          "It takes 1\xE2\x80\xAF"
          "341 ms.",
          0);
}

static void test_figures_that_are_not(void **state)
{
    (void)state;
    check("It decodes at 16.8 tok/s. It needs 32 GB.", "It decodes at 16.8 tok/s.", 1);
    check("It decodes at 16.9 tok/s.", NULL, 1);
    check("It decodes at 16.78 tok/s.", NULL, 1); /* it was told 16.8 */
    check("1.341 ms. Fine.", "Fine.", 1);
    check("Try 8-bit.", NULL, 1);
    check("It takes 341 ms.", NULL, 1); /* a part of 1,341 is another number */
    check("", NULL, 0);
    check("\n\n  \n", NULL, 0);
}

static void test_another_bottleneck(void **state)
{
    (void)state;
    check("The principal bottleneck is memory bandwidth.", "The principal bottleneck is memory bandwidth.",
          0);
    check("The bottleneck is heat, which slows decoding.", NULL, 1);
    check("Bottleneck: heat.", NULL, 1);
    check("The bottleneck: bandwidth of the memory.", "The bottleneck: bandwidth of the memory.", 0);
    check("The principal bottleneck is memory bandwidth, and heat.", NULL, 1);
    check("It is slow. The bottleneck is heat. Let it cool.", "It is slow.",
          2); /* nor what follows from it */
}

/* The built-in model is told of "my-model". */
static void test_the_name_comes_back(void **state)
{
    (void)state;
    struct error error = {0};
    json_t *report = report_of(REPORT);
    char *figures = narrate_figures(report, true, &error);
    json_t *told = narrate_check(report, figures, "my-model decodes at 16.8 tok/s. my-model is fine.");
    assert_string_equal(json_string_value(json_object_get(told, "text")),
                        "Llama-3.2-1B-4bit decodes at 16.8 tok/s. Llama-3.2-1B-4bit is fine.");
    json_decref(told);
    free(figures);
    json_decref(report);
}

static void test_lists_and_lines(void **state)
{
    (void)state;
    check("# Summary\n1. It is slow\n2. It reads 697 MB.\n- Serve 4 at once.",
          "Summary It is slow It reads 697 MB. Serve 4 at once.", 0);
    char many[4096] = "";
    for (int i = 0; i < 200; i++)
        strcat(many, "It is so. ");
    struct error error = {0};
    json_t *report = report_of(REPORT);
    char *figures = narrate_figures(report, false, &error);
    json_t *told = narrate_check(report, figures, many);
    assert_int_equal(json_array_size(json_object_get(told, "sentences")), NARRATE_SENTENCES);
    json_decref(told);
    free(figures);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_form),           cmocka_unit_test(test_long_form),
        cmocka_unit_test(test_nothing_to_say),       cmocka_unit_test(test_figures_that_are_there),
        cmocka_unit_test(test_figures_that_are_not), cmocka_unit_test(test_another_bottleneck),
        cmocka_unit_test(test_lists_and_lines),      cmocka_unit_test(test_the_name_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
