/* Several models beside each other, with labs that are no processes (support/fake_labs.h). A fake model's
 * folder says how fast it is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "profile/configuration_measure.h"
#include "profile/json_get.h"
#include "support/fake_labs.h"

static struct profile_request models(const char *const *paths, size_t n)
{
    struct profile_request request = {.kind = PROFILE_COMPARE, .n_models = n};
    for (size_t i = 0; i < n; i++)
        request.models[i] = (struct profile_model){.name = paths[i], .path = paths[i]};
    return request;
}

static double by_name(void *context, const struct lab *lab, const struct lab_run *run, struct sample *sample)
{
    (void)context;
    if (strcmp(lab->engine.model, "fails") == 0 && run->scenario.kind == SCENARIO_PROMPT) {
        sample->outcome = OUTCOME_ERROR;
        snprintf(sample->message, sizeof sample->message, "the logits are not finite");
    }
    return strcmp(lab->engine.model, "slow") == 0 ? 0.5 : strcmp(lab->engine.model, "fast") == 0 ? 2 : 1;
}

static const json_t *entry(const json_t *report, size_t i)
{
    return json_array_get(json_object_get(report, "models"), i);
}

static void in_turn_with_the_first(void **state)
{
    (void)state;
    static const char *const paths[] = {"usual", "slow", "fast", "usual too"};
    struct profile_request request = models(paths, 4);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    fake_labs_init(&fake);
    fake.factor = by_name;
    assert_int_equal(comparison_measure(&fake.labs, &request, NULL, &out, &error), 0);
    assert_int_equal(fake.n_opened, 4);
    assert_int_equal(fake.most_open, 2);
    assert_int_equal(fake.n_open, 0);
    assert_true(json_get_is(out, "reference", "usual") && json_get_is(out, "compared", "tokens_per_second"));
    static const int ranks[] = {3, 4, 1, 2};
    static const char *const verdicts[] = {"unknown", "lower", "higher", "no_real_difference"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(json_get_is(entry(out, i), "status", "success"));
        assert_true(json_get_is(entry(out, i), "verdict", verdicts[i]));
        assert_true(i == 0 || i == 3 || json_get_number(entry(out, i), "rank") == ranks[i]);
        assert_true(json_get_bool(entry(out, i), "interleaved", false) == (i > 0));
        assert_true(json_get_figure(entry(out, i), "prefill_tokens_per_second") > 0);
        assert_true(json_get_is(entry(out, i), "quantization", "affine 4-bit"));
    }
    assert_true(fabs(json_get_number(entry(out, 1), "change_pct") + 50) < 1);
    assert_true(json_get_number(entry(out, 1), "pairs") == 10);
    assert_true(json_get_number(entry(out, 0), "tokens_per_second.n") == 30); /* ten beside each */
    assert_true(json_get_number(entry(out, 0), "decode_tokens_per_second.n") == 3);
    assert_true(json_is_null(json_get(entry(out, 0), "change_pct")));
    json_decref(out);
    fake_labs_free(&fake);
}

static int refuse(void *context, const struct engine_options *engine, struct error *error)
{
    struct fake_labs *fake = context;
    if (strcmp(engine->model, "broken") == 0)
        return error_set(error, ERROR_INVALID, "config.json: hidden_size is missing");
    if (strcmp(engine->model, "large") == 0 && fake->n_open > 0)
        return error_set(error, ERROR_LIMIT, "needs 40 GB, 20 GB are free");
    return strcmp(engine->model, "huge") == 0 ? error_set(error, ERROR_LIMIT, "needs 400 GB, 40 GB are free")
                                              : 0;
}

static void broken_ones_are_entries(void **state)
{
    (void)state;
    static const char *const paths[] = {"broken", "usual", "fails", "absent", "fast"};
    struct profile_request request = models(paths, 5);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    request.models[3].path = NULL;
    request.models[3].problem = "there is no model 'absent'";
    fake_labs_init(&fake);
    fake.factor = by_name;
    fake.refuse = refuse;
    fake.context = &fake;
    assert_int_equal(comparison_measure(&fake.labs, &request, NULL, &out, &error), 0);
    assert_true(json_get_is(out, "reference", "usual"));
    assert_true(json_get_is(entry(out, 0), "message", "config.json: hidden_size is missing"));
    assert_true(json_get_is(entry(out, 2), "message", "the logits are not finite"));
    assert_true(json_get_is(entry(out, 3), "message", "there is no model 'absent'"));
    for (size_t i = 0; i < 4; i++)
        assert_true(json_get_is(entry(out, i), "status", i == 1 ? "success" : "error"));
    assert_true(json_is_null(json_get(entry(out, 0), "rank")));
    assert_true(
        json_get_is(entry(out, 0), "tokens_per_second_reason", "config.json: hidden_size is missing"));
    assert_true(json_get_is(entry(out, 4), "verdict", "higher"));
    assert_int_equal(fake.n_open, 0);
    json_decref(out);
    fake_labs_free(&fake);
}

static void no_room_for_two(void **state)
{
    (void)state;
    static const char *const paths[] = {"usual", "large", "huge", "slow"};
    struct profile_request request = models(paths, 4);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    fake_labs_init(&fake);
    fake.factor = by_name;
    fake.refuse = refuse;
    fake.context = &fake;
    assert_int_equal(comparison_measure(&fake.labs, &request, NULL, &out, &error), 0);
    const json_t *large = entry(out, 1), *huge = entry(out, 2), *slow = entry(out, 3);
    /* alone: as a session of its own, with an interval that knows it */
    assert_true(json_get_is(large, "status", "success") && !json_get_bool(large, "interleaved", true));
    assert_true(json_get_is(large, "verdict", "no_real_difference"));
    assert_true(json_get_number(large, "ci95.1") > 4);
    assert_true(json_get_is(huge, "status", "error") &&
                json_get_is(huge, "message", "needs 400 GB, 40 GB are free"));
    /* and the first is there again for the next one */
    assert_true(json_get_bool(slow, "interleaved", false) && json_get_is(slow, "verdict", "lower"));
    assert_int_equal(fake.most_open, 2);
    assert_int_equal(fake.n_open, 0);
    json_decref(out);
    fake_labs_free(&fake);
}

static void the_first_dies_later(void **state)
{
    (void)state;
    static const char *const paths[] = {"usual", "fast", "slow"};
    struct profile_request request = models(paths, 3);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    fake_labs_init(&fake);
    fake.factor = by_name;
    fake.die_at = 18 + 4 * 2; /* beside the second: after 8 + 8 runs of tests, 2 warm-ups, two blocks: an A */
    assert_int_equal(comparison_measure(&fake.labs, &request, NULL, &out, &error), 0);
    assert_true(json_get_is(entry(out, 0), "status", "error"));
    assert_true(json_get_is(entry(out, 0), "message", "the lab was killed by signal 9"));
    assert_true(json_get_is(out, "reference", "fast"));
    assert_true(json_get_is(entry(out, 1), "status", "success") &&
                json_get_is(entry(out, 1), "verdict", "unknown"));
    assert_true(json_get_is(entry(out, 2), "verdict", "lower"));
    assert_true(fabs(json_get_number(entry(out, 2), "change_pct") + 75) < 1);
    assert_int_equal(fake.n_open, 0);
    json_decref(out);
    fake_labs_free(&fake);
}

static void one_alone_and_none(void **state)
{
    (void)state;
    static const char *const paths[] = {"usual", "broken"};
    struct profile_request request = models(paths, 2);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    request.quick = true;
    fake_labs_init(&fake);
    fake.refuse = refuse;
    fake.context = &fake;
    assert_int_equal(comparison_measure(&fake.labs, &request, NULL, &out, &error), 0);
    assert_true(json_get_number(entry(out, 0), "tokens_per_second.n") == 4); /* by itself */
    assert_true(json_get_bool(out, "indicative", false));
    json_decref(out);
    request = models(paths + 1, 1);
    assert_int_equal(comparison_measure(&fake.labs, &request, NULL, &out, &error), 0);
    assert_true(json_is_null(json_get(out, "reference")));
    assert_true(json_get_is(entry(out, 0), "status", "error"));
    json_decref(out);
    fake_labs_free(&fake);
}

static atomic_int cancel;

static double cancel_later(void *context, const struct lab *lab, const struct lab_run *run,
                           struct sample *sample)
{
    (void)lab;
    (void)run;
    (void)sample;
    if (++*(int *)context == 25)
        atomic_store(&cancel, 1);
    return 1;
}

static void cancelled(void **state)
{
    (void)state;
    static const char *const paths[] = {"usual", "fast", "slow"};
    struct profile_request request = models(paths, 3);
    struct run_hooks hooks = {.cancel = &cancel};
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    int n = 0;
    fake_labs_init(&fake);
    fake.factor = cancel_later;
    fake.context = &n;
    assert_int_equal(comparison_measure(&fake.labs, &request, &hooks, &out, &error), ERROR_CANCELLED);
    assert_int_equal(fake.n_runs, 25);
    assert_int_equal(fake.n_open, 0);
    assert_true(json_get_number(entry(out, 0), "tokens_per_second.n") > 0); /* what there is is kept */
    assert_true(json_get_is(entry(out, 2), "status", "error") &&
                json_get_is(entry(out, 2), "message", "not measured"));
    json_decref(out);
    fake_labs_free(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_turn_with_the_first), cmocka_unit_test(broken_ones_are_entries),
        cmocka_unit_test(no_room_for_two),        cmocka_unit_test(the_first_dies_later),
        cmocka_unit_test(one_alone_and_none),     cmocka_unit_test(cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
