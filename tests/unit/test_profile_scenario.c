#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "profile/scenario.h"

static const struct scenario *find(const struct scenario_list *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].id, id) == 0)
            return &list->items[i];
    return NULL;
}

static void everything_when_there_is_room(void **state)
{
    (void)state;
    struct scenario_request request = {.context = 8192, .runs = 4, .prefill_tps = 1000, .decode_tps = 100};
    struct scenario_list list;
    scenario_plan(&request, &list);
    assert_int_equal(list.count, 7);
    assert_non_null(find(&list, "simple"));
    assert_non_null(find(&list, "medium"));
    assert_non_null(find(&list, "complex"));
    assert_int_equal(find(&list, "prefill_512")->prompt_tokens, 512);
    assert_int_equal(find(&list, "prefill_512")->max_tokens, 1);
    assert_int_equal(find(&list, "decode_128_at_0")->prompt_tokens, 1);
    assert_int_equal(find(&list, "decode_128_at_0")->max_tokens, 129);
    assert_int_equal(find(&list, "decode_128_at_4096")->prompt_tokens, 4096);
    assert_int_equal(list.n_cuts, 0);
    assert_string_equal(find(&list, "decode_128_at_1024")->label, "decode 128 @ 1024");
}

static void nothing_beyond_the_context(void **state)
{
    (void)state;
    for (uint32_t context = 20; context < 5000; context += 61) {
        struct scenario_request request = {
            .context = context, .runs = 3, .prefill_tps = NAN, .decode_tps = NAN};
        struct scenario_list list;
        scenario_plan(&request, &list);
        size_t decode = 0;
        for (size_t i = 0; i < list.count; i++) {
            if (list.items[i].kind == SCENARIO_PROMPT)
                continue;
            assert_true(list.items[i].prompt_tokens + list.items[i].max_tokens <= context);
            decode += list.items[i].kind == SCENARIO_DECODE;
        }
        assert_true(decode >= 1);
    }
}

static void answers_are_cut_to_the_context(void **state)
{
    (void)state;
    static const char *const prompts[] = {"a prompt of forty characters, not a word",
                                          "one that is too long for this little context, however short the "
                                          "answer to it may be, so that the engine has to say so"};
    struct scenario_request request = {.prompts = prompts, .n_prompts = 2, .context = 64, .runs = 3};
    struct scenario_list list;
    scenario_plan(&request, &list);
    assert_int_equal(list.items[0].prompt_tokens + list.items[0].max_tokens, 64);
    assert_int_equal(list.items[1].max_tokens, 8);
    request.context = 8192;
    scenario_plan(&request, &list);
    assert_int_equal(list.items[0].max_tokens, SCENARIO_ANSWER_TOKENS);
}

static void own_prompts_come_instead(void **state)
{
    (void)state;
    static const char *const prompts[] = {"one", "two"};
    struct scenario_request request = {.prompts = prompts, .n_prompts = 2, .context = 2048, .runs = 3};
    struct scenario_list list;
    scenario_plan(&request, &list);
    assert_null(find(&list, "simple"));
    assert_string_equal(find(&list, "prompt_2")->prompt, "two");
}

static void cuts_in_the_stated_order(void **state)
{
    (void)state;
    struct scenario_request request = {
        .context = 8192, .runs = 3, .budget_s = 50, .prefill_tps = 400, .decode_tps = 80};
    struct scenario_list list;
    scenario_plan(&request, &list);
    /* 4096 / 400 * 3 = 31 s for the deepest prompt alone: it goes, and that is enough */
    assert_int_equal(list.n_cuts, 1);
    assert_string_equal(list.cuts[0], "decode at depth 4096 left out");
    assert_true(list.expected_s <= 50);
    assert_null(find(&list, "decode_128_at_4096"));

    request.prefill_tps = 100;
    request.decode_tps = 10;
    scenario_plan(&request, &list);
    assert_string_equal(list.cuts[0], "decode at depth 4096 left out");
    assert_string_equal(list.cuts[1], "decode at depth 1024 left out");
    assert_string_equal(list.cuts[2], "answers and decode shortened to 64 tokens");
    assert_non_null(find(&list, "decode_16_at_0"));

    request.prefill_tps = request.decode_tps = 1; /* hopeless: shortest everything, and it says how long */
    scenario_plan(&request, &list);
    assert_non_null(find(&list, "prefill_128"));
    assert_true(list.n_cuts <= SCENARIO_MAX_CUTS);
    assert_true(list.expected_s > 50);
    assert_null(find(&list, "medium")); /* the first prompt and the two pure tests are left */
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0].id, "simple");
    assert_string_equal(list.items[2].id, "decode_16_at_0");
}

static void prompts_go_last_to_first(void **state)
{
    (void)state;
    struct scenario_request request = {
        .context = 8192, .runs = 3, .budget_s = 50, .prefill_tps = 40, .decode_tps = 6};
    struct scenario_list list;
    scenario_plan(&request, &list);
    /* all else was tried before: decode of 16 tokens, prefill of 128 */
    assert_string_equal(list.cuts[list.n_cuts - 1], "prompt complex left out");
    assert_string_equal(list.cuts[list.n_cuts - 2], "prefill shortened to 128 tokens");
    assert_non_null(find(&list, "medium"));
    assert_null(find(&list, "complex"));
    assert_non_null(find(&list, "prefill_128"));
    assert_non_null(find(&list, "decode_16_at_0"));
    assert_true(list.expected_s <= 50 && list.expected_s > 25);

    const char *prompts[SCENARIO_MAX_PROMPTS];
    for (size_t i = 0; i < SCENARIO_MAX_PROMPTS; i++)
        prompts[i] = "Hi.";
    request.prompts = prompts;
    request.n_prompts = SCENARIO_MAX_PROMPTS;
    request.prefill_tps = request.decode_tps = 0.01;
    scenario_plan(&request, &list);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.n_cuts, 2 + 3 + 2 + 15);
    assert_true(list.n_cuts <= SCENARIO_MAX_CUTS);
    assert_string_equal(list.cuts[list.n_cuts - 1], "prompt prompt_2 left out");
    assert_non_null(find(&list, "prompt_1"));
}

static void fast_models_are_not_cut(void **state)
{
    (void)state;
    struct scenario_request request = {
        .context = 2048, .runs = 3, .budget_s = 50, .prefill_tps = 5000, .decode_tps = 900};
    struct scenario_list list;
    scenario_plan(&request, &list);
    assert_int_equal(list.n_cuts, 0);
    request.prefill_tps = request.decode_tps = NAN; /* unknown speed: nothing to cut by */
    scenario_plan(&request, &list);
    assert_int_equal(list.n_cuts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_when_there_is_room),  cmocka_unit_test(nothing_beyond_the_context),
        cmocka_unit_test(answers_are_cut_to_the_context), cmocka_unit_test(own_prompts_come_instead),
        cmocka_unit_test(cuts_in_the_stated_order),       cmocka_unit_test(fast_models_are_not_cut),
        cmocka_unit_test(prompts_go_last_to_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
