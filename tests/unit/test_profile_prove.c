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

/* ---- what comes out of one proof ---- */

struct proof_case {
    const char *name, *configuration;
    /* how the labs behave: fake_labs.h */
    double (*factor)(void *context, const struct lab *lab, const struct lab_run *run, struct sample *sample);
    int (*refuse)(void *context, const struct engine_options *engine, struct error *error);
    int last_death; /* the case is gone through with the lab dying at run 1, 2 ... this one; 0: it lives */
    bool quiet;     /* no run differs from another by chance */
    /* what is wanted; NULL and 0: not looked at */
    int status;
    const char *message; /* part of the error's, or of the entry's */
    const char *order;   /* names of the labs, run by run */
    const char *outcome, *verdict;
    size_t entries, samples, n_opened;
    void (*also)(const struct fake_labs *fake, const json_t *out, const json_t *entry);
};

static double fewer_are_faster(void *context, const struct lab *lab, const struct lab_run *run,
                               struct sample *sample)
{
    (void)context;
    (void)run;
    (void)sample;
    return lab->engine.n_threads == 2 ? 1.31 : 1;
}

static void pairs_are_blocks(const struct fake_labs *fake, const json_t *out, const json_t *entry)
{
    assert_int_equal(fake->most_open, 2);
    assert_int_equal(fake->all[0]->engine.n_threads, 4);
    assert_int_equal(fake->all[1]->engine.n_threads, 2);
    /* the pairs of different blocks draw different numbers */
    assert_int_equal(fake->runs[2].run.seed, 0);
    assert_int_equal(fake->runs[4].run.seed, 1);
    assert_int_equal(fake->runs[8].run.seed, 2);
    assert_true(fabs(json_get_number(entry, "change_pct") - 31) < 0.5);
    assert_true(json_get_number(entry, "samples.9.block") == 4);
    assert_true(json_get_number(entry, "pairs") == 5); /* one for each block */
    assert_int_equal(json_get_count(json_get_where(out, "", "id", "baseline"), "samples"), 10);
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

/* t(4) over five means: log-ratios of the table above have a mean of 0.013 and a deviation of 0.043 */
static void the_interval_is_wide(const struct fake_labs *fake, const json_t *out, const json_t *entry)
{
    (void)fake;
    (void)out;
    assert_true(fabs(json_get_number(entry, "ci95.0") + 3.9) < 0.3);
    assert_true(fabs(json_get_number(entry, "ci95.1") - 6.8) < 0.3);
}

static void only_the_request_differs(const struct fake_labs *fake, const json_t *out, const json_t *entry)
{
    (void)out;
    (void)entry;
    assert_true(fake->runs[1].run.temperature == 0.7 && fake->runs[2].run.temperature == 0.9);
}

static void its_own_baseline_is_beside_it(const struct fake_labs *fake, const json_t *out,
                                          const json_t *entry)
{
    (void)fake;
    (void)out;
    assert_non_null(json_get_object(entry, "compared_baseline"));
}

static void nothing_was_run(const struct fake_labs *fake, const json_t *out, const json_t *entry)
{
    (void)entry;
    assert_null(out);
    assert_int_equal(fake->n_runs, 0);
}

static int two_threads_do_not_fit(void *context, const struct engine_options *engine, struct error *error)
{
    (void)context;
    return engine->n_threads == 2 ? error_set(error, ERROR_LIMIT, "it does not fit") : 0;
}

static const struct proof_case cases[] = {
    {.name = "every block has fresh processes: a warm-up each, and A B B A",
     .configuration = "threads=2",
     .factor = fewer_are_faster,
     .order = "ababba"
              "cdcddc"
              "efeffe"
              "ghghhg"
              "ijijji",
     .outcome = "ok",
     .verdict = "higher",
     .samples = 10,
     .n_opened = 10,
     .also = pairs_are_blocks},
    {.name = "luck of a process is no gain",
     .configuration = "threads=2",
     .factor = lucky_processes,
     .quiet = true,
     .verdict = "no_real_difference",
     .also = the_interval_is_wide},
    /* what is asked for otherwise, and not done otherwise, needs one process a block */
    {.name = "a request runs in the baseline's process",
     .configuration = "temperature=0.9",
     .order = "aaaaabbbbbcccccdddddeeeee",
     .verdict = "no_real_difference",
     .also = only_the_request_differs},
    /* the baseline's usual request is not run */
    {.name = "a test of its own has no baseline entry",
     .configuration = "kv_bits=8",
     .entries = 1,
     .also = its_own_baseline_is_beside_it},
    {.name = "what is the baseline cannot be tried",
     .configuration = "threads=4",
     .status = ERROR_INVALID,
     .message = "nothing to compare with",
     .also = nothing_was_run},
    {.name = "what this machine has not got cannot be tried",
     .configuration = "isa=neon",
     .status = ERROR_INVALID,
     .message = "has not got it",
     .also = nothing_was_run},
    /* it would not fit the next time either: only the baseline was opened */
    {.name = "a variant that does not open is an entry",
     .configuration = "threads=2",
     .refuse = two_threads_do_not_fit,
     .message = "it does not fit",
     .outcome = "out_of_memory",
     .n_opened = 1},
    {.name = "a lab that dies ends it",
     .configuration = "threads=2",
     .last_death = 11,
     .message = "signal 9",
     .outcome = "error",
     .verdict = "unknown"},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void check_order(const struct fake_labs *fake, const char *wanted)
{
    char order[128];
    for (size_t i = 0; i < fake->n_runs; i++)
        order[i] = fake->runs[i].lab;
    order[fake->n_runs] = '\0';
    assert_string_equal(order, wanted);
}

static void go_through(const struct proof_case *c, int die_at)
{
    struct fake_labs fake;
    struct error error = {0};
    json_t *out;
    fake_labs_init(&fake);
    fake.factor = c->factor;
    fake.refuse = c->refuse;
    fake.die_at = die_at;
    if (c->quiet)
        fake.noise = 0;
    assert_int_equal(measure(&fake, c->configuration, NULL, &out, &error), c->status);
    const json_t *entry = json_get_where(out, "", "id", c->configuration);
    if (c->message)
        assert_non_null(strstr(c->status ? error.message : json_get_text(entry, "message", ""), c->message));
    if (c->order)
        check_order(&fake, c->order);
    if (c->outcome)
        assert_true(json_get_is(entry, "outcome", c->outcome));
    if (c->verdict)
        assert_true(json_get_is(entry, "verdict", c->verdict));
    if (c->entries)
        assert_int_equal(json_array_size(out), c->entries);
    if (c->samples)
        assert_int_equal(json_get_count(entry, "samples"), c->samples);
    if (c->n_opened)
        assert_int_equal(fake.n_opened, c->n_opened);
    if (c->also)
        c->also(&fake, out, entry);
    assert_int_equal(fake.n_open, 0);
    json_decref(out);
    fake_labs_free(&fake);
}

static void a_proof(void **state)
{
    const struct proof_case *c = *state;
    if (!c->last_death)
        go_through(c, -1);
    for (int at = 1; at <= c->last_death; at++)
        go_through(c, at);
}

/* ---- how much, and how long ---- */

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
    struct CMUnitTest tests[N_CASES + 2] = {cmocka_unit_test(a_fast_model_gets_more_blocks),
                                            cmocka_unit_test(it_can_be_cancelled)};
    for (size_t i = 0; i < N_CASES; i++)
        tests[2 + i] = (struct CMUnitTest){
            .name = cases[i].name, .test_func = a_proof, .initial_state = (void *)(uintptr_t)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
