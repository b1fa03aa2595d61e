/* Plans of config.json alone: the same costs as with the weights, nothing to run, and every lie refused. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "model/shape.h"
#include "support/tiny_model.h"

static const struct plan_step step = {
    .n_tokens = 3, .n_outputs = 2, .n_sequences = 1, .context = 100, .kv_bits = 16};

static void same_costs(const struct plan *a, const struct plan *b)
{
    assert_int_equal(a->n_ops, b->n_ops);
    for (uint32_t i = 0; i < a->n_ops; i++) {
        struct plan_cost x = plan_op_cost(a, &a->ops[i], &step), y = plan_op_cost(b, &b->ops[i], &step);
        assert_string_equal(a->ops[i].name, b->ops[i].name);
        assert_memory_equal(&x, &y, sizeof x);
        assert_int_equal(a->ops[i].precision, b->ops[i].precision);
    }
    assert_int_equal(plan_weight_bytes(a), plan_weight_bytes(b));
    assert_int_equal(plan_kv_bytes_per_token(a, 8), plan_kv_bytes_per_token(b, 8));
}

static void the_configuration_alone_costs_what_the_weights_do(void **state)
{
    (void)state;
    static const enum tiny_format formats[] = {TINY_F32, TINY_4BIT};
    for (size_t i = 0; i < 2; i++) {
        struct tiny_options options = {.format = formats[i], .seed = 1};
        char folder[256];
        struct model *with, *without;
        json_t *config;
        struct error error = {0};
        tiny_model_write(&options, folder, sizeof folder);
        assert_int_equal(model_open(folder, &with, &error), 0);
        assert_int_equal(model_shape_read(folder, &config, &error), 0);
        assert_int_equal(model_shape_compile(config, "tiny", &without, &error), 0);
        same_costs(model_plan(with), model_plan(without));
        assert_int_equal(model_info(with)->parameters, model_info(without)->parameters);
        assert_int_equal(model_info(with)->weight_bytes, model_info(without)->weight_bytes);
        assert_string_equal(model_info(with)->quantization, model_info(without)->quantization);
        assert_false(model_plan(with)->shapes_only);
        assert_true(model_plan(without)->shapes_only);
        model_close(with);
        model_close(without);
        json_decref(config);
        tiny_model_remove(folder);
    }
}

/* "{...}" with one member replaced. */
static json_t *config_with(const char *name, json_t *value)
{
    json_t *config = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b}", "model_type", "llama", "hidden_size", 256,
        "num_hidden_layers", 2, "intermediate_size", 512, "num_attention_heads", 4, "num_key_value_heads", 2,
        "vocab_size", 1000, "max_position_embeddings", 2048, "rms_norm_eps", 1e-5, "tie_word_embeddings", 0);
    if (name)
        json_object_set_new(config, name, value);
    return config;
}

static int compile(json_t *config, struct model **out, struct error *error)
{
    *out = NULL;
    *error = (struct error){0};
    int status = model_shape_compile(config, "x", out, error);
    json_decref(config);
    return status;
}

static void bits_are_those_of_the_configuration(void **state)
{
    (void)state;
    struct model *model;
    struct error error;
    assert_int_equal(compile(config_with(NULL, NULL), &model, &error), 0);
    uint64_t dense = plan_weight_bytes(model_plan(model));
    assert_string_equal(model_info(model)->quantization, "bf16");
    model_close(model);
    static const uint32_t bits[] = {2, 3, 4, 5, 6, 8};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        json_t *config = config_with(NULL, NULL);
        json_t *other = model_shape_requantize(config, bits[i], 64);
        json_decref(config);
        assert_int_equal(compile(other, &model, &error), 0);
        double ratio = (double)plan_weight_bytes(model_plan(model)) / (double)dense;
        double expected = (bits[i] + 0.5) / 16; /* scale and bias of 16 bits for 64 numbers */
        assert_true(ratio > expected * 0.98 && ratio < expected * 1.02);
        model_close(model);
    }
    /* back to plain numbers, also what was quantized another way */
    json_t *config = config_with("quantization",
                                 json_pack("{s:s, s:i, s:i}", "mode", "mxfp4", "bits", 4, "group_size", 32));
    json_t *plain = model_shape_requantize(config, 16, 64);
    assert_non_null(json_object_get(config, "quantization")); /* a copy: the original stays */
    json_decref(config);
    assert_int_equal(compile(plain, &model, &error), 0);
    assert_int_equal(plan_weight_bytes(model_plan(model)), dense);
    model_close(model);
}

static void single_modules_keep_their_own_bits(void **state)
{
    (void)state;
    struct model *model;
    struct error error;
    json_t *quantization =
        json_pack("{s:i, s:i, s:{s:i, s:i}, s:b}", "bits", 4, "group_size", 64,
                  "model.layers.0.mlp.down_proj", "bits", 8, "group_size", 32, "lm_head", 0);
    assert_int_equal(compile(config_with("quantization", quantization), &model, &error), 0);
    const struct plan *plan = model_plan(model);
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        if (op->kind != PLAN_LINEAR)
            continue;
        uint32_t bits = strcmp(op->name, "layers.0.mlp.down_proj") == 0 ? 8
                        : strcmp(op->name, "lm_head") == 0              ? 16
                                                                        : 4;
        assert_int_equal(op->linear.weight->bits, bits);
        assert_null(op->linear.weight->data);
    }
    model_close(model);
}

static void lies_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        int code;
    } lies[] = {
        {"model_type", "\"gemma3n\"", ERROR_UNSUPPORTED},
        {"model_type", "\"gemma3\"", ERROR_INVALID}, /* there is no text_config */
        {"hidden_size", "-1", ERROR_INVALID},
        {"hidden_size", "1e99", ERROR_INVALID},
        {"num_hidden_layers", "100000000", ERROR_INVALID},
        {"vocab_size", "\"many\"", ERROR_INVALID},
        {"quantization", "{\"bits\": 7, \"group_size\": 64}", ERROR_UNSUPPORTED},
        {"quantization", "{\"bits\": 4, \"group_size\": 64, \"model.embed_tokens\": {\"bits\": 1}}",
         ERROR_UNSUPPORTED},
        {"quantization_config", "{\"quant_method\": \"awq\", \"bits\": 4}", ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct model *model;
        struct error error;
        json_t *value = json_loads(lies[i].value, JSON_DECODE_ANY, NULL);
        assert_int_equal(compile(config_with(lies[i].name, value), &model, &error), lies[i].code);
        assert_true(error.message[0]);
        assert_null(model);
    }
}

static void there_is_nothing_to_run(void **state)
{
    (void)state;
    struct model *model;
    struct error error;
    struct backend_model *backend;
    struct backend_options options = {.kv_bits = 16,
                                      .n_threads = 1,
                                      .max_step_tokens = 8,
                                      .max_step_outputs = 1,
                                      .max_sequences = 1,
                                      .n_pages = 1};
    uint32_t n_phases;
    uint64_t scratch;
    assert_int_equal(compile(config_with(NULL, NULL), &model, &error), 0);
    assert_int_equal(backend_scratch_bytes(model_plan(model), &options, &scratch, &error), 0);
    assert_true(scratch > 8 * 512 * 4);
    assert_int_equal(backend_phases(model_plan(model), &options, &n_phases, &error), 0);
    assert_true(n_phases > 10 && n_phases < 100);
    assert_int_equal(backend_prepare(model_plan(model), &options, &backend, &error), ERROR_INVALID);
    model_close(model);
}

static void unknown_architectures_say_what_they_need(void **state)
{
    (void)state;
    assert_null(model_shape_needs("llama"));
    assert_null(model_shape_needs("never_heard_of"));
    assert_non_null(strstr(model_shape_needs("deepseek_v3"), "latent"));
    assert_null(model_shape_needs("gemma3"));
    assert_non_null(strstr(model_shape_needs("gemma3n_text"), "embeddings"));
    json_t *config = json_pack("{s:i}", "model_type", 3);
    assert_string_equal(model_shape_architecture(config), "unknown");
    json_decref(config);
}

static void a_file_of_any_name_is_read(void **state)
{
    (void)state;
    char path[] = "/tmp/llmind-config-XXXXXX";
    json_t *config;
    struct error error = {0};
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "{\"model_type\": \"llama\"}", 23), 23);
    close(file);
    assert_int_equal(model_shape_read(path, &config, &error), 0);
    assert_string_equal(model_shape_architecture(config), "llama");
    json_decref(config);
    unlink(path);
    assert_int_equal(model_shape_read(path, &config, &error), ERROR_NOT_FOUND);
    assert_null(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_configuration_alone_costs_what_the_weights_do),
        cmocka_unit_test(bits_are_those_of_the_configuration),
        cmocka_unit_test(single_modules_keep_their_own_bits),
        cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(there_is_nothing_to_run),
        cmocka_unit_test(unknown_architectures_say_what_they_need),
        cmocka_unit_test(a_file_of_any_name_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
