/* What may be tried for a stored run, what a proof says, and where it is shown. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "profile/configuration.h"
#include "profile/json_get.h"
#include "profile/proof.h"
#include "support/analysis_fixture.h"

/* A row as jobs_get gives it: the healthy report, of a run that was asked for by a name. */
static json_t *row_of(const char *request)
{
    json_t *row =
        json_pack("{s:s, s:s, s:b, s:o, s:o}", "id", "0123456789abcdef0123456789abcdef", "kind", "profile",
                  "imported", 0, "request", json_loads(request, 0, NULL), "report", load("healthy"));
    assert_non_null(row);
    return row;
}

/* ---- what may be tried ---- */

static void one_variant(void **state)
{
    (void)state;
    static const char *const one[] = {"threads=2",        "kv_bits=8",        "isa=avx2",
                                      "concurrency=4",    "prefix_cache",     "temperature=0.9",
                                      "temperature=0",    "prefill_chunk=64", "temperature=2",
                                      "high_temperature", "short_response"};
    static const char *const none[] = {"threads",
                                       "baseline",
                                       "kv_bits",
                                       "temperature",
                                       "temperature=2.1",
                                       "temperature=-1",
                                       "temperature=1e9",
                                       "temperature=",
                                       "temperature=1.2.3",
                                       "smaller_model",
                                       "",
                                       "threads=2 "};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        if (!configuration_is_one(one[i]))
            fail_msg("%s", one[i]);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (configuration_is_one(none[i]))
            fail_msg("%s", none[i]);
}

static void the_request_has_the_runs_own_knobs(void **state)
{
    (void)state;
    json_t *row = row_of("{\"model_name\": \"some/model\", \"test_prompts\": [\"Why?\", \"How?\"], "
                         "\"raw\": true, \"repeats\": 2}");
    json_t *request;
    struct error error = {0};
    assert_int_equal(proof_request(row, "threads=2", 0, &request, &error), 0);
    assert_true(json_get_is(request, "kind", "prove") && json_get_is(request, "model_name", "some/model"));
    assert_true(json_get_is(request, "proves.recommendation", "threads=2"));
    assert_true(json_get_is(request, "proves.run_id", "0123456789abcdef0123456789abcdef"));
    assert_null(json_get(request, "repeats"));
    static const char *const same[] = {"threads", "context", "kv_bits", "prefill_chunk", "isa", "backend"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "report.flags.%s", same[i]);
        snprintf(to, sizeof to, "knobs.%s", same[i]);
        assert_true(
            json_equal((json_t *)(uintptr_t)json_get(row, from), (json_t *)(uintptr_t)json_get(request, to)));
    }
    assert_true(json_get_bool(request, "raw", false));
    assert_int_equal(json_get_count(request, "test_prompts"), 1); /* the baseline's */

    /* it is a request that is understood, and survives being stored */
    struct arena arena;
    struct profile_request read, again;
    arena_init(&arena);
    assert_int_equal(profile_request_read(request, &arena, &read, &error), 0);
    assert_int_equal(read.kind, PROFILE_PROVE);
    assert_int_equal(read.n_configurations, 1);
    assert_false(read.all_configurations || read.trace);
    json_t *stored = profile_request_json(&read);
    assert_int_equal(profile_request_read(stored, &arena, &again, &error), 0);
    assert_string_equal(again.proves_run, read.proves_run);
    assert_string_equal(again.configurations[0], "threads=2");
    assert_true(again.proves_file_bytes == read.proves_file_bytes && read.proves_file_bytes > 0);
    assert_null(again.proves_adapter);
    json_decref(stored);
    arena_free(&arena);
    json_decref(request);
    assert_int_equal(proof_request(row, "threads=2", 9, &request, &error), 0);
    assert_true(json_get_number(request, "repeats") == 9);
    json_decref(request);

    /* and the run's adapter, by its name */
    put(row, "report.flags.adapter", "\"tuned\"");
    assert_int_equal(proof_request(row, "threads=2", 0, &request, &error), 0);
    arena_init(&arena);
    assert_int_equal(profile_request_read(request, &arena, &read, &error), 0);
    stored = profile_request_json(&read);
    assert_int_equal(profile_request_read(stored, &arena, &again, &error), 0);
    assert_string_equal(again.proves_adapter, "tuned");
    json_decref(stored);
    arena_free(&arena);
    json_decref(request);
    json_decref(row);
}

static void expect_refusal(json_t *row, const char *configuration, int status, const char *why)
{
    json_t *request;
    struct error error = {0};
    int found = proof_request(row, configuration, 0, &request, &error);
    assert_null(request);
    if (found != status || !strstr(error.message, why))
        fail_msg("%s: %d, %s", configuration, found, error.message);
}

static void what_cannot_be_tried_says_why(void **state)
{
    (void)state;
    json_t *row = row_of("{\"model_name\": \"m\"}");
    char text[64];
    put(row, "report.analysis",
        "{\"recommendations\": [{\"id\": \"smaller_quantization\", \"text\": \"Take a smaller one.\"}]}");
    expect_refusal(row, "faster", ERROR_INVALID, "there is no configuration 'faster'");
    expect_refusal(row, "threads", ERROR_INVALID, "wants a value");
    expect_refusal(row, "smaller_quantization", ERROR_UNSUPPORTED, "cannot be tried from here");
    snprintf(text, sizeof text, "threads=%.0f", json_get_number(row, "report.flags.threads"));
    expect_refusal(row, text, ERROR_UNSUPPORTED, "nothing to compare");
    expect_refusal(row, "temperature=0.70", ERROR_UNSUPPORTED, "nothing to compare");
    expect_refusal(row, "concurrency=1", ERROR_UNSUPPORTED, "nothing to compare");
    expect_refusal(row, "isa=vax", ERROR_UNSUPPORTED, "no vax instructions");
    put(row, "report.flags.backend", "\"mlx\"");
    expect_refusal(row, "threads=2", ERROR_UNSUPPORTED, "the mlx backend, which the run measured");
    put(row, "report.flags.backend", "\"cpu\"");
    put(row, "imported", "true");
    expect_refusal(row, "threads=2", ERROR_UNSUPPORTED, "another machine");
    put(row, "imported", "false");
    put(row, "report.target", "{\"url\": \"http://x/v1\"}");
    expect_refusal(row, "threads=2", ERROR_UNSUPPORTED, "from outside");
    put(row, "report.target", "null");
    put(row, "kind", "\"compare\"");
    expect_refusal(row, "threads=2", ERROR_UNSUPPORTED, "only a run that profiles one model");
    put(row, "kind", "\"profile\"");
    put(row, "report.flags", "null");
    expect_refusal(row, "threads=2", ERROR_UNSUPPORTED, "before its model was loaded");
    put(row, "report", "null");
    expect_refusal(row, "threads=2", ERROR_UNSUPPORTED, "before its model was loaded");
    json_decref(row);
}

static void requests_that_are_no_proof(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{\"kind\": \"prove\", \"model_name\": \"m\"}",
        "{\"model_name\": \"m\", \"proves\": {\"run_id\": \"a\", \"recommendation\": \"threads=2\"}}",
        "{\"kind\": \"prove\", \"proves\": {\"run_id\": \"a\", \"recommendation\": \"threads=2\"}}",
        "{\"kind\": \"prove\", \"model_name\": \"m\", \"proves\": {\"run_id\": \"a\"}}",
        "{\"kind\": \"prove\", \"model_name\": \"m\", \"proves\": {\"recommendation\": \"threads=2\"}}",
        "{\"kind\": \"prove\", \"model_name\": \"m\", \"proves\": {\"run_id\": \"a\", \"recommendation\": "
        "\"threads\"}}",
        "{\"kind\": \"prove\", \"model_name\": \"m\", \"repeats\": 4, \"proves\": {\"run_id\": \"a\", "
        "\"recommendation\": \"threads=2\"}}",
        "{\"kind\": \"prove\", \"model_name\": \"m\", \"quick_mode\": true, \"proves\": {\"run_id\": \"a\", "
        "\"recommendation\": \"threads=2\"}}",
        "{\"kind\": \"prove\", \"model_name\": \"m\", \"proves\": {\"run_id\": \"a\", \"recommendation\": "
        "\"threads=2\"}, \"configurations\": [\"isa=avx2\"]}",
        "{\"kind\": \"prove\", \"model_name\": \"m\", \"configurations\": [\"isa=avx2\"], \"proves\": "
        "{\"run_id\": \"a\", \"recommendation\": \"threads=2\"}}",
        "{\"kind\": \"prove\", \"model_name\": \"m\", \"proves\": {\"run_id\": \"a\", \"recommendation\": "
        "\"threads=2\", \"file_bytes\": -1}}",
        "{\"kind\": \"prove\", \"target\": \"http://x/v1\", \"proves\": {\"run_id\": \"a\", "
        "\"recommendation\": \"threads=2\"}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct arena arena;
        struct profile_request out;
        struct error error = {0};
        json_t *json = json_loads(wrong[i], 0, NULL);
        assert_non_null(json);
        arena_init(&arena);
        if (profile_request_read(json, &arena, &out, &error) != ERROR_INVALID)
            fail_msg("%s", wrong[i]);
        arena_free(&arena);
        json_decref(json);
    }
}

/* ---- what it says ---- */

static const struct {
    const char *configuration, *entry, *verdict, *reason, *sentence;
} cases[] = {
    {"threads=2",
     "{\"knobs\": {\"threads\": 2}, \"outcome\": \"ok\", \"compared\": \"decode_tokens_per_second\", "
     "\"better\": \"higher\", \"change_pct\": 31.2, \"ci95\": [27.1, 35.4], \"verdict\": \"higher\"}",
     "kept", "better", "8 threads → 2: decode +31 % [95 % CI +27, +35], kept"},
    {"threads=1",
     "{\"knobs\": {\"threads\": 1}, \"outcome\": \"ok\", \"compared\": \"decode_tokens_per_second\", "
     "\"better\": \"higher\", \"change_pct\": -41.2, \"ci95\": [-44.0, -38.0], \"verdict\": \"lower\"}",
     "rejected", "worse", "8 threads → 1: decode -41 % [95 % CI -44, -38], rejected"},
    {"kv_bits=8",
     "{\"knobs\": {\"kv_bits\": 8}, \"outcome\": \"ok\", \"compared\": \"decode_tokens_per_second\", "
     "\"better\": \"higher\", \"change_pct\": 0.4, \"ci95\": [-1.1, 1.9], \"verdict\": "
     "\"no_real_difference\"}",
     "rejected", "no_real_difference",
     "KV cache 16 → 8 bits: no real difference (decode +0.4 % [95 % CI -1.1, +1.9]), rejected"},
    {"temperature=0.9",
     "{\"temperature\": 0.9, \"outcome\": \"ok\", \"compared\": \"decode_tokens_per_second\", \"better\": "
     "\"higher\", \"change_pct\": -0.2, \"ci95\": [-1.5, 1.2], \"verdict\": \"no_real_difference\"}",
     "rejected", "no_real_difference",
     "temperature 0.7 → 0.9: no real difference (decode -0.2 % [95 % CI -1.5, +1.2]), rejected"},
    {"prefix_cache",
     "{\"label\": \"Known prompt (prefix cache)\", \"outcome\": \"ok\", \"compared\": \"ttft_ms\", "
     "\"better\": \"lower\", \"change_pct\": -86.0, \"ci95\": [-88.0, -84.0], \"verdict\": \"lower\"}",
     "kept", "better", "Known prompt (prefix cache): time to the first token -86 % [95 % CI -88, -84], kept"},
    {"isa=avx2",
     "{\"knobs\": {\"isa\": \"avx2\"}, \"outcome\": \"ok\", \"compared\": \"decode_tokens_per_second\", "
     "\"better\": \"higher\", \"change_pct\": 4.0, \"ci95\": [-21.0, 36.0], \"verdict\": "
     "\"no_real_difference\"}",
     "unclear", "too_wide",
     "unclear: avx512 → avx2 instructions: decode +4.0 % [95 % CI -21.0, +36.0]; the interval is too wide to "
     "say: prove it again with more blocks"},
    {"concurrency=4",
     "{\"label\": \"4 at once\", \"outcome\": \"ok\", \"compared\": \"aggregate_decode_tokens_per_second\", "
     "\"better\": \"higher\", \"change_pct\": 80.0, \"ci95\": [20.0, 170.0], \"verdict\": \"unknown\", "
     "\"verdict_reason\": \"the figures scatter by more than 20 %: no verdict\"}",
     "unclear", "unstable",
     "unclear: 4 at once: decode of all answers together +80 % [95 % CI +20, +170]; the figures scatter by "
     "more than 20 %: no verdict"},
    {"threads=3",
     "{\"knobs\": {\"threads\": 3}, \"outcome\": \"error\", \"message\": \"it was killed\", \"compared\": "
     "\"decode_tokens_per_second\", \"better\": \"higher\", \"change_pct\": null, \"ci95\": null, "
     "\"verdict\": \"unknown\"}",
     "unclear", "failed", "unclear: 8 threads → 3: it could not be measured (it was killed)"},
};

static void proof_of(json_t *report, const char *configuration, const char *entry)
{
    struct profile_request request = {.kind = PROFILE_PROVE, .n_configurations = 1, .repeats = 5};
    json_t *list = json_array(), *one = json_loads(entry, 0, NULL);
    assert_non_null(one);
    request.configurations[0] = configuration;
    request.proves_run = "0123456789abcdef0123456789abcdef";
    json_object_set_new(one, "id", json_string(configuration));
    json_array_append_new(list, one);
    json_object_set_new(report, "configurations", list);
    assert_int_equal(proof_add(report, &request, NULL), 0);
}

static void verdicts_and_sentences(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "flags.threads", "8");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        proof_of(report, cases[i].configuration, cases[i].entry);
        assert_string_equal(json_get_text(report, "proof.verdict", ""), cases[i].verdict);
        assert_string_equal(json_get_text(report, "proof.reason", ""), cases[i].reason);
        assert_string_equal(json_get_text(report, "proof.sentence", ""), cases[i].sentence);
        assert_true(json_get_number(report, "proof.blocks") == json_get_number(report, "protocol.repeats"));
    }
    json_decref(report);
}

/* Neighbours make fewer threads look good; they spoil no comparison in turn of anything else. */
static void a_disturbed_proof_of_threads_is_unclear(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "flags.threads", "8");
    put_sign(report, &(struct sign){SERIES "2.values", "0.12"}); /* steal */
    proof_of(report, cases[0].configuration, cases[0].entry);
    assert_string_equal(json_get_text(report, "proof.verdict", ""), "unclear");
    assert_string_equal(json_get_text(report, "proof.reason", ""), "disturbed");
    assert_string_equal(json_get_text(report, "proof.sentence", ""),
                        "unclear: 8 threads → 2: decode +31 % [95 % CI +27, +35]; measured while others took "
                        "the processors: measure again on a quiet machine");
    proof_of(report, cases[3].configuration, cases[3].entry);
    assert_string_equal(json_get_text(report, "proof.verdict", ""), "rejected");
    put_sign(report, &(struct sign){SERIES "7.values", "5e7"}); /* swapping spoils everything */
    proof_of(report, cases[3].configuration, cases[3].entry);
    assert_string_equal(json_get_text(report, "proof.reason", ""), "disturbed");
    json_decref(report);
}

/* ---- where it is shown ---- */

static void proofs_are_shown_with_their_recommendation(void **state)
{
    (void)state;
    json_t *report = json_loads(
        "{\"analysis\": {\"recommendations\": ["
        "{\"id\": \"threads=2\", \"provable\": true, \"setting\": null, \"setting_reason\": \"a doubt\"},"
        "{\"id\": \"kv_bits=8\", \"provable\": true, \"setting\": {\"key\": \"kv_bits\", \"value\": 8}},"
        "{\"id\": \"isa=avx2\", \"provable\": true}, {\"id\": \"smaller_model\", \"provable\": false}, 7]}}",
        0, NULL);
    json_t *proofs = json_loads("[{\"recommendation\": \"kv_bits=8\", \"verdict\": \"rejected\"},"
                                "{\"recommendation\": \"threads=2\", \"verdict\": \"kept\"},"
                                "{\"recommendation\": \"threads=2\", \"verdict\": \"rejected\"},"
                                "{\"recommendation\": \"temperature=0.9\", \"verdict\": \"rejected\"}]",
                                0, NULL);
    assert_non_null(report);
    proof_attach(report, proofs);
    static const char *const states[] = {"proved", "rejected", "unproved", "cannot be tried here"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(proof_state(json_get_item(json_get(report, "analysis.recommendations"), i)),
                            states[i]);
    /* the newest counts, and what was kept is a setting whatever was doubted before */
    assert_true(json_get_is(report, "analysis.recommendations.0.setting.key", "threads"));
    assert_null(json_get(report, "analysis.recommendations.0.setting_reason"));
    assert_true(json_get_string(report, "analysis.recommendations.2.proof_reason") != NULL);
    assert_int_equal(json_get_count(report, "analysis.proofs"), 4);
    assert_true(json_get_is(proof_find(report, "temperature=0.9"), "verdict", "rejected"));
    assert_null(proof_find(report, "threads=1"));
    /* a proof that was deleted is gone */
    json_t *none = json_array();
    proof_attach(report, none);
    assert_string_equal(proof_state(json_get_item(json_get(report, "analysis.recommendations"), 0)),
                        "unproved");
    json_decref(none);
    json_decref(proofs);
    json_decref(report);
    proof_attach(NULL, NULL);
}

static void settings(void **state)
{
    (void)state;
    static const struct {
        const char *id, *key;
    } known[] = {{"threads=2", "threads"}, {"kv_bits=8", "kv_bits"},  {"context=2048", "context"},
                 {"isa=avx2", NULL},       {"temperature=0.9", NULL}, {"threads=x", NULL}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        json_t *setting = proof_setting(known[i].id);
        assert_int_equal(json_is_object(setting), known[i].key != NULL);
        if (known[i].key)
            assert_string_equal(json_get_string(setting, "key"), known[i].key);
        json_decref(setting);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_variant),
        cmocka_unit_test(the_request_has_the_runs_own_knobs),
        cmocka_unit_test(what_cannot_be_tried_says_why),
        cmocka_unit_test(requests_that_are_no_proof),
        cmocka_unit_test(verdicts_and_sentences),
        cmocka_unit_test(a_disturbed_proof_of_threads_is_unclear),
        cmocka_unit_test(proofs_are_shown_with_their_recommendation),
        cmocka_unit_test(settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
