/* A proof's blocks, with labs that are no processes: every block has fresh ones, its two pairs count as one,
 * and what goes wrong is an entry and not a crash. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/json_get.h"
#include "profile/prove.h"
#include "support/fake_labs.h"

static const char *const isas[] = {"reference", "avx2", "avx512", NULL};

static struct profile_request proof_of(const char *configuration)
{
    struct profile_request request = {
        .kind = PROFILE_PROVE, .n_models = 1, .n_configurations = 1, .repeats = 5, .proves_run = "x"};
    request.models[0] = (struct profile_model){.name = "m", .path = "/models/m"};
    request.configurations[0] = configuration;
    request.knobs.threads = 4;
    return request;
}

static int measure(struct fake_labs *fake, const char *configuration, const struct run_hooks *hooks,
                   json_t **out, struct error *error)
{
    struct configuration_world world = {.labs = &fake->labs, .usable_threads = 2, .isas = isas};
    struct profile_request request = proof_of(configuration);
    uint32_t blocks;
    return prove_measure(&world, &request, hooks, &blocks, out, error);
}

static void order_of(const struct fake_labs *fake, char *out)
{
    for (size_t i = 0; i < fake->n_runs; i++)
        out[i] = fake->runs[i].lab;
    out[fake->n_runs] = '\0';
}

static double fewer_are_faster(void *context, const struct lab *lab, const struct lab_run *run,
                               struct sample *sample)
{
    (void)context;
    (void)run;
    (void)sample;
    return lab->engine.n_threads == 2 ? 1.31 : 1;
}

static void every_block_has_fresh_processes(void **state)
{
    (void)state;
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    char order[128];
    fake_labs_init(&fake);
    fake.factor = fewer_are_faster;
    assert_int_equal(measure(&fake, "threads=2", NULL, &out, &error), 0);
    order_of(&fake, order); /* a warm-up each, and A B B A */
    assert_string_equal(order, "ababba"
                               "cdcddc"
                               "efeffe"
                               "ghghhg"
                               "ijijji");
    assert_int_equal(fake.n_opened, 10);
    assert_int_equal(fake.most_open, 2);
    assert_int_equal(fake.n_open, 0);
    assert_int_equal(fake.all[0]->engine.n_threads, 4);
    assert_int_equal(fake.all[1]->engine.n_threads, 2);
    /* the pairs of different blocks draw different numbers */
    assert_int_equal(fake.runs[2].run.seed, 0);
    assert_int_equal(fake.runs[4].run.seed, 1);
    assert_int_equal(fake.runs[8].run.seed, 2);

    const json_t *entry = json_get_where(out, "", "id", "threads=2");
    assert_true(json_get_is(entry, "outcome", "ok") && json_get_is(entry, "verdict", "higher"));
    assert_true(fabs(json_get_number(entry, "change_pct") - 31) < 0.5);
    assert_int_equal(json_get_count(entry, "samples"), 10);
    assert_true(json_get_number(entry, "samples.9.block") == 4);
    assert_true(json_get_number(entry, "pairs") == 5); /* one for each block */
    assert_int_equal(json_get_count(json_get_where(out, "", "id", "baseline"), "samples"), 10);
    json_decref(out);
    fake_labs_free(&fake);
}

/* Processes that differ by luck, and no run that differs within one: ten pairs would be sure of a gain that
 * is none. */
static double lucky_processes(void *context, const struct lab *lab, const struct lab_run *run,
                              struct sample *sample)
{
    static const double luck[] = {1.06, 1.0, 0.97, 0.98, 1.06};
    (void)context;
    (void)run;
    (void)sample;
    return lab->engine.n_threads == 2 ? luck[(lab->name - 'a') / 2 % 5] : 1;
}

static void luck_of_a_process_is_no_gain(void **state)
{
    (void)state;
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    fake_labs_init(&fake);
    fake.noise = 0;
    fake.factor = lucky_processes;
    assert_int_equal(measure(&fake, "threads=2", NULL, &out, &error), 0);
    const json_t *entry = json_get_where(out, "", "id", "threads=2");
    assert_true(json_get_is(entry, "verdict", "no_real_difference"));
    /* t(4) over five means: log-ratios of the table above have a mean of 0.013 and a deviation of 0.043 */
    assert_true(fabs(json_get_number(entry, "ci95.0") + 3.9) < 0.3);
    assert_true(fabs(json_get_number(entry, "ci95.1") - 6.8) < 0.3);
    json_decref(out);
    fake_labs_free(&fake);
}

/* What is asked for otherwise, and not done otherwise, needs one process a block. */
static void a_request_runs_in_the_baselines_process(void **state)
{
    (void)state;
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    char order[128];
    fake_labs_init(&fake);
    assert_int_equal(measure(&fake, "temperature=0.9", NULL, &out, &error), 0);
    order_of(&fake, order);
    assert_string_equal(order, "aaaaabbbbbcccccdddddeeeee");
    assert_true(fake.runs[1].run.temperature == 0.7 && fake.runs[2].run.temperature == 0.9);
    const json_t *entry = json_get_where(out, "", "id", "temperature=0.9");
    assert_true(json_get_is(entry, "verdict", "no_real_difference"));
    json_decref(out);
    fake_labs_free(&fake);
}

static void a_test_of_its_own_has_no_baseline_entry(void **state)
{
    (void)state;
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    fake_labs_init(&fake);
    assert_int_equal(measure(&fake, "kv_bits=8", NULL, &out, &error), 0);
    assert_int_equal(json_array_size(out), 1); /* the baseline's usual request was not run */
    assert_true(json_get_object(json_array_get(out, 0), "compared_baseline") != NULL);
    json_decref(out);
    fake_labs_free(&fake);
}

static void what_is_the_baseline_cannot_be_tried(void **state)
{
    (void)state;
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    fake_labs_init(&fake);
    assert_int_equal(measure(&fake, "threads=4", NULL, &out, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "nothing to compare with"));
    assert_null(out);
    assert_int_equal(measure(&fake, "isa=neon", NULL, &out, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "has not got it"));
    assert_null(out);
    assert_int_equal(fake.n_open, 0);
    assert_int_equal(fake.n_runs, 0);
    fake_labs_free(&fake);
}

static int two_threads_do_not_fit(void *context, const struct engine_options *engine, struct error *error)
{
    (void)context;
    return engine->n_threads == 2 ? error_set(error, ERROR_LIMIT, "it does not fit") : 0;
}

static void a_variant_that_does_not_open_is_an_entry(void **state)
{
    (void)state;
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    fake_labs_init(&fake);
    fake.refuse = two_threads_do_not_fit;
    assert_int_equal(measure(&fake, "threads=2", NULL, &out, &error), 0);
    const json_t *entry = json_get_where(out, "", "id", "threads=2");
    assert_true(json_get_is(entry, "outcome", "out_of_memory"));
    assert_true(json_get_is(entry, "message", "it does not fit"));
    assert_int_equal(fake.n_open, 0);
    assert_int_equal(fake.n_opened, 1); /* it would not fit the next time either */
    json_decref(out);
    fake_labs_free(&fake);
}

static void a_lab_that_dies_ends_it(void **state)
{
    (void)state;
    for (int at = 1; at < 12; at++) {
        struct fake_labs fake;
        struct error error = {0};
        json_t *out;
        fake_labs_init(&fake);
        fake.die_at = at;
        assert_int_equal(measure(&fake, "threads=2", NULL, &out, &error), 0);
        const json_t *entry = json_get_where(out, "", "id", "threads=2");
        assert_true(json_get_is(entry, "outcome", "error"));
        assert_non_null(strstr(json_get_text(entry, "message", ""), "signal 9"));
        assert_true(json_get_is(entry, "verdict", "unknown"));
        assert_int_equal(fake.n_open, 0);
        json_decref(out);
        fake_labs_free(&fake);
    }
}

/* The fake clock runs only in runs: six of 100 tokens and 50 of prompt a block. */
static void a_fast_model_gets_more_blocks(void **state)
{
    (void)state;
    static const struct {
        double decode_tps;
        uint32_t least, most;
    } speeds[] = {{1000, 20, 20}, {240, 10, 13}, {10, 5, 5}};
    for (size_t i = 0; i < sizeof speeds / sizeof *speeds; i++) {
        struct fake_labs fake;
        struct error error = {0};
        struct configuration_world world = {.labs = &fake.labs, .usable_threads = 2, .isas = isas};
        struct profile_request request = proof_of("threads=2");
        uint32_t blocks;
        json_t *out;
        request.repeats = 0;
        fake_labs_init(&fake);
        fake.decode_tps = speeds[i].decode_tps;
        fake.prefill_tps = 1e6;
        assert_int_equal(prove_measure(&world, &request, NULL, &blocks, &out, &error), 0);
        assert_in_range(blocks, speeds[i].least, speeds[i].most);
        assert_int_equal(json_get_count(json_get_where(out, "", "id", "threads=2"), "samples"), 2 * blocks);
        assert_int_equal(fake.n_runs, 6 * blocks);
        json_decref(out);
        fake_labs_free(&fake);
    }
}

struct watcher {
    atomic_int cancel;
    int phases;
    double last_progress;
    bool eta_known;
};

static void watch(void *context, const json_t *event)
{
    struct watcher *watcher = context;
    double progress = json_get_number(event, "progress");
    if (!json_get_is(event, "type", "phase"))
        return;
    assert_true(json_get_is(event, "phase", "proof"));
    assert_true(progress >= watcher->last_progress && progress <= 1);
    watcher->last_progress = progress;
    watcher->phases++;
    if (strstr(json_get_text(event, "step", ""), "block 3 of 5")) {
        watcher->eta_known = json_get_number(event, "eta_s") > 0;
        atomic_store(&watcher->cancel, 1);
    }
}

static void it_can_be_cancelled(void **state)
{
    (void)state;
    struct fake_labs fake;
    struct error error = {0};
    struct watcher watcher = {.cancel = 0};
    const struct run_hooks hooks = {.on_event = watch, .context = &watcher, .cancel = &watcher.cancel};
    json_t *out;
    fake_labs_init(&fake);
    assert_int_equal(measure(&fake, "threads=2", &hooks, &out, &error), ERROR_CANCELLED);
    assert_int_equal(watcher.phases, 6); /* warm-up and block, three times */
    assert_true(watcher.eta_known);
    assert_int_equal(fake.n_open, 0);
    assert_int_equal(json_get_count(json_get_where(out, "", "id", "threads=2"), "samples"), 4);
    json_decref(out);
    fake_labs_free(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_has_fresh_processes),
        cmocka_unit_test(luck_of_a_process_is_no_gain),
        cmocka_unit_test(a_request_runs_in_the_baselines_process),
        cmocka_unit_test(a_test_of_its_own_has_no_baseline_entry),
        cmocka_unit_test(what_is_the_baseline_cannot_be_tried),
        cmocka_unit_test(a_variant_that_does_not_open_is_an_entry),
        cmocka_unit_test(a_lab_that_dies_ends_it),
        cmocka_unit_test(a_fast_model_gets_more_blocks),
        cmocka_unit_test(it_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
