/* Labs, for real: this test program is its own lab (the process starts itself again as "lab"). */
#include "support/tiny_adapter.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <sys/socket.h>

#include "platform/clock.h"
#include "profile/json_get.h"
#include "profile/lab.h"
#include "profile/lab_json.h"
#include "profile/lab_wire.h"
#include "profile/lab_work.h"

static char folder[256], adapter[256];
static atomic_int cancel;

static int set_up(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_BF16, .seed = 5};
    tiny_model_write(&options, folder, sizeof folder);
    tiny_adapter_write(6, adapter, sizeof adapter);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tiny_model_remove(folder);
    tiny_adapter_remove(adapter);
    return 0;
}

static struct lab *open_lab_with(const char *lora, uint32_t max_sequences)
{
    struct lab_options options = {.engine = {.model = folder,
                                             .adapter = lora,
                                             .n_threads = 1,
                                             .max_sequences = max_sequences,
                                             .prefill_chunk = 32},
                                  .cancel = &cancel};
    struct lab *lab = NULL;
    struct error error = {0};
    atomic_store(&cancel, 0);
    if (lab_open(&options, &lab, &error))
        fail_msg("lab_open: %s", error.message);
    return lab;
}

static struct lab *open_lab(uint32_t max_sequences)
{
    return open_lab_with(NULL, max_sequences);
}

static struct lab_run decode_run(uint32_t prompt, uint32_t tokens)
{
    return (struct lab_run){
        .scenario = {.kind = SCENARIO_DECODE, .prompt_tokens = prompt, .max_tokens = tokens},
        .temperature = NAN};
}

static void a_run_is_measured(void **state)
{
    (void)state;
    struct lab *lab = open_lab(1);
    struct lab_result result;
    struct error error = {0};
    const json_t *info = lab_info(lab);
    assert_true(lab_pid(lab) > 0);
    assert_string_equal(json_get_string(info, "flags.backend"), "cpu");
    assert_int_equal(json_get_number(info, "vocab"), TINY_VOCAB);
    assert_true(json_get_number(info, "weight_bytes") > 0 && json_get_number(info, "kv_bytes_per_token") > 0);
    assert_int_equal(lab_engine_info(lab)->context, TINY_CONTEXT);
    assert_int_equal(lab_engine_info(lab)->prefill_chunk, 32);
    assert_true(lab_engine_info(lab)->load_ms > 0);

    struct lab_run run = decode_run(64, 17);
    run.probe = true;
    double before_s = (double)clock_now_ns() / 1e9;
    assert_int_equal(lab_do(lab, &run, &result, &error), 0);
    assert_int_equal(result.sample.outcome, OUTCOME_OK);
    assert_int_equal(result.sample.prompt_tokens, 64);
    assert_int_equal(result.sample.cached_tokens, 0);
    assert_int_equal(result.sample.generated_tokens, 17);
    assert_int_equal(result.sample.n_itl, 16);
    assert_true(result.sample.value[METRIC_DECODE_TPS] > 0 && result.sample.value[METRIC_TTFT_MS] > 0);
    assert_true(isnan(result.sample.value[METRIC_ITL_P99_MS]));
    assert_true(result.probe.gbps > 0 && result.probe.pass_bytes > 0);
    assert_true(isnan(result.aggregate_decode_tps));
    /* one clock for both processes */
    assert_true(result.start_s >= before_s && result.first_token_s > result.start_s);
    assert_true(result.end_s >= result.first_token_s && result.end_s <= (double)clock_now_ns() / 1e9);
    assert_true(result.weight_bytes_per_token > 0 && result.kv_bytes_per_token > 0);
    assert_true(result.prefill_flops > result.flops_per_token);
    assert_true(result.memory.known && result.memory.footprint_peak_bytes >= result.memory.footprint_bytes);
    sample_free(&result.sample);
    lab_close(lab);
}

static void prompts_and_samplers(void **state)
{
    (void)state;
    struct lab *lab = open_lab(2);
    struct lab_result result;
    struct error error = {0};
    struct lab_run run = {
        .scenario = {.kind = SCENARIO_PROMPT, .prompt = "Was ist \xc3\xbc?", .max_tokens = 6},
        .temperature = 0.9,
        .seed = UINT64_C(0x8000000000000001)};
    assert_int_equal(lab_do(lab, &run, &result, &error), 0);
    assert_int_equal(result.sample.outcome, OUTCOME_OK);
    assert_int_equal(result.sample.generated_tokens, 6);
    assert_true(isnan(result.probe.gbps)); /* was not asked for */
    sample_free(&result.sample);

    run = decode_run(8, 40);
    run.n_sequences = 2;
    assert_int_equal(lab_do(lab, &run, &result, &error), 0);
    assert_int_equal(result.sample.outcome, OUTCOME_OK);
    assert_true(result.aggregate_decode_tps > 0);
    sample_free(&result.sample);

    /* what does not fit is an outcome, not an error */
    run = decode_run(TINY_CONTEXT, 8);
    assert_int_equal(lab_do(lab, &run, &result, &error), 0);
    assert_int_equal(result.sample.outcome, OUTCOME_ERROR);
    assert_non_null(strstr(result.sample.message, "context"));
    sample_free(&result.sample);
    lab_close(lab);
}

static void only_warm_runs_find_a_cache(void **state)
{
    (void)state;
    struct lab *lab = open_lab(1);
    struct lab_result result;
    struct error error = {0};
    uint32_t cached[4];
    for (int i = 0; i < 4; i++) { /* warm, cold, warm, cold */
        struct lab_run run = decode_run(256, 2);
        run.warm = i % 2 == 0;
        assert_int_equal(lab_do(lab, &run, &result, &error), 0);
        assert_int_equal(result.sample.outcome, OUTCOME_OK);
        cached[i] = result.sample.cached_tokens;
        sample_free(&result.sample);
    }
    assert_int_equal(cached[0], 0);
    assert_int_equal(cached[1], 0);
    assert_true(cached[2] > 0);
    assert_int_equal(cached[3], 0);
    lab_close(lab);
}

static void faster_with_a_trace_is_noise(void **state)
{
    (void)state;
    json_t *trace = json_object();
    lab_work_put_overhead(trace, 103e6, 100e6);
    assert_true(fabs(json_get_number(trace, "overhead_fraction") - 0.03) < 1e-9);
    lab_work_put_overhead(trace, 97e6, 100e6);
    assert_true(json_is_null(json_get(trace, "overhead_fraction")));
    assert_true(json_get_is(trace, "overhead_fraction_reason", "smaller than the noise of the steps"));
    lab_work_put_overhead(trace, 0, 0);
    assert_true(json_get_is(trace, "overhead_fraction_reason", "the step took no time"));
    json_decref(trace);
}

static void a_step_is_traced(void **state)
{
    (void)state;
    struct lab *lab = open_lab(1);
    struct error error = {0};
    json_t *trace;
    assert_int_equal(lab_trace(lab, 1, 100, &trace, &error), 0);
    assert_int_equal(json_get_number(trace, "depth"), 100);
    size_t n = json_get_count(trace, "segments");
    double sum = 0, ms[1000];
    assert_true(n > 10 && n < 1000);
    assert_int_equal(json_get_numbers(trace, "segments", "ms", ms, 1000), n);
    for (size_t i = 0; i < n; i++)
        sum += ms[i];
    double step = json_get_number(trace, "traced_step_ms"),
           covered = json_get_number(trace, "covered_fraction");
    assert_true(fabs(sum / step - covered) < 1e-9 && covered > 0 && covered <= 1.0001);
    json_decref(trace);
    assert_int_equal(lab_trace(lab, 1, TINY_CONTEXT, &trace, &error), ERROR_LIMIT);
    assert_null(trace);
    lab_close(lab);
}

static void what_cannot_be_opened(void **state)
{
    (void)state;
    struct lab_options options = {.engine = {.model = "/nowhere/model"}};
    struct lab *lab = (struct lab *)1;
    struct error error = {0};
    assert_int_equal(lab_open(&options, &lab, &error), ERROR_NOT_FOUND);
    assert_null(lab);
    assert_non_null(strstr(error.message, "/nowhere/model"));
    options.model_name = "mine";
    assert_int_equal(lab_open(&options, &lab, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "mine"));
    assert_null(strstr(error.message, "/nowhere"));
    options.engine = (struct engine_options){.model = folder, .isa = "z80"};
    assert_int_not_equal(lab_open(&options, &lab, &error), 0);
    assert_non_null(strstr(error.message, "z80"));
    lab_close(NULL);
}

static double bytes_of_a_token(struct lab *lab)
{
    struct lab_result result;
    struct error error = {0};
    struct lab_run run = decode_run(8, 4);
    if (lab_do(lab, &run, &result, &error) || result.sample.outcome != OUTCOME_OK)
        fail_msg("%s %s", error.message, result.sample.message);
    sample_free(&result.sample);
    return result.weight_bytes_per_token;
}

/* What is measured has it: each token reads its matrices, too. */
static void an_adapter_is_measured_and_named(void **state)
{
    (void)state;
    struct lab *plain = open_lab(1), *adapted = open_lab_with(adapter, 1);
    assert_null(lab_engine_info(plain)->adapter);
    assert_true(json_is_null(json_get(lab_info(plain), "flags.adapter")));
    assert_non_null(json_get_string(lab_info(plain), "flags.adapter_reason"));
    assert_string_equal(lab_engine_info(adapted)->adapter, tiny_adapter_name(adapter));
    assert_string_equal(json_get_string(lab_info(adapted), "flags.adapter"), tiny_adapter_name(adapter));
    assert_true(fabs(bytes_of_a_token(adapted) - bytes_of_a_token(plain) - TINY_ADAPTER_BYTES) < 0.5);
    char *told = json_dumps(lab_info(adapted), 0);
    assert_null(strstr(told, adapter));
    free(told);
    lab_close(plain);
    lab_close(adapted);
}

/* Messages travel to whoever reads the report: they do not say where it lies. */
static void an_adapter_that_does_not_fit(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/none", adapter);
    const char *const wrong[] = {path, folder};
    for (size_t i = 0; i < 2; i++) {
        struct lab_options options = {.engine = {.model = folder, .adapter = wrong[i], .n_threads = 1}};
        struct lab *lab;
        struct error error = {0};
        assert_int_equal(lab_open(&options, &lab, &error), ERROR_NOT_FOUND);
        assert_null(lab);
        assert_non_null(strstr(error.message, "adapter_config.json"));
        assert_null(strstr(error.message, wrong[i]));
    }
}

/* ---- stopping ---- */

static struct lab *victim;

static void *after_a_moment(void *what)
{
    nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000L}, NULL);
    if (what)
        lab_kill(victim);
    else
        atomic_store(&cancel, 1);
    return NULL;
}

/* Answers as long as the context allows, again and again, until something happens. */
static int work_until_stopped(struct lab *lab, struct error *error)
{
    struct lab_run run = decode_run(1, TINY_CONTEXT - 1);
    struct lab_result result;
    int status = 0;
    for (int i = 0; i < 10000 && !status; i++) {
        status = lab_do(lab, &run, &result, error);
        if (!status)
            sample_free(&result.sample);
    }
    return status;
}

static void a_run_can_be_cancelled(void **state)
{
    (void)state;
    struct lab *lab = open_lab(1);
    struct error error = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, after_a_moment, NULL), 0);
    uint64_t begin = clock_now_ns();
    assert_int_equal(work_until_stopped(lab, &error), ERROR_CANCELLED);
    assert_true(clock_now_ns() - begin < UINT64_C(20000000000));
    pthread_join(thread, NULL);
    lab_close(lab);
}

static void a_lab_that_dies_says_how(void **state)
{
    (void)state;
    struct lab_run run = decode_run(4, 4);
    struct lab_result result;
    struct error error = {0};
    pthread_t thread;
    victim = open_lab(1);
    assert_int_equal(pthread_create(&thread, NULL, after_a_moment, &victim), 0);
    assert_int_equal(work_until_stopped(victim, &error), ERROR_IO);
    pthread_join(thread, NULL);
    assert_non_null(strstr(error.message, "the lab process was killed by signal 9"));
    lab_kill(victim); /* nobody else is hit */
    struct error again = {0};
    assert_int_equal(lab_do(victim, &run, &result, &again), ERROR_IO);
    assert_string_equal(again.message, error.message);
    lab_close(victim);
}

/* ---- the wire ---- */

static void results_survive_the_wire(void **state)
{
    (void)state;
    struct lab_result in, out;
    struct error error = {0};
    float gaps[2] = {1.5F, 2.25F};
    memset(&in, 0, sizeof in);
    in.sample = (struct sample){.outcome = OUTCOME_SHORT, .prompt_tokens = 3, .itl_ms = gaps, .n_itl = 2};
    snprintf(in.sample.message, sizeof in.sample.message, "few");
    for (int m = 0; m < METRICS; m++)
        in.sample.value[m] = m % 2 ? NAN : m + 0.1;
    in.probe = (struct probe_result){.gbps = 7.5, .pass_bytes = 1 << 30, .passes = 9, .level = PROBE_CACHE};
    in.aggregate_decode_tps = INFINITY; /* no JSON has that */
    in.memory = (struct lab_memory){.known = true,
                                    .swap_bytes = UINT64_C(1) << 40,
                                    .allocator_active_bytes = 11,
                                    .allocator_peak_bytes = 13,
                                    .allocator_cache_bytes = UINT64_C(1) << 41};
    json_t *json = lab_result_json(&in);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    json = json_loads(text, 0, NULL);
    free(text);
    assert_int_equal(lab_result_read(json, &out, &error), 0);
    json_decref(json);
    assert_int_equal(out.sample.outcome, OUTCOME_SHORT);
    assert_string_equal(out.sample.message, "few");
    assert_memory_equal(out.sample.itl_ms, gaps, sizeof gaps);
    for (int m = 0; m < METRICS; m++)
        assert_true(m % 2 ? isnan(out.sample.value[m]) : out.sample.value[m] == m + 0.1);
    assert_int_equal(out.probe.level, PROBE_CACHE);
    assert_true(isnan(out.aggregate_decode_tps) && out.probe.gbps == 7.5);
    assert_int_equal(out.memory.swap_bytes, UINT64_C(1) << 40);
    assert_int_equal(out.memory.allocator_active_bytes, 11);
    assert_int_equal(out.memory.allocator_peak_bytes, 13);
    assert_int_equal(out.memory.allocator_cache_bytes, UINT64_C(1) << 41);
    sample_free(&out.sample);
    /* nothing of it has to be there */
    json = json_object();
    assert_int_equal(lab_result_read(json, &out, &error), 0);
    assert_int_equal(out.sample.outcome, OUTCOME_ERROR);
    assert_false(out.memory.known);
    json_decref(json);
}

static void runs_survive_the_wire(void **state)
{
    (void)state;
    struct lab_run in = decode_run(5, 6), out;
    struct error error = {0};
    in.seed = UINT64_MAX;
    in.warm = true;
    in.n_sequences = 4;
    json_t *json = lab_run_json(&in);
    assert_int_equal(lab_run_read(json, &out, &error), 0);
    assert_true(isnan(out.temperature) && out.warm && out.seed == UINT64_MAX && out.n_sequences == 4);
    assert_int_equal(out.scenario.kind, SCENARIO_DECODE);
    json_object_set_new(json, "max_tokens", json_integer(0));
    assert_int_equal(lab_run_read(json, &out, &error), ERROR_INVALID);
    json_object_set_new(json, "max_tokens", json_integer(1));
    json_object_set_new(json, "kind", json_string("prompt"));
    assert_int_equal(lab_run_read(json, &out, &error), ERROR_INVALID);
    json_decref(json);
}

static void lines_come_in_pieces(void **state)
{
    (void)state;
    int ends[2];
    struct lab_wire_in in = {0};
    struct error error = {0};
    json_t *message;
    static const char *const pieces[] = {"{\"a\"", ": 1}\n{\"b\": 2}", "\n[1]\n"};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    int expected[] = {0, 1, 1};
    for (int i = 0; i < 3; i++) {
        assert_true(write(ends[0], pieces[i], strlen(pieces[i])) > 0);
        assert_int_equal(lab_wire_read(&in, ends[1], &error), 1);
        assert_int_equal(lab_wire_next(&in, &message, &error), expected[i]);
        json_decref(message);
    }
    assert_int_equal(lab_wire_next(&in, &message, &error), ERROR_INVALID); /* [1] */
    assert_null(message);
    close(ends[0]);
    assert_int_equal(lab_wire_read(&in, ends[1], &error), 0);
    buffer_free(&in.bytes);
    close(ends[1]);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "lab") == 0)
        return lab_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_measured),
        cmocka_unit_test(prompts_and_samplers),
        cmocka_unit_test(only_warm_runs_find_a_cache),
        cmocka_unit_test(a_step_is_traced),
        cmocka_unit_test(faster_with_a_trace_is_noise),
        cmocka_unit_test(what_cannot_be_opened),
        cmocka_unit_test(an_adapter_is_measured_and_named),
        cmocka_unit_test(an_adapter_that_does_not_fit),
        cmocka_unit_test(a_run_can_be_cancelled),
        cmocka_unit_test(a_lab_that_dies_says_how),
        cmocka_unit_test(results_survive_the_wire),
        cmocka_unit_test(runs_survive_the_wire),
        cmocka_unit_test(lines_come_in_pieces),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
