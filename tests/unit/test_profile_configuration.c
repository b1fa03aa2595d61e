/* Which configurations there are, in which order they run, what is said of them; with labs that are no
 * processes (support/fake_labs.h). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "profile/configuration_catalogue.h"
#include "profile/configuration_measure.h"
#include "profile/configuration_report.h"
#include "profile/json_get.h"
#include "support/fake_labs.h"

static const char *const isas[] = {"reference", "avx2", "avx512", NULL};

static struct profile_request asked(const char *const *names, size_t n)
{
    struct profile_request request = {.n_models = 1, .n_configurations = n};
    request.models[0] = (struct profile_model){.name = "m", .path = "/models/m"};
    for (size_t i = 0; i < n; i++)
        request.configurations[i] = names[i];
    return request;
}

/* ---- names ---- */

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"baseline",  "high_temperature", "threads",           "threads=4",
                                       "isa=avx2",  "concurrency=8",    "prefill_chunk=256", "kv_bits",
                                       "kv_bits=8", "prefix_cache"};
    static const char *const bad[] = {
        "",          "thread",          "threads=",   "threads=0",      "threads=-1",
        "threads=x", "threads=9999999", "kv_bits=7",  "prefix_cache=1", "isa=",
        "isa=a b",   "baseline=1",      "threads= 4", "huge_pages",     "=4"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(configuration_known(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(configuration_known(bad[i]));
}

/* ---- the catalogue ---- */

static struct engine_info small_engine = {.isa = "avx512",
                                          .backend = "cpu",
                                          .n_threads = 2,
                                          .context = 2048,
                                          .max_sequences = 1,
                                          .prefill_chunk = 512,
                                          .kv_bits = 16,
                                          .load_ms = 100};

static struct configuration_machine small_machine(uint32_t threads)
{
    return (struct configuration_machine){.baseline = &small_engine,
                                          .folder = "/models/m",
                                          .prompt = "Why?",
                                          .usable_threads = threads,
                                          .isas = isas};
}

static void ids(const struct configuration_list *list, char *out, size_t capacity)
{
    out[0] = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t n = strlen(out);
        snprintf(out + n, capacity - n, "%s%s", i ? " " : "", list->items[i].id);
    }
}

static void all_of_a_small_machine(void **state)
{
    (void)state;
    struct profile_request request = asked(NULL, 0);
    struct configuration_machine machine = small_machine(2);
    struct configuration_list list;
    char text[1024];
    request.all_configurations = true;
    request.models[0].adapter = "/adapters/tuned";
    configuration_list_build(&machine, &request, 1, NULL, &list);
    ids(&list, text, sizeof text);
    assert_string_equal(text,
                        "baseline high_temperature low_temperature short_response long_response threads=1 "
                        "concurrency=2 concurrency=4 concurrency=8 kv_bits=8 prefix_cache prefill_chunk=128 "
                        "prefill_chunk=256 prefill_chunk=1024 isa=avx2");
    assert_true(list.items[0].b.temperature == 0.7);
    assert_int_equal(list.items[0].b.scenario.max_tokens, 100);
    assert_true(list.items[1].b.temperature == 0.9);
    assert_true(list.items[2].b.temperature == 0.3);
    assert_int_equal(list.items[3].b.scenario.max_tokens, 50);
    assert_int_equal(list.items[4].b.scenario.max_tokens, 200);
    /* nothing but the knob differs from the baseline */
    const struct configuration *threads = &list.items[5];
    assert_true(threads->own_lab);
    assert_int_equal(threads->engine.n_threads, 1);
    assert_int_equal(threads->engine.kv_bits, 16);
    assert_int_equal(threads->engine.prefill_chunk, 512);
    assert_string_equal(threads->engine.isa, "avx512");
    assert_string_equal(threads->engine.adapter, "/adapters/tuned");
    assert_memory_equal(&threads->a, &threads->b, sizeof threads->a);
    assert_int_equal(list.items[6].compared, SWEEP_AGGREGATE_TPS);
    assert_int_equal(list.items[9].compared, SWEEP_DECODE_TPS);
    assert_int_equal(list.items[9].b.scenario.prompt_tokens, 1024); /* where the KV cache matters */
    assert_int_equal(list.items[10].compared, SWEEP_TTFT_MS);
    assert_int_equal(list.items[11].compared, SWEEP_PREFILL_TPS);
}

static void threads_of_a_large_machine(void **state)
{
    (void)state;
    static const char *const names[] = {"threads"};
    struct profile_request request = asked(names, 1);
    struct configuration_machine machine = small_machine(64);
    struct configuration_list list;
    char text[256];
    small_engine.n_threads = 64;
    configuration_list_build(&machine, &request, 1, NULL, &list);
    small_engine.n_threads = 2;
    ids(&list, text, sizeof text);
    assert_string_equal(text, "baseline threads=1 threads=16 threads=32");
}

static void asked_for_by_value(void **state)
{
    (void)state;
    static const char *const names[] = {"isa=reference", "threads=3", "threads=3",
                                        "threads",       "isa=neon",  "kv_bits=16"};
    struct profile_request request = asked(names, 6);
    struct configuration_machine machine = small_machine(2);
    struct configuration_list list;
    char text[256];
    json_t *cuts = json_array();
    configuration_list_build(&machine, &request, 1, cuts, &list);
    ids(&list, text, sizeof text);
    assert_string_equal(text, "baseline threads=3 threads=1 isa=reference");
    assert_int_equal(json_array_size(cuts), 2);
    assert_string_equal(
        json_string_value(json_array_get(cuts, 0)),
        "configuration kv_bits=16: nothing to compare with: the baseline is the only value here");
    assert_string_equal(json_string_value(json_array_get(cuts, 1)),
                        "configuration isa=neon: this machine or program has not got it");
    json_decref(cuts);
}

/* MLX has its own threads, instructions and cache, and promises nothing that guessing could rest on. */
static void another_backend(void **state)
{
    (void)state;
    static const char *const names[] = {"threads=3", "concurrency=2", "kv_bits", "prompt_lookup", "isa"};
    struct profile_request request = asked(names, 5);
    struct configuration_machine machine = small_machine(4);
    struct configuration_list list;
    char text[256];
    json_t *cuts = json_array();
    small_engine.backend = "mlx";
    configuration_list_build(&machine, &request, 1, cuts, &list);
    ids(&list, text, sizeof text);
    assert_string_equal(text, "baseline concurrency=2");
    assert_int_equal(json_array_size(cuts), 4);
    assert_non_null(strstr(json_string_value(json_array_get(cuts, 0)), "the backend of this run"));
    json_decref(cuts);
    request = asked(NULL, 0);
    request.all_configurations = true;
    configuration_list_build(&machine, &request, 1, NULL, &list);
    small_engine.backend = NULL;
    ids(&list, text, sizeof text);
    assert_null(strstr(text, "threads="));
    assert_null(strstr(text, "isa="));
    assert_non_null(strstr(text, "prefill_chunk="));
}

static void a_short_context(void **state)
{
    (void)state;
    struct profile_request request = asked(NULL, 0);
    struct configuration_machine machine = small_machine(2);
    struct configuration_list list;
    request.all_configurations = true;
    small_engine.context = 256;
    configuration_list_build(&machine, &request, 1, NULL, &list);
    small_engine.context = 2048;
    for (size_t i = 0; i < list.count; i++) {
        const struct scenario *scenario = &list.items[i].b.scenario;
        if (scenario->kind != SCENARIO_PROMPT)
            assert_true(scenario->prompt_tokens + scenario->max_tokens <= 256);
        assert_string_not_equal(list.items[i].id, "prefill_chunk=1024"); /* does what 512 does */
    }
}

/* ---- the budget ---- */

static void what_does_not_fit_is_listed(void **state)
{
    (void)state;
    struct profile_request request = asked(NULL, 0);
    struct configuration_machine machine = small_machine(2);
    struct configuration_speed fast = {2000, 1000, 0.3, &small_engine}, slow = {20, 5, 3, &small_engine};
    struct configuration_list list;
    double expected;
    json_t *cuts = json_array();
    request.all_configurations = true;

    configuration_list_fit(&machine, &request, &fast, 2, 1000, cuts, &list, &expected);
    assert_int_equal(json_array_size(cuts), 0);
    assert_int_equal(list.count, 15);
    assert_true(expected > 5 && expected < 60);

    /* first the answers, then the last knobs */
    configuration_list_fit(&machine, &request, &fast, 2, expected / 2, cuts, &list, &expected);
    assert_string_equal(json_string_value(json_array_get(cuts, 0)),
                        "configuration prefill_chunk=1024 left out"); /* of 512 tokens it is all, as 512 */
    assert_string_equal(json_string_value(json_array_get(cuts, 1)),
                        "configurations: answers shortened, the baseline's to 50 tokens");
    assert_string_equal(json_string_value(json_array_get(cuts, 2)), "configuration isa=avx2 left out");
    assert_int_equal(list.items[0].b.scenario.max_tokens, 50);
    assert_true(list.count >= 5 && list.count < 15);
    json_array_clear(cuts);

    /* a model of 5 tok/s in 20 s: the baseline alone, and everything is accounted for */
    configuration_list_fit(&machine, &request, &slow, 2, 20, cuts, &list, &expected);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].b.scenario.max_tokens, 12);
    assert_int_equal(json_array_size(cuts), 14 + 3); /* fourteen variants, three times shorter */
    json_decref(cuts);
}

/* ---- measuring ---- */

static int measure(struct fake_labs *fake, const struct profile_request *request,
                   const struct run_hooks *hooks, double budget_s, json_t *cuts, json_t **out,
                   struct error *error)
{
    struct configuration_world world = {.labs = &fake->labs, .usable_threads = 2, .isas = isas};
    struct configuration_context context = {
        .request = request, .hooks = hooks, .budget_s = budget_s, .progress_to = 1};
    struct lab_options options = {.engine = {.model = "/models/m"}};
    if (fake->n_opened == 0)
        assert_int_equal(fake_open(fake, &options, &context.baseline, error), 0);
    context.baseline = fake->all[0];
    return configurations_measure(&world, &context, cuts, out, error);
}

static double one_thread_faster(void *context, const struct lab *lab, const struct lab_run *run,
                                struct sample *sample)
{
    (void)context;
    (void)run;
    (void)sample;
    return lab->engine.n_threads == 1 ? 1.31 : 1;
}

static void in_turn(void **state)
{
    (void)state;
    static const char *const names[] = {"threads"};
    struct profile_request request = asked(names, 1);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    char order[128] = "";
    fake_labs_init(&fake);
    fake.factor = one_thread_faster;
    assert_int_equal(measure(&fake, &request, NULL, 0, cuts, &out, &error), 0);
    for (size_t i = 0; i < fake.n_runs; i++)
        order[i] = fake.runs[i].lab;
    /* how fast is it; a warm-up each; five blocks */
    assert_string_equal(order, "aa"
                               "ab"
                               "abbaabbaabbaabbaabba");
    assert_int_equal(fake.most_open, 2);
    assert_int_equal(fake.n_open, 1); /* the baseline's is the caller's */

    assert_int_equal(json_array_size(out), 2);
    const json_t *entry = json_array_get(out, 1);
    assert_true(json_get_is(entry, "id", "threads=1") && json_get_is(entry, "outcome", "ok"));
    assert_true(json_get_is(entry, "compared", "decode_tokens_per_second"));
    assert_true(json_get_is(entry, "verdict", "higher"));
    assert_true(fabs(json_get_number(entry, "change_pct") - 31) < 0.5);
    assert_true(json_get_bool(entry, "significant", false) && json_get_bool(entry, "best", false));
    assert_false(json_get_bool(entry, "indicative", true));
    assert_true(json_get_number(entry, "pairs") == 10);
    assert_true(json_get_number(entry, "knobs.threads") == 1);
    assert_int_equal(json_get_count(entry, "samples"), 10);
    assert_true(json_get_number(entry, "memory_bytes") == 5e6); /* a process of its own */
    assert_true(fabs(json_get_number(entry, "samples.0.decode_tokens_per_second") / 262 - 1) < 0.01);
    assert_true(fabs(json_get_number(entry, "samples.0.baseline_decode_tokens_per_second") / 200 - 1) < 0.01);
    /* the baseline's entry is made of its runs in turn */
    const json_t *baseline = json_array_get(out, 0);
    assert_true(json_get_is(baseline, "id", "baseline") && !json_get_bool(baseline, "best", true));
    assert_int_equal(json_get_count(baseline, "samples"), 10);
    assert_true(json_get_is(baseline, "samples.9.beside", "threads=1"));
    assert_true(json_is_null(json_get(baseline, "change_pct")) &&
                json_get_string(baseline, "change_pct_reason"));
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

static void quick_is_indicative(void **state)
{
    (void)state;
    static const char *const names[] = {"high_temperature"};
    struct profile_request request = asked(names, 1);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    request.quick = true;
    fake_labs_init(&fake);
    assert_int_equal(measure(&fake, &request, NULL, 50, cuts, &out, &error), 0);
    assert_int_equal(fake.n_runs, 2 + 1 + 8); /* both sides have the same shape: one warm-up */
    assert_true(fake.runs[4].run.temperature == 0.9 && fake.runs[3].run.temperature == 0.7);
    const json_t *entry = json_array_get(out, 1);
    assert_true(json_get_bool(entry, "indicative", false));
    assert_true(json_get_is(entry, "verdict", "no_real_difference"));
    assert_true(json_is_null(json_get(entry, "memory_bytes")));
    assert_true(json_get_is(entry, "memory_bytes_reason", "shares the baseline's process"));
    assert_true(json_get_number(json_array_get(out, 0), "memory_bytes") == 5e6);
    assert_false(json_get_bool(entry, "significant", true) || json_get_bool(entry, "best", true));
    assert_int_equal(fake.n_opened, 1);
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

/* The headline of a short answer is higher only because less of it is waiting. */
static void fewer_tokens_are_not_faster(void **state)
{
    (void)state;
    static const char *const names[] = {"short_response", "long_response"};
    struct profile_request request = asked(names, 2);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    fake_labs_init(&fake);
    fake.prefill_tps = 100; /* waiting is most of it */
    assert_int_equal(measure(&fake, &request, NULL, 0, cuts, &out, &error), 0);
    const json_t *longer = json_array_get(out, 2), *baseline = json_array_get(out, 0);
    assert_true(json_get_figure(longer, "tokens_per_second") >
                1.2 * json_get_figure(baseline, "tokens_per_second"));
    for (size_t i = 0; i < 3; i++)
        assert_false(json_get_bool(json_array_get(out, i), "best", true));
    assert_true(json_get_is(longer, "verdict", "no_real_difference"));
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

static void several_at_once_share_a_lab_and_no_crown(void **state)
{
    (void)state;
    static const char *const names[] = {"concurrency", "prefix_cache"};
    struct profile_request request = asked(names, 2);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    fake_labs_init(&fake);
    assert_int_equal(measure(&fake, &request, NULL, 0, cuts, &out, &error), 0);
    assert_int_equal(fake.n_opened, 2);
    assert_int_equal(fake.all[1]->engine.max_sequences, 8);
    const json_t *four = json_array_get(out, 2), *cache = json_array_get(out, 4);
    assert_true(json_get_is(four, "id", "concurrency=4") && json_get_is(four, "verdict", "higher"));
    assert_true(json_get_is(four, "compared", "aggregate_decode_tokens_per_second"));
    assert_true(fabs(json_get_figure(four, "tokens_per_second") / 400 - 1) < 0.01);
    assert_true(json_get_is(cache, "compared", "ttft_ms") && json_get_is(cache, "better", "lower"));
    assert_true(json_get_is(cache, "verdict", "lower"));
    for (size_t i = 0; i < 5; i++)
        assert_false(json_get_bool(json_array_get(out, i), "best", true));
    /* nothing ran beside the baseline's own request: it was measured by itself */
    assert_int_equal(json_get_count(json_array_get(out, 0), "samples"), 10);
    assert_true(json_is_null(json_get(json_array_get(out, 0), "samples.0.beside")));
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

static double forgets(void *context, const struct lab *lab, const struct lab_run *run, struct sample *sample)
{
    (void)context;
    (void)lab;
    (void)run;
    sample->cached_tokens = 0;
    return 1;
}

static void a_cache_that_found_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"prefix_cache"};
    struct profile_request request = asked(names, 1);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    fake_labs_init(&fake);
    fake.factor = forgets;
    assert_int_equal(measure(&fake, &request, NULL, 0, cuts, &out, &error), 0);
    const json_t *entry = json_array_get(out, 1);
    assert_true(json_get_is(entry, "outcome", "error") && json_get_string(entry, "message"));
    assert_true(json_is_null(json_get(entry, "ttft_ms")) && json_get_is(entry, "verdict", "unknown"));
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

/* ---- what goes wrong ---- */

static int no_eight_bits(void *context, const struct engine_options *engine, struct error *error)
{
    (void)context;
    return engine->kv_bits == 8 ? error_set(error, ERROR_UNSUPPORTED, "no 8-bit KV cache here") : 0;
}

static double one_thread_times_out(void *context, const struct lab *lab, const struct lab_run *run,
                                   struct sample *sample)
{
    (void)context;
    (void)run;
    if (lab->engine.n_threads == 1) {
        sample->outcome = OUTCOME_TIMEOUT;
        snprintf(sample->message, sizeof sample->message, "stopped after 60 s");
    }
    return 1;
}

static void a_variant_that_fails_is_an_entry(void **state)
{
    (void)state;
    static const char *const names[] = {"threads", "kv_bits", "isa"};
    struct profile_request request = asked(names, 3);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    fake_labs_init(&fake);
    fake.refuse = no_eight_bits;
    fake.factor = one_thread_times_out;
    assert_int_equal(measure(&fake, &request, NULL, 0, cuts, &out, &error), 0);
    assert_int_equal(json_array_size(out), 4);
    const json_t *threads = json_array_get(out, 1), *kv = json_array_get(out, 2),
                 *isa = json_array_get(out, 3);
    assert_true(json_get_is(threads, "outcome", "timeout") &&
                json_get_is(threads, "message", "stopped after 60 s"));
    assert_true(json_get_is(kv, "outcome", "error") && json_get_is(kv, "message", "no 8-bit KV cache here"));
    assert_true(json_is_null(json_get(kv, "decode_tokens_per_second")));
    assert_true(json_get_is(isa, "outcome", "ok") && json_get_is(isa, "verdict", "no_real_difference"));
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

static void a_lab_that_dies(void **state)
{
    (void)state;
    static const char *const names[] = {"threads", "isa"};
    struct profile_request request = asked(names, 2);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    fake_labs_init(&fake);
    fake.die_at = 9; /* aa ab abba ab: the variant's */
    assert_int_equal(measure(&fake, &request, NULL, 0, cuts, &out, &error), 0);
    const json_t *threads = json_array_get(out, 1), *isa = json_array_get(out, 2);
    assert_true(json_get_is(threads, "outcome", "error"));
    assert_true(json_get_is(threads, "message", "the lab was killed by signal 9"));
    assert_int_equal(json_get_count(threads, "samples"), 2); /* what it had given before */
    assert_true(json_get_is(threads, "verdict", "unknown"));
    assert_true(json_get_is(isa, "outcome", "ok"));
    json_decref(out);
    fake_labs_free(&fake);

    fake_labs_init(&fake);
    fake.die_at = 8; /* the baseline's: nothing can go on */
    assert_int_equal(measure(&fake, &request, NULL, 0, cuts, &out, &error), ERROR_IO);
    assert_int_equal(json_array_size(out), 2); /* what there is is kept */
    assert_int_equal(fake.n_open, 1);
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

static atomic_int cancel;

static double cancel_later(void *context, const struct lab *lab, const struct lab_run *run,
                           struct sample *sample)
{
    (void)lab;
    (void)run;
    (void)sample;
    if (++*(int *)context == 10)
        atomic_store(&cancel, 1);
    return 1;
}

static void cancelled(void **state)
{
    (void)state;
    static const char *const names[] = {"threads", "isa"};
    struct profile_request request = asked(names, 2);
    struct run_hooks hooks = {.cancel = &cancel};
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    int n = 0;
    fake_labs_init(&fake);
    fake.factor = cancel_later;
    fake.context = &n;
    atomic_store(&cancel, 0);
    assert_int_equal(measure(&fake, &request, &hooks, 0, cuts, &out, &error), ERROR_CANCELLED);
    assert_int_equal(fake.n_runs, 10);
    assert_int_equal(json_array_size(out), 2);
    assert_true(json_get_is(json_array_get(out, 1), "outcome", "cancelled"));
    assert_int_equal(json_get_count(json_array_get(out, 1), "samples"), 3);
    assert_int_equal(fake.n_open, 1);
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

/* ---- the gate, events, time ---- */

struct busy {
    int closed, closes, opens, served;
    int overlaps_at, overlaps_until; /* of opens */
    int notes, samples, phases;
    double last_progress;
};

static int gate_close(void *context, uint32_t wait_ms, const atomic_int *c, struct error *error)
{
    struct busy *busy = context;
    (void)wait_ms;
    (void)c;
    (void)error;
    assert_int_equal(busy->closed, 0);
    busy->closed = 1;
    busy->closes++;
    return 0;
}

static bool gate_open(void *context)
{
    struct busy *busy = context;
    assert_int_equal(busy->closed, 1);
    busy->closed = 0;
    busy->opens++;
    return busy->opens >= busy->overlaps_at && busy->opens < busy->overlaps_until;
}

static void on_event(void *context, const json_t *event)
{
    struct busy *busy = context;
    busy->notes += json_get_is(event, "type", "note");
    busy->samples += json_get_is(event, "type", "sample") && !json_get_bool(event, "warmup", true);
    if (json_get_is(event, "type", "phase")) {
        busy->phases++;
        assert_true(json_get_is(event, "phase", "configurations") && json_get_string(event, "step"));
        double progress = json_get_number(event, "progress");
        assert_true(progress >= busy->last_progress && progress <= 1);
        busy->last_progress = progress;
    }
}

static void an_overlapped_run_is_done_again(void **state)
{
    (void)state;
    static const char *const names[] = {"threads", "isa"};
    struct profile_request request = asked(names, 2);
    struct busy busy = {.overlaps_at = 3, .overlaps_until = 5};
    struct gate gate = {.close = gate_close, .open = gate_open, .context = &busy};
    struct run_hooks hooks = {.on_event = on_event, .context = &busy, .gate = &gate};
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    fake_labs_init(&fake);
    assert_int_equal(measure(&fake, &request, &hooks, 0, cuts, &out, &error), 0);
    assert_int_equal(busy.closes, 42); /* two variants of twenty runs, and two done again */
    assert_int_equal(busy.opens, 42);
    assert_int_equal(busy.notes, 2);
    assert_int_equal(busy.samples, 40);
    assert_true(busy.phases >= 12 && busy.last_progress > 0.9);
    assert_int_equal(json_get_count(json_array_get(out, 1), "samples"), 10);
    json_decref(out);
    fake_labs_free(&fake);

    /* a server that is never quiet: that variant has no figures, and says why */
    busy = (struct busy){.overlaps_at = 1, .overlaps_until = 1000};
    fake_labs_init(&fake);
    assert_int_equal(measure(&fake, &request, &hooks, 0, cuts, &out, &error), 0);
    const json_t *entry = json_array_get(out, 1);
    assert_true(json_get_is(entry, "outcome", "error"));
    assert_non_null(strstr(json_get_text(entry, "message", ""), "other requests were served"));
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

static double slower_with_time(void *context, const struct lab *lab, const struct lab_run *run,
                               struct sample *sample)
{
    (void)lab;
    (void)run;
    (void)sample;
    return ++*(int *)context > 4 ? 0.02 : 1; /* faster at first, so that the estimate is wrong */
}

static void when_the_time_is_up(void **state)
{
    (void)state;
    struct profile_request request = asked(NULL, 0);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    int n = 0;
    request.all_configurations = request.quick = true;
    fake_labs_init(&fake);
    fake.factor = slower_with_time;
    fake.context = &n;
    assert_int_equal(measure(&fake, &request, NULL, 60, cuts, &out, &error), 0);
    assert_true(fake.now_s > 60 && fake.now_s < 400);
    assert_true(json_array_size(out) < 15 && json_array_size(out) + json_array_size(cuts) >= 15);
    assert_non_null(
        strstr(json_string_value(json_array_get(cuts, json_array_size(cuts) - 1)), "the time was up"));
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

static void unstable_figures_have_no_verdict(void **state)
{
    (void)state;
    static const char *const names[] = {"threads"};
    struct profile_request request = asked(names, 1);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    fake_labs_init(&fake);
    fake.noise = 1.0; /* every other run is twice as fast */
    assert_int_equal(measure(&fake, &request, NULL, 0, cuts, &out, &error), 0);
    const json_t *entry = json_array_get(out, 1);
    assert_true(json_get_is(entry, "verdict", "unknown"));
    assert_non_null(strstr(json_get_text(entry, "verdict_reason", ""), "scatter"));
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

static void none_asked_for(void **state)
{
    (void)state;
    struct profile_request request = asked(NULL, 0);
    struct fake_labs fake;
    struct error error = {0};
    json_t *out, *cuts = json_array();
    fake_labs_init(&fake);
    assert_int_equal(measure(&fake, &request, NULL, 0, cuts, &out, &error), 0);
    assert_int_equal(json_array_size(out), 0);
    assert_int_equal(fake.n_runs, 0);
    json_decref(out);
    json_decref(cuts);
    fake_labs_free(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(all_of_a_small_machine),
        cmocka_unit_test(threads_of_a_large_machine),
        cmocka_unit_test(asked_for_by_value),
        cmocka_unit_test(another_backend),
        cmocka_unit_test(a_short_context),
        cmocka_unit_test(what_does_not_fit_is_listed),
        cmocka_unit_test(in_turn),
        cmocka_unit_test(quick_is_indicative),
        cmocka_unit_test(fewer_tokens_are_not_faster),
        cmocka_unit_test(several_at_once_share_a_lab_and_no_crown),
        cmocka_unit_test(a_cache_that_found_nothing),
        cmocka_unit_test(a_variant_that_fails_is_an_entry),
        cmocka_unit_test(a_lab_that_dies),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(an_overlapped_run_is_done_again),
        cmocka_unit_test(when_the_time_is_up),
        cmocka_unit_test(unstable_figures_have_no_verdict),
        cmocka_unit_test(none_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
