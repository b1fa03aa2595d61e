/* Estimates with a calibration of round numbers: sums that add up, limits that hold, intervals, what-if. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/shape.h"
#include "profile/estimate.h"
#include "profile/json_get.h"
#include "profile/what_if.h"
#include "support/calibration_fixture.h"

#define GIB ((uint64_t)1 << 30)

static json_t *configuration(uint32_t bits)
{
    json_t *config = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b, s:{s:i, s:i}}", "model_type", "llama",
        "hidden_size", 2048, "num_hidden_layers", 16, "intermediate_size", 8192, "num_attention_heads", 32,
        "num_key_value_heads", 8, "head_dim", 64, "vocab_size", 128256, "max_position_embeddings", 131072,
        "rms_norm_eps", 1e-5, "tie_word_embeddings", 1, "quantization", "bits", (int)bits, "group_size", 64);
    assert_non_null(config);
    return config;
}

static struct model *compile(uint32_t bits)
{
    struct model *model;
    struct error error = {0};
    json_t *config = configuration(bits);
    assert_int_equal(model_shape_compile(config, "llama 1B", &model, &error), 0);
    json_decref(config);
    return model;
}

static void machine_fixture(struct estimate_machine *out)
{
    memset(out, 0, sizeof *out);
    out->calibrated = out->paced = true;
    calibration_fixture(&out->calibration);
    out->pace = out->calibration.pace;
    out->pace_age_s = 1;
    out->memory_bytes = 16 * GIB;
    out->available_bytes = 8 * GIB;
    out->n_threads = 2;
}

static struct estimate estimate_of(const struct model *model, const struct estimate_machine *machine,
                                   struct estimate_options options)
{
    struct estimate estimate;
    struct error error = {0};
    if (estimate_model(model, &options, machine, &estimate, &error))
        fail_msg("%s", error.message);
    return estimate;
}

static bool ordered(struct estimate_interval interval)
{
    return interval.low > 0 && interval.low < interval.mid && interval.mid < interval.high &&
           isfinite(interval.high);
}

static void the_waterfall_adds_up(void **state)
{
    (void)state;
    struct estimate_machine machine;
    struct model *model = compile(4);
    machine_fixture(&machine);
    struct estimate e =
        estimate_of(model, &machine, (struct estimate_options){.context = 4096, .concurrency = 3});
    assert_int_equal(e.total_bytes, e.weight_bytes + e.kv_bytes + e.scratch_bytes + e.program_bytes);
    assert_int_equal(e.weight_bytes, model_info(model)->weight_bytes);
    assert_int_equal(e.kv_bytes_per_token, 16 * 8 * 64 * 2 * 2);
    assert_int_equal(e.kv_bytes, 3 * 4096 * e.kv_bytes_per_token);
    assert_int_equal(e.embedding_bytes, 0); /* tied: the output head reads it */
    assert_int_equal(e.fit, ESTIMATE_FITS);
    struct estimate eight = estimate_of(
        model, &machine, (struct estimate_options){.context = 4096, .concurrency = 3, .kv_bits = 8});
    assert_true((double)eight.kv_bytes < (double)e.kv_bytes * 0.54 && eight.kv_bytes > e.kv_bytes / 2);
    model_close(model);
}

static void limits_are_the_last_that_fit(void **state)
{
    (void)state;
    struct estimate_machine machine;
    struct model *model = compile(4);
    machine_fixture(&machine);
    struct estimate e = estimate_of(model, &machine, (struct estimate_options){.context = 8192});
    struct estimate_options most = {.context = e.max_context};
    assert_true(e.max_context > 8192 && e.max_context <= 131072);
    assert_true(estimate_of(model, &machine, most).total_bytes <= machine.available_bytes);
    struct estimate_options crowd = {.context = 8192, .concurrency = e.max_concurrency};
    assert_true(estimate_of(model, &machine, crowd).total_bytes <= machine.available_bytes);
    crowd.concurrency++;
    struct estimate over = estimate_of(model, &machine, crowd);
    assert_true(over.total_bytes > machine.available_bytes);
    assert_int_equal(over.fit, ESTIMATE_DOES_NOT_FIT);
    machine.available_bytes = e.total_bytes + e.total_bytes / 20;
    assert_int_equal(estimate_of(model, &machine, (struct estimate_options){.context = 8192}).fit,
                     ESTIMATE_TIGHT);
    machine.available_bytes = e.weight_bytes / 2;
    struct estimate none = estimate_of(model, &machine, (struct estimate_options){.context = 8192});
    assert_int_equal(none.max_context, 0);
    assert_int_equal(none.max_concurrency, 0);
    machine.available_bytes = UINT64_MAX;
    assert_int_equal(estimate_of(model, &machine, (struct estimate_options){0}).fit, ESTIMATE_FIT_UNKNOWN);
    struct error error = {0};
    struct estimate ignored;
    struct estimate_options beyond = {.context = 131073};
    assert_int_equal(estimate_model(model, &beyond, &machine, &ignored, &error), ERROR_LIMIT);
    model_close(model);
}

static void speeds_follow_the_calibration(void **state)
{
    (void)state;
    struct estimate_machine machine;
    struct model *model = compile(4);
    machine_fixture(&machine);
    struct estimate e = estimate_of(model, &machine, (struct estimate_options){.context = 8192});
    assert_true(e.calibrated && e.step.exact);
    assert_true(ordered(e.decode) && ordered(e.prefill) && ordered(e.ttft_ms) && ordered(e.decode_deepest));
    assert_true(e.decode_deepest.mid < e.decode.mid);
    /* 0.01 ns for a number, bytes at 20 GB/s (p = 2): by hand */
    double numbers = 1235.8e6, computing = numbers * 0.01 / 1e6, reading = e.streamed_bytes / 20e9 * 1e3;
    double products = sqrt(computing * computing + reading * reading);
    assert_true(fabs(e.step.products_ms / products - 1) < 0.01);
    double sum =
        e.step.products_ms + e.step.attention_ms + e.step.rows_ms + e.step.stages_ms + e.step.sampling_ms;
    assert_true(fabs(sum - e.step.total_ms) < 1e-9);
    assert_true(fabs(e.decode.mid * e.step.total_ms / 1e3 - 1) < 1e-9);
    assert_true(fabs(e.step.sampling_ms - 128256 * 0.5 / 1e6) < 1e-9);
    /* a machine that others share computes and reads at half the speed: half of everything */
    for (uint32_t i = 0; i < machine.pace.n_points; i++)
        machine.pace.points[i].gbps /= 2;
    machine.pace.gops /= 2;
    struct estimate half = estimate_of(model, &machine, (struct estimate_options){.context = 8192});
    assert_true(fabs(e.decode.mid / half.decode.mid - 2) < 0.01);
    assert_true(fabs(e.prefill.mid / half.prefill.mid - 2) < 0.01);
    model_close(model);
}

static void more_sequences_share_the_weights(void **state)
{
    (void)state;
    struct estimate_machine machine;
    struct model *model = compile(4);
    machine_fixture(&machine);
    struct estimate one = estimate_of(model, &machine, (struct estimate_options){0});
    struct estimate eight = estimate_of(model, &machine, (struct estimate_options){.concurrency = 8});
    assert_true(eight.decode.mid < one.decode.mid);
    assert_true(eight.decode_all.mid > 2 * one.decode.mid && eight.decode_all.mid < 8 * one.decode.mid);
    model_close(model);
}

static void without_a_calibration_it_says_so(void **state)
{
    (void)state;
    struct estimate_machine machine;
    struct model *model = compile(4);
    machine_fixture(&machine);
    struct estimate calibrated = estimate_of(model, &machine, (struct estimate_options){0});
    machine.calibrated = false;
    snprintf(machine.calibration_reason, sizeof machine.calibration_reason, "not calibrated");
    struct estimate e = estimate_of(model, &machine, (struct estimate_options){0});
    assert_false(e.calibrated);
    assert_true(ordered(e.decode));
    assert_true(e.decode.high / e.decode.low > calibrated.decode.high / calibrated.decode.low);
    assert_true(isnan(e.prefill.mid));
    assert_string_equal(e.reason, "not calibrated");
    json_t *json = estimate_json(&e, model, "x", &machine);
    assert_true(json_is_null(json_get(json, "speed.prefill_tokens_per_second")));
    assert_non_null(json_get_string(json, "speed.prefill_tokens_per_second_reason"));
    json_decref(json);
    machine.paced = false;
    snprintf(machine.pace_reason, sizeof machine.pace_reason, "nobody looked");
    e = estimate_of(model, &machine, (struct estimate_options){0});
    assert_true(isnan(e.decode.mid));
    model_close(model);
}

static void a_format_that_was_not_measured_is_no_zero(void **state)
{
    (void)state;
    struct estimate_machine machine;
    struct model *model = compile(4);
    machine_fixture(&machine);
    machine.calibration.n_products = 2; /* 2 and 3 bits */
    struct estimate e = estimate_of(model, &machine, (struct estimate_options){0});
    assert_true(isnan(e.decode.mid) && isnan(e.prefill.mid));
    assert_non_null(strstr(e.reason, "no entry"));
    model_close(model);
}

static void untied_tables_are_not_resident_at_once(void **state)
{
    (void)state;
    struct estimate_machine machine;
    struct model *model;
    struct estimate e;
    struct error error = {0};
    json_t *config = configuration(4);
    json_object_set_new(config, "tie_word_embeddings", json_false());
    machine_fixture(&machine);
    assert_int_equal(model_shape_compile(config, "x", &model, &error), 0);
    json_decref(config);
    e = estimate_of(model, &machine, (struct estimate_options){0});
    assert_true(e.embedding_bytes > 100000000);
    double first = estimate_resident_bytes(&e, 512, 512), later = estimate_resident_bytes(&e, 512, 1e6);
    assert_true(first < later);
    assert_true(later - first < (double)e.embedding_bytes && later - first > (double)e.embedding_bytes / 2);
    model_close(model);
}

/* ---- what-if ---- */

static struct what_if what_if_of(const struct estimate_machine *machine)
{
    struct what_if what_if;
    struct error error = {0};
    struct model *model = compile(4);
    json_t *config = configuration(4);
    assert_int_equal(what_if_forecast(model, config, machine, NULL, &what_if, &error), 0);
    json_decref(config);
    model_close(model);
    return what_if;
}

static void coefficients_are_the_table(void **state)
{
    (void)state;
    struct estimate_machine machine;
    machine_fixture(&machine);
    struct what_if what_if = what_if_of(&machine);
    assert_int_equal(what_if.n_options, 7); /* 4 bits, and 2 3 5 6 8 16 */
    assert_true(what_if.options[0].current && what_if.options[0].bits == 4);
    json_t *json = what_if_json(&what_if, 1000, 16);
    const json_t *bits = json_get_array(json, "bits"), *from = json_get_object(json, "coefficients");
    for (size_t i = 0; i < json_get_count(bits, ""); i++) {
        const json_t *item = json_get_item(bits, i);
        double by_hand = json_get_number(item, "weights_ms.0") +
                         json_get_number(from, "attention_ms_per_1k.0") + json_get_number(from, "fixed_ms.0");
        assert_true(fabs(json_get_number(item, "step_ms") - by_hand) < 1e-9);
        assert_true(json_get_number(item, "interval.0") < json_get_number(item, "decode_tokens_per_second"));
    }
    double two = json_get_number(json_get_where(json, "bits", "label", "2-bit affine, group 64"), "step_ms"),
           plain = json_get_number(json_get_where(json, "bits", "label", "bf16"), "step_ms");
    assert_true(two > 0 && plain > 3 * two);
    struct what_if back;
    assert_true(what_if_from_json(json, &back));
    assert_int_equal(back.n_options, what_if.n_options);
    assert_true(fabs(what_if_step_ms(&back, 3, 500, 2, 1) - what_if_step_ms(&what_if, 3, 500, 2, 1)) < 1e-9);
    json_decref(json);
    /* and the forecast of the model itself, at a depth between */
    struct model *model = compile(4);
    struct estimate e = estimate_of(model, &machine, (struct estimate_options){.context = 1024});
    assert_true(fabs(what_if_step_ms(&what_if, 0, 512, 0, 0) / e.step.total_ms - 1) < 0.02);
    model_close(model);
}

static void anchored_it_says_what_was_measured(void **state)
{
    (void)state;
    struct estimate_machine machine;
    machine_fixture(&machine);
    struct what_if forecast = what_if_of(&machine), what_if = forecast;
    what_if_anchor(&what_if, 50, 600, 16, NAN, NAN); /* no line */
    assert_string_equal(what_if.source, "measured");
    assert_true(fabs(what_if_step_ms(&what_if, 0, 600, 0, 0) - 50) < 1e-9);
    double ratio = what_if_step_ms(&forecast, 2, 600, 0, 0) / what_if_step_ms(&forecast, 0, 600, 0, 0);
    assert_true(fabs(what_if_step_ms(&what_if, 2, 600, 0, 0) / 50 - ratio) < 1e-9); /* others in proportion */
    what_if = forecast;
    what_if_anchor(&what_if, 50, 600, 16, 15, 2.5); /* a line: 15 GB/s and 2.5 ms */
    assert_string_equal(what_if.source, "two_term");
    double bytes = what_if.options[0].streamed_bytes + 1000 * what_if.kv_bytes_per_token[0];
    assert_true(fabs(what_if_step_ms(&what_if, 0, 1000, 0, 0) - (bytes / 15e6 + 2.5)) < 1e-6);
    /* without a calibration the line's bytes are all there is */
    machine.calibrated = false;
    what_if = what_if_of(&machine);
    assert_true(isnan(what_if.options[0].weights_ms[0]));
    what_if_anchor(&what_if, 50, 600, 16, 15, 2.5);
    assert_true(fabs(what_if_step_ms(&what_if, 0, 1000, 0, 0) - (bytes / 15e6 + 2.5)) < 1e-6);
    assert_true(what_if_step_ms(&what_if, 6, 1000, 0, 0) > 3 * what_if_step_ms(&what_if, 0, 1000, 0, 0));
    assert_true(isnan(what_if_step_ms(&what_if, 0, 1000, 3, 0)) && isnan(what_if.low));
}

static void hostile_tables_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", "[]", "{\"bits\": [], \"coefficients\": {}}",
        "{\"bits\": [{}], \"coefficients\": {\"kv_bytes_per_token\": [1, 2], \"attention_ms_per_1k\": [1, "
        "2], "
        "\"fixed_ms\": [1, 2, 3, 4]}}",
        "{\"bits\": [{\"weight_bytes\": 1, \"streamed_bytes\": 1, \"weights_ms\": [1]}], \"coefficients\": "
        "{\"kv_bytes_per_token\": [1, 2], \"attention_ms_per_1k\": [1, 2], \"fixed_ms\": [1, 2, 3, 4]}}"};
    struct what_if ignored;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *json = json_loads(texts[i], 0, NULL);
        assert_false(what_if_from_json(json, &ignored));
        json_decref(json);
    }
    assert_false(what_if_from_json(NULL, &ignored));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_waterfall_adds_up),
        cmocka_unit_test(limits_are_the_last_that_fit),
        cmocka_unit_test(speeds_follow_the_calibration),
        cmocka_unit_test(more_sequences_share_the_weights),
        cmocka_unit_test(without_a_calibration_it_says_so),
        cmocka_unit_test(a_format_that_was_not_measured_is_no_zero),
        cmocka_unit_test(untied_tables_are_not_resident_at_once),
        cmocka_unit_test(coefficients_are_the_table),
        cmocka_unit_test(anchored_it_says_what_was_measured),
        cmocka_unit_test(hostile_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
