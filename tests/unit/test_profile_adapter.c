/* Runs of a model with an adapter: the report names it and nowhere says where it lies, and a proof has the
 * one of its run. This program is its own lab. */
#include "support/tiny_adapter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "profile/json_get.h"
#include "profile/lab.h"
#include "profile/run.h"

static char folder[256], adapter[256], cache[300];
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_BF16, .seed = 6};
    tiny_model_write(&options, folder, sizeof folder);
    tiny_adapter_write(7, adapter, sizeof adapter);
    snprintf(cache, sizeof cache, "%s/cache", folder); /* of the ceilings: nobody else's */
    setenv("LLMIND_CACHE_DIR", cache, 1);
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    char path[340];
    (void)state;
    snprintf(path, sizeof path, "%s/ceilings.json", cache);
    remove(path);
    remove(cache);
    tiny_model_remove(folder);
    tiny_adapter_remove(adapter);
    arena_free(&arena);
    return 0;
}

/* The report of a run of the tiny model with this adapter, which is to end so. A new reference. */
static json_t *run_with(const char *text, const char *lora, int expected)
{
    struct profile_request request;
    struct error error = {0};
    json_t *json = json_loads(text, 0, NULL), *report = NULL;
    assert_non_null(json);
    if (profile_request_read(json, &arena, &request, &error))
        fail_msg("%s", error.message);
    json_decref(json);
    request.models[0].path = folder;
    request.models[0].adapter = lora;
    int status = run_profile(&request, NULL, &report, &error);
    if (status != expected)
        fail_msg("%d instead of %d: %s", status, expected, error.message);
    assert_non_null(report);
    return report;
}

static void assert_not_in(const json_t *report, const char *path)
{
    char *text = json_dumps(report, 0);
    assert_non_null(text);
    assert_null(strstr(text, path));
    free(text);
}

static const char short_run[] = "{\"model_name\": \"tiny\", \"repeats\": 1, \"max_tokens\": 8,"
                                " \"test_prompts\": [\"Hi.\"], \"configurations\": [], \"trace\": false,"
                                " \"knobs\": {\"threads\": 1, \"context\": 200}}";

static void it_is_named_in_the_report(void **state)
{
    (void)state;
    json_t *report = run_with(short_run, adapter, 0);
    assert_true(json_get_is(report, "flags.adapter", tiny_adapter_name(adapter)));
    assert_non_null(strstr(json_get_text(report, "model.quantization", ""), "LoRA of rank 2"));
    assert_not_in(report, adapter);
    json_decref(report);
}

static void what_is_none_fails_the_run(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/none", adapter);
    json_t *report = run_with(short_run, path, ERROR_NOT_FOUND);
    assert_non_null(strstr(json_get_text(report, "message", ""), "the adapter: there is no"));
    assert_not_in(report, adapter);
    json_decref(report);
}

static const char proof[] = "{\"kind\": \"prove\", \"model_name\": \"tiny\", \"repeats\": 5,"
                            " \"test_prompts\": [\"Hi.\"], \"knobs\": {\"threads\": 1, \"context\": 200},"
                            " \"proves\": {\"run_id\": \"x\", \"recommendation\": \"temperature=0.9\"%s}}";

/* What a run measured with an adapter is not proved without it, nor the other way round. */
static void a_proof_has_the_adapter_of_its_run(void **state)
{
    (void)state;
    const struct {
        const char *then, *now, *words; /* then: the run's; now: a folder */
    } cases[] = {{NULL, adapter, "measured its model without an adapter, and now"},
                 {"other", NULL, "it would be measured without an adapter"},
                 {"other", adapter, "with the adapter 'other', and now"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char member[64] = "", text[600];
        if (cases[i].then)
            snprintf(member, sizeof member, ", \"adapter\": \"%s\"", cases[i].then);
        snprintf(text, sizeof text, proof, member);
        json_t *report = run_with(text, cases[i].now, ERROR_INVALID);
        assert_non_null(strstr(json_get_text(report, "message", ""), cases[i].words));
        assert_not_in(report, adapter);
        json_decref(report);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "lab") == 0)
        return lab_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_named_in_the_report),
        cmocka_unit_test(what_is_none_fails_the_run),
        cmocka_unit_test(a_proof_has_the_adapter_of_its_run),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
