/* Models in several files: the index, what it may name, and what happens without it. Quantized formats too.
 */
#include "support/model_fixture.h"

/* Layer 0 and the rest in one file, layer 1 in another. */
static void make_shards(struct fixture *a, struct fixture *b)
{
    struct fixture_shape shape = {0};
    fixture_begin(a);
    fixture_begin(b);
    fixture_linear(a, "model.embed_tokens", 0, 96, 64, 4, 32);
    for (int i = 0; i < 2; i++) {
        struct fixture *fixture = i ? b : a;
        char layer[64], name[128];
        snprintf(layer, sizeof layer, "model.layers.%d", i);
        fixture_attention(fixture, layer, shape);
        fixture_mlp(fixture, layer, shape);
        snprintf(name, sizeof name, "%s.input_layernorm.weight", layer);
        fixture_vector(fixture, name, 64);
        snprintf(name, sizeof name, "%s.post_attention_layernorm.weight", layer);
        fixture_vector(fixture, name, 64);
    }
    fixture_vector(a, "model.norm.weight", 64);
    fixture_linear(a, "lm_head", 0, 96, 64, 4, 32);
    fixture_text(a, "config.json", FIXTURE_LLAMA);
    fixture_save(a, "model-00001-of-00002.safetensors");
    size_t length;
    uint8_t *file = fixture_file(b, &length);
    fixture_write(a, "model-00002-of-00002.safetensors", file, length);
    free(file);
}

static int open_with_index(struct fixture *fixture, const char *index, struct error *error)
{
    fixture_text(fixture, "model.safetensors.index.json", index);
    return fixture_open_and_use(fixture, error);
}

#define A "\"model-00001-of-00002.safetensors\""
#define B "\"model-00002-of-00002.safetensors\""

static void test_shards(void **state)
{
    (void)state;
    struct fixture a, b;
    struct error error;
    make_shards(&a, &b);
    struct model *model = fixture_open(&a); /* without an index: model*.safetensors */
    uint64_t bytes = a.data_bytes + b.data_bytes;
    assert_int_equal(model_info(model)->weight_bytes, bytes);
    model_close(model);
    assert_int_equal(open_with_index(&a,
                                     "{\"metadata\":{},\"weight_map\":{\"model.norm.weight\":" A
                                     ",\"model.layers.1.input_layernorm.weight\":" B "}}",
                                     &error),
                     0);
    static const char *const bad[][2] = {
        {"{}", "weight_map"},
        {"{\"weight_map\":[]}", "weight_map"},
        {"{\"weight_map\":{}}", "weight_map"},
        {"{\"weight_map\":{\"a\":7}}", "inside the model folder"},
        {"{\"weight_map\":{\"a\":\"../model.safetensors\"}}", "inside the model folder"},
        {"{\"weight_map\":{\"a\":\"/etc/x.safetensors\"}}", "inside the model folder"},
        {"{\"weight_map\":{\"a\":\"sub/x.safetensors\"}}", "inside the model folder"},
        {"{\"weight_map\":{\"a\":\"..\\\\x.safetensors\"}}", "inside the model folder"},
        {"{\"weight_map\":{\"a\":\".safetensors\"}}", "inside the model folder"},
        {"{\"weight_map\":{\"a\":\"\"}}", "inside the model folder"},
        {"{\"weight_map\":{\"a\":\"config.json\"}}", "inside the model folder"},
        {"{\"weight_map\":{\"a\":\"model-00009.safetensors\"}}", "model-00009.safetensors"},
        {"{\"weight_map\":{\"model.norm.weight\":" B "}}", "is not"},
        {"{\"weight_map\":{\"no.such.weight\":" A "}}", "is not"},
        {"{\"weight_map\":{\"model.norm.weight\":" A "}}", "no tensor model.layers.1"},
        {"{\"weight_map\":{\"model.norm.weight\":" A ",\"model.norm.weight\":" A "}}", "duplicate"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (open_with_index(&a, bad[i][0], &error) == 0)
            fail_msg("accepted %s", bad[i][0]);
        if (!strstr(error.message, bad[i][1]))
            fail_msg("%s: the message is: %s", bad[i][0], error.message);
    }
    fixture_remove(&a, "model.safetensors.index.json");
    fixture_save(&a, "model-copy.safetensors");
    assert_int_equal(fixture_open_and_use(&a, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "is in both"));
    fixture_end(&a);
    fixture_end(&b);
}

static void test_many_tensors(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error;
    fixture_begin(&fixture);
    free(fixture.header);
    size_t capacity = 64u << 20, n = 200000;
    fixture.header = malloc(capacity);
    assert_non_null(fixture.header);
    size_t used = (size_t)sprintf(fixture.header, "{\"__metadata__\":{}");
    for (size_t i = 0; i < n; i++)
        used += (size_t)sprintf(fixture.header + used,
                                ",\"t%zu\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}", i, i,
                                i + 1);
    fixture.header_length = used;
    fixture.data_bytes = n;
    fixture_text(&fixture, "config.json", FIXTURE_LLAMA);
    fixture_save(&fixture, "model.safetensors");
    assert_int_equal(fixture_open_and_use(&fixture, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "no tensor model.embed_tokens.weight"));
    struct model_summary summary;
    assert_int_equal(model_summarize(fixture.folder, &summary, &error), 0);
    assert_int_equal(summary.parameters, n);
    model_summary_free(&summary);
    fixture_end(&fixture);
}

/* A folder whose lm_head has this coding, everything else bf16. */
static int open_head(const char *quantization, const char *weight_type, uint32_t words,
                     const char *scale_type, uint32_t scale_bytes, uint32_t groups, bool biases,
                     struct weight *out)
{
    struct fixture fixture;
    struct error error = {0};
    struct model *model = NULL;
    char config[2048];
    fixture_begin(&fixture);
    fixture_tensors(&fixture, (struct fixture_shape){.tied = true, .dense = true});
    fixture_tensor(&fixture, "lm_head.weight", weight_type, 4, 96, words, 0);
    fixture_tensor(&fixture, "lm_head.scales", scale_type, scale_bytes, 96, groups, 0);
    if (biases)
        fixture_tensor(&fixture, "lm_head.biases", scale_type, scale_bytes, 96, groups, 0);
    fixture_save(&fixture, "model.safetensors");
    snprintf(config, sizeof config, "{\"model_type\":\"llama\"," FIXTURE_DIMENSIONS ",\"quantization\":%s}",
             quantization);
    fixture_text(&fixture, "config.json", config);
    int status = model_open(fixture.folder, &model, &error);
    if (status)
        fixture_check_error(status, &error);
    else {
        *out = *fixture_op(model_plan(model), "lm_head")->linear.weight;
        fixture_use(model_plan(model));
    }
    model_close(model);
    fixture_end(&fixture);
    return status;
}

static void test_formats(void **state)
{
    (void)state;
    struct weight weight = {0};
    static const uint32_t bits[] = {2, 3, 4, 5, 6, 8};
    static const char *const affine = "{\"group_size\":64,\"bits\":4}";
    for (size_t i = 0; i < 6; i++)
        for (uint32_t group = 32; group <= 64; group *= 2) {
            assert_int_equal(open_head(affine, "U32", 64 * bits[i] / 32, "F16", 2, 64 / group, true, &weight),
                             0);
            assert_int_equal(weight.format, WEIGHT_AFFINE);
            assert_int_equal(weight.bits, bits[i]);
            assert_int_equal(weight.group_size, group);
            assert_int_equal(weight.type, SCALAR_F16);
            assert_int_equal(weight.row_bytes, 8 * bits[i]);
            assert_int_equal(weight_row_bytes(&weight), 8 * bits[i] + 4 * (64 / group));
        }
    assert_int_equal(
        open_head("{\"mode\":\"mxfp4\",\"group_size\":32,\"bits\":4}", "U32", 8, "U8", 1, 2, false, &weight),
        0);
    assert_int_equal(weight.format, WEIGHT_MXFP4);
    assert_null(weight.biases);
    assert_int_equal(weight_row_bytes(&weight), 32 + 2);
    assert_int_equal(open_head(affine, "U32", 8, "U8", 1, 4, false, &weight), 0); /* by shape */
    assert_int_equal(weight.format, WEIGHT_NVFP4);
    assert_int_equal(open_head(affine, "U32", 16, "U8", 1, 2, false, &weight), 0);
    assert_int_equal(weight.format, WEIGHT_MXFP8);
    assert_int_equal(
        open_head("{\"mode\":\"nvfp4\",\"lm_head\":{\"mode\":\"nvfp4\",\"group_size\":16,\"bits\":4}}", "U32",
                  8, "U8", 1, 4, false, &weight),
        0);
    /* wrong ones */
    assert_int_not_equal(open_head(affine, "U32", 7, "F16", 2, 2, true, &weight), 0);
    assert_int_not_equal(open_head(affine, "U32", 8, "F16", 2, 3, true, &weight), 0);
    assert_int_not_equal(open_head(affine, "U32", 8, "F16", 2, 4, true, &weight), 0);
    assert_int_not_equal(open_head(affine, "U32", 8, "F16", 2, 2, false, &weight), 0);
    assert_int_not_equal(open_head(affine, "I32", 8, "F16", 2, 2, true, &weight), 0);
    assert_int_not_equal(open_head(affine, "U32", 8, "U8", 1, 2, true, &weight), 0);
    assert_int_not_equal(open_head(affine, "U32", 16, "U8", 1, 4, false, &weight), 0);
    assert_int_not_equal(open_head("null", "U32", 8, "F16", 2, 2, true, &weight), 0);
}

/* Layer 0 dense in bf16, layer 1 with nvfp4 experts that have a scale each. */
static void write_scaled_experts(struct fixture *fixture)
{
    static const char *const names[] = {"gate_proj", "up_proj", "down_proj"};
    struct fixture_shape shape = {.dense = true, .qk_norm = true};
    fixture_linear(fixture, "model.embed_tokens", 0, 96, 64, 0, 0);
    fixture_vector(fixture, "model.norm.weight", 64);
    fixture_attention(fixture, "model.layers.0", shape);
    fixture_attention(fixture, "model.layers.1", shape);
    fixture_mlp(fixture, "model.layers.0", shape);
    fixture_vector(fixture, "model.layers.0.input_layernorm.weight", 64);
    fixture_vector(fixture, "model.layers.1.input_layernorm.weight", 64);
    fixture_vector(fixture, "model.layers.0.post_attention_layernorm.weight", 64);
    fixture_vector(fixture, "model.layers.1.post_attention_layernorm.weight", 64);
    fixture_linear(fixture, "model.layers.1.mlp.gate", 0, 4, 64, 0, 0);
    for (int i = 0; i < 3; i++) {
        char name[128];
        uint32_t rows = i < 2 ? 32 : 64, cols = i < 2 ? 64 : 32;
        snprintf(name, sizeof name, "model.layers.1.mlp.switch_mlp.%s.weight", names[i]);
        fixture_tensor(fixture, name, "U32", 4, 4, rows, cols / 8);
        snprintf(name, sizeof name, "model.layers.1.mlp.switch_mlp.%s.scales", names[i]);
        fixture_tensor(fixture, name, "U8", 1, 4, rows, cols / 16);
        snprintf(name, sizeof name, "model.layers.1.mlp.switch_mlp.%s.global_scale", names[i]);
        fixture_tensor(fixture, name, "F32", 4, 4, 0, 0);
    }
}

static void test_expert_scales(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_begin(&fixture);
    write_scaled_experts(&fixture);
    fixture_text(
        &fixture, "config.json",
        "{\"model_type\":\"qwen3_moe\"," FIXTURE_DIMENSIONS ",\"num_experts\":4,\"num_experts_per_tok\":2,"
        "\"moe_intermediate_size\":32,\"mlp_only_layers\":[0],\"quantization\":{\"mode\":\"nvfp4\"}}");
    fixture_save(&fixture, "model.safetensors");
    size_t length;
    uint8_t *file = fixture_file(&fixture, &length);
    float scale = 2688.0f * 3; /* the last four bytes belong to the last expert of down_proj */
    memcpy(file + length - 4, &scale, 4);
    fixture_write(&fixture, "model.safetensors", file, length);
    free(file);
    struct model *model = fixture_open(&fixture);
    const struct plan_op *experts = fixture_op(model_plan(model), "layers.1.mlp.experts");
    assert_int_equal(experts->experts.down->format, WEIGHT_NVFP4);
    assert_true(experts->experts.down->tensor_scales[3] == 3.0f);
    assert_null(fixture_op(model_plan(model), "layers.0.mlp.down_proj")->linear.weight->tensor_scales);
    fixture_use(model_plan(model));
    model_close(model);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_many_tensors),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_expert_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
