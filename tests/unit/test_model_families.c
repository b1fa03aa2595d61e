/* What each family writes: the order of operations, their views, domains, caches, biases and norms. */
#include "support/model_fixture.h"

#include "model/families/families.h"
#include "model/generation.h"
#include "model/weights_shape.h"

static void start(struct fixture *fixture, struct fixture_shape shape, const char *config)
{
    fixture_begin(fixture);
    fixture_tensors(fixture, shape);
    fixture_text(fixture, "config.json", config);
    fixture_save(fixture, "model.safetensors");
}

static void finish(struct fixture *fixture, struct model *model)
{
    model_close(model);
    fixture_end(fixture);
}

static void check_names(const struct plan *plan, const char *const *names, size_t n)
{
    assert_int_equal(plan->n_ops, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(plan->ops[i].name, names[i]);
}

static enum plan_domain domain(const struct plan *plan, struct plan_view view)
{
    return plan->slots[view.slot].domain;
}

static void test_llama(void **state)
{
    (void)state;
    static const char *const names[] = {
        "embed_tokens",
        "layers.0.input_layernorm",
        "layers.0.self_attn.q_proj",
        "layers.0.self_attn.k_proj",
        "layers.0.self_attn.v_proj",
        "layers.0.self_attn.rope_q",
        "layers.0.self_attn.rope_k",
        "layers.0.self_attn.kv_store",
        "layers.0.self_attn.attend",
        "layers.0.self_attn.o_proj",
        "layers.0.self_attn.add",
        "layers.0.post_attention_layernorm",
        "layers.0.mlp.gate_proj",
        "layers.0.mlp.up_proj",
        "layers.0.mlp.act_mul",
        "layers.0.mlp.down_proj",
        "layers.0.mlp.add",
        "layers.1.input_layernorm",
        "layers.1.self_attn.k_proj",
        "layers.1.self_attn.v_proj",
        "layers.1.select_normed",
        "layers.1.select_residual",
        "layers.1.self_attn.q_proj",
        "layers.1.self_attn.rope_q",
        "layers.1.self_attn.rope_k",
        "layers.1.self_attn.kv_store",
        "layers.1.self_attn.attend",
        "layers.1.self_attn.o_proj",
        "layers.1.self_attn.add",
        "layers.1.post_attention_layernorm",
        "layers.1.mlp.gate_proj",
        "layers.1.mlp.up_proj",
        "layers.1.mlp.act_mul",
        "layers.1.mlp.down_proj",
        "layers.1.mlp.add",
        "norm",
        "lm_head",
    };
    struct fixture fixture;
    start(&fixture, (struct fixture_shape){0}, FIXTURE_LLAMA);
    struct model *model = fixture_open(&fixture);
    const struct plan *plan = model_plan(model);
    check_names(plan, names, sizeof names / sizeof *names);
    assert_string_equal(plan->family, "llama");
    assert_int_equal(plan->n_layers, 2);
    assert_int_equal(plan->vocab, 96);
    assert_int_equal(plan->max_context, 256);
    const struct plan_op *q = fixture_op(plan, "layers.0.self_attn.q_proj");
    const struct plan_op *k = fixture_op(plan, "layers.0.self_attn.k_proj");
    const struct plan_op *v = fixture_op(plan, "layers.0.self_attn.v_proj");
    assert_true(q->out.slot == k->out.slot && k->out.slot == v->out.slot);
    assert_true(q->out.first == 0 && k->out.first == 64 && v->out.first == 96 && v->out.width == 32);
    assert_int_equal(q->precision, PRECISION_INT8);
    assert_int_equal(domain(plan, fixture_op(plan, "layers.1.self_attn.k_proj")->out), DOMAIN_TOKENS);
    assert_int_equal(domain(plan, fixture_op(plan, "layers.1.self_attn.q_proj")->out), DOMAIN_OUTPUTS);
    assert_int_equal(domain(plan, fixture_op(plan, "layers.1.mlp.gate_proj")->out), DOMAIN_OUTPUTS);
    assert_int_equal(domain(plan, plan->logits), DOMAIN_OUTPUTS);
    const struct plan_op *attend = fixture_op(plan, "layers.1.self_attn.attend");
    assert_int_equal(attend->attend.cache, 1);
    assert_true(attend->attend.scale == 0.25f);
    assert_int_equal(plan->n_caches, 2);
    assert_int_equal(plan->caches[1].kind, CACHE_FULL);
    assert_int_equal(plan->caches[1].layer, 1);
    assert_true(plan->n_slots < 16);
    /* every layer uses the same slots */
    assert_int_equal(q->in.slot, fixture_op(plan, "layers.1.self_attn.k_proj")->in.slot);
    finish(&fixture, model);
}

static void test_info(void **state)
{
    (void)state;
    struct fixture fixture;
    struct model_summary summary;
    start(&fixture, (struct fixture_shape){0}, FIXTURE_LLAMA);
    struct model *model = fixture_open(&fixture);
    const struct model_info *info = model_info(model);
    /* Two tables of 96 x 64; in each of two layers q, k, v, o: 64 x 192 and an MLP of 3 x 64 x 128. */
    uint64_t matrices = 12288 + 2 * 36864, vectors = 320; /* five norms of 64 */
    assert_int_equal(info->parameters, matrices + vectors);
    assert_int_equal(info->weight_bytes, matrices / 2 + matrices / 32 * 4 + vectors * 2);
    assert_int_equal(plan_weight_bytes(model_plan(model)), matrices / 2 + matrices / 32 * 4 + vectors * 4);
    assert_int_equal(info->weight_bytes, fixture.data_bytes);
    assert_int_equal(info->file_bytes, fixture.data_bytes + 8 + fixture.header_length + 1);
    assert_string_equal(info->architecture, "llama");
    assert_string_equal(info->quantization, "4-bit affine, group 32");
    assert_string_equal(info->name, strrchr(fixture.folder, '/') + 1);
    assert_int_equal(info->context, 256);
    assert_int_equal(model_summarize(fixture.folder, &summary, NULL), 0);
    assert_string_equal(summary.architecture, "llama");
    assert_string_equal(summary.quantization, "4-bit affine, group 32");
    assert_int_equal(summary.parameters, info->parameters);
    assert_int_equal(summary.file_bytes, info->file_bytes);
    assert_true(summary.supported);
    model_summary_free(&summary);
    model_close(model);
    /* an architecture nobody knows still has figures */
    fixture_text(&fixture, "config.json",
                 "{\"model_type\":\"zebra\",\"max_position_embeddings\":77," FIXTURE_QUANTIZATION "}");
    assert_int_equal(model_summarize(fixture.folder, &summary, NULL), 0);
    assert_string_equal(summary.architecture, "zebra");
    assert_int_equal(summary.parameters, matrices + vectors);
    assert_int_equal(summary.context, 77);
    assert_false(summary.supported);
    model_summary_free(&summary);
    fixture_end(&fixture);
}

static void test_tied(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, (struct fixture_shape){.tied = true},
          "{\"model_type\":\"llama\",\"tie_word_embeddings\":true," FIXTURE_DIMENSIONS
          "," FIXTURE_QUANTIZATION "}");
    struct model *model = fixture_open(&fixture);
    const struct plan *plan = model_plan(model);
    const struct weight *embedding = fixture_op(plan, "embed_tokens")->embed.weight;
    assert_ptr_equal(fixture_op(plan, "lm_head")->linear.weight, embedding);
    uint64_t tied_bytes = plan_weight_bytes(plan);
    model_close(model);
    fixture_text(&fixture, "config.json", FIXTURE_LLAMA); /* silent: the tensors decide */
    model = fixture_open(&fixture);
    assert_ptr_equal(fixture_op(model_plan(model), "lm_head")->linear.weight,
                     fixture_op(model_plan(model), "embed_tokens")->embed.weight);
    finish(&fixture, model);
    start(&fixture, (struct fixture_shape){0}, FIXTURE_LLAMA);
    model = fixture_open(&fixture);
    const struct weight *head = fixture_op(model_plan(model), "lm_head")->linear.weight;
    assert_string_equal(head->name, "lm_head");
    assert_int_equal(plan_weight_bytes(model_plan(model)), tied_bytes + weight_bytes(head));
    finish(&fixture, model);
    /* tied although the file has an unquantized lm_head: mlx-lm drops it too */
    fixture_begin(&fixture);
    fixture_tensors(&fixture, (struct fixture_shape){.tied = true, .dense = true});
    fixture_linear(&fixture, "lm_head", 0, 96, 64, 0, 0);
    fixture_save(&fixture, "model.safetensors");
    fixture_text(&fixture, "config.json",
                 "{\"model_type\":\"llama\",\"tie_word_embeddings\":true," FIXTURE_DIMENSIONS "}");
    model = fixture_open(&fixture);
    assert_string_equal(fixture_op(model_plan(model), "lm_head")->linear.weight->name, "model.embed_tokens");
    finish(&fixture, model);
}

static void test_dense(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, (struct fixture_shape){.dense = true},
          "{\"model_type\":\"llama\"," FIXTURE_DIMENSIONS "}");
    struct model *model = fixture_open(&fixture);
    const struct plan_op *op = fixture_op(model_plan(model), "layers.0.mlp.down_proj");
    assert_int_equal(op->linear.weight->format, WEIGHT_DENSE);
    assert_int_equal(op->linear.weight->type, SCALAR_BF16);
    assert_int_equal(op->linear.weight->row_bytes, 256);
    assert_int_equal(op->precision, PRECISION_F32);
    assert_string_equal(model_info(model)->quantization, "bf16");
    finish(&fixture, model);
}

static void test_qwen2(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, (struct fixture_shape){.qkv_bias = true},
          "{\"model_type\":\"qwen2\"," FIXTURE_DIMENSIONS "," FIXTURE_QUANTIZATION
          ",\"sliding_window\":8,\"use_sliding_window\":false}");
    struct model *model = fixture_open(&fixture);
    assert_non_null(fixture_op(model_plan(model), "layers.1.self_attn.q_proj")->linear.bias);
    assert_null(fixture_op(model_plan(model), "layers.1.self_attn.o_proj")->linear.bias);
    assert_int_equal(model_plan(model)->caches[1].kind, CACHE_FULL);
    model_close(model);
    fixture_text(&fixture, "config.json",
                 "{\"model_type\":\"qwen2\"," FIXTURE_DIMENSIONS "," FIXTURE_QUANTIZATION
                 ",\"sliding_window\":8,\"use_sliding_window\":true,\"max_window_layers\":1}");
    model = fixture_open(&fixture);
    assert_int_equal(model_plan(model)->caches[0].kind, CACHE_FULL);
    assert_int_equal(model_plan(model)->caches[1].kind, CACHE_WINDOW);
    assert_int_equal(model_plan(model)->caches[1].window, 8);
    finish(&fixture, model);
}

static void test_qwen3(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, (struct fixture_shape){.qk_norm = true},
          "{\"model_type\":\"qwen3\"," FIXTURE_DIMENSIONS "," FIXTURE_QUANTIZATION "}");
    struct model *model = fixture_open(&fixture);
    const struct plan *plan = model_plan(model);
    const struct plan_op *norm = fixture_op(plan, "layers.0.self_attn.q_norm");
    assert_int_equal(norm->norm.n_groups, 4);
    assert_true(norm->in.slot == norm->out.slot && norm->in.first == norm->out.first && norm->in.width == 64);
    norm = fixture_op(plan, "layers.1.self_attn.k_norm");
    assert_int_equal(norm->norm.n_groups, 2);
    assert_int_equal(domain(plan, norm->out), DOMAIN_TOKENS);
    assert_int_equal(domain(plan, fixture_op(plan, "layers.1.self_attn.q_norm")->out), DOMAIN_OUTPUTS);
    assert_true(fixture_op(plan, "layers.0.self_attn.q_norm") <
                fixture_op(plan, "layers.0.self_attn.rope_q"));
    finish(&fixture, model);
}

static void test_qwen3_moe(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, (struct fixture_shape){.qk_norm = true, .experts = true, .tied = true},
          "{\"model_type\":\"qwen3_moe\",\"tie_word_embeddings\":true," FIXTURE_DIMENSIONS "," FIXTURE_MOE
          ",\"quantization\":{\"group_size\":32,\"bits\":4,\"model.layers.0.mlp.gate\":"
          "{\"group_size\":64,\"bits\":8}}}");
    struct model *model = fixture_open(&fixture);
    const struct plan *plan = model_plan(model);
    const struct plan_op *router = fixture_op(plan, "layers.0.mlp.router");
    assert_int_equal(router->precision, PRECISION_F32);
    assert_int_equal(router->linear.weight->bits, 8);
    assert_int_equal(fixture_op(plan, "layers.1.mlp.router")->linear.weight->bits, 8); /* by its shape */
    const struct plan_op *route = fixture_op(plan, "layers.0.mlp.route");
    assert_int_equal(route->route.n_experts, 4);
    assert_int_equal(route->out.width, 4);
    assert_true(route->route.normalize);
    const struct plan_op *experts = fixture_op(plan, "layers.1.mlp.experts");
    assert_int_equal(experts->experts.gate->n_experts, 4);
    assert_int_equal(experts->experts.gate->rows, 32);
    assert_int_equal(experts->experts.down->cols, 32);
    assert_int_equal(domain(plan, experts->out), DOMAIN_OUTPUTS);
    assert_string_equal(model_info(model)->quantization,
                        "mixed: 4-bit affine, group 32; 8-bit affine, group 64");
    finish(&fixture, model);
}

static void test_unstacked_experts(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error = {0};
    fixture_begin(&fixture);
    fixture_tensors(&fixture, (struct fixture_shape){.qk_norm = true, .tied = true, .dense = true});
    fixture_linear(&fixture, "model.layers.0.mlp.experts.0.gate_proj", 0, 32, 64, 0, 0);
    fixture_save(&fixture, "model.safetensors");
    fixture_text(&fixture, "config.json",
                 "{\"model_type\":\"qwen3_moe\"," FIXTURE_DIMENSIONS "," FIXTURE_MOE "}");
    assert_int_equal(fixture_open_and_use(&fixture, &error), ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "llmind convert"));
    /* with every layer named in mlp_only_layers the same tensors are a dense model, but for the extra one */
    fixture_text(&fixture, "config.json",
                 "{\"model_type\":\"qwen3_moe\"," FIXTURE_DIMENSIONS
                 ",\"num_experts\":4,\"num_experts_per_tok\":2,"
                 "\"moe_intermediate_size\":32,\"mlp_only_layers\":[0,1]}");
    assert_int_equal(fixture_open_and_use(&fixture, &error), ERROR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "experts.0"));
    fixture_end(&fixture);
    start(&fixture, (struct fixture_shape){.qk_norm = true, .dense = true},
          "{\"model_type\":\"qwen3_moe\"," FIXTURE_DIMENSIONS ",\"num_experts\":4,\"num_experts_per_tok\":2,"
          "\"moe_intermediate_size\":32,\"decoder_sparse_step\":3}");
    struct model *model = fixture_open(&fixture);
    assert_non_null(fixture_op(model_plan(model), "layers.1.mlp.gate_proj"));
    finish(&fixture, model);
}

static void test_windows(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, (struct fixture_shape){0},
          "{\"model_type\":\"mistral\"," FIXTURE_DIMENSIONS "," FIXTURE_QUANTIZATION
          ",\"sliding_window\":32}");
    struct model *model = fixture_open(&fixture);
    assert_int_equal(model_plan(model)->caches[0].window, 32);
    assert_int_equal(model_plan(model)->caches[1].kind, CACHE_WINDOW);
    assert_string_equal(model_plan(model)->family, "mistral");
    model_close(model);
    fixture_text(&fixture, "config.json",
                 "{\"model_type\":\"mistral\"," FIXTURE_DIMENSIONS "," FIXTURE_QUANTIZATION
                 ",\"sliding_window\":null}");
    model = fixture_open(&fixture);
    assert_int_equal(model_plan(model)->caches[0].kind, CACHE_FULL);
    model_close(model);
    fixture_text(&fixture, "config.json",
                 "{\"model_type\":\"llama\"," FIXTURE_DIMENSIONS "," FIXTURE_QUANTIZATION
                 ",\"sliding_window\":32,\"layer_types\":[\"sliding_attention\",\"full_attention\"]}");
    model = fixture_open(&fixture);
    assert_int_equal(model_plan(model)->caches[0].window, 32);
    assert_int_equal(model_plan(model)->caches[1].window, 0);
    model_close(model);
    fixture_text(&fixture, "config.json",
                 "{\"model_type\":\"llama\"," FIXTURE_DIMENSIONS "," FIXTURE_QUANTIZATION
                 ",\"sliding_window\":32}");
    model = fixture_open(&fixture);
    assert_int_equal(model_plan(model)->caches[0].window, 0);
    finish(&fixture, model);
}

static void test_generation(void **state)
{
    (void)state;
    struct fixture fixture;
    struct error error;
    start(&fixture, (struct fixture_shape){0},
          "{\"model_type\":\"llama\",\"eos_token_id\":[1,2],\"bos_token_id\":3," FIXTURE_DIMENSIONS
          "," FIXTURE_QUANTIZATION "}");
    struct model *model = fixture_open(&fixture);
    const struct model_generation *generation = model_generation(model);
    assert_int_equal(generation->n_eos, 2);
    assert_int_equal(generation->eos[1], 2);
    assert_int_equal(generation->bos, 3);
    assert_true(generation->temperature == 1 && generation->top_p == 1 && generation->top_k == 0);
    model_close(model);
    fixture_text(&fixture, "generation_config.json",
                 "{\"eos_token_id\":7,\"temperature\":0.6,\"top_p\":0.9,\"top_k\":20,\"min_p\":0.05,"
                 "\"do_sample\":true,\"repetition_penalty\":1.1}");
    model = fixture_open(&fixture);
    generation = model_generation(model);
    assert_int_equal(generation->n_eos, 1);
    assert_int_equal(generation->eos[0], 7);
    assert_int_equal(generation->bos, 3);
    assert_int_equal(generation->top_k, 20);
    assert_true(generation->do_sample && generation->temperature == 0.6f && generation->top_p == 0.9f &&
                generation->min_p == 0.05f && generation->repetition_penalty == 1.1f);
    model_close(model);
    static const char *const bad[] = {"{\"eos_token_id\":-1}",
                                      "{\"eos_token_id\":\"</s>\"}",
                                      "{\"eos_token_id\":[[1]]}",
                                      "{\"eos_token_id\":99999999999}",
                                      "{\"temperature\":-1}",
                                      "{\"top_p\":2}",
                                      "{\"top_k\":-5}",
                                      "{\"repetition_penalty\":0}",
                                      "{\"do_sample\":\"yes\"}",
                                      "{\"bos_token_id\":1.5}",
                                      "[1]",
                                      "{",
                                      "{\"eos_token_id\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture_text(&fixture, "generation_config.json", bad[i]);
        if (fixture_open_and_use(&fixture, &error) == 0)
            fail_msg("accepted %s", bad[i]);
        assert_non_null(strstr(error.message, "generation_config.json"));
    }
    fixture_end(&fixture);
}

#define TEXT_SAYS "\"text_config\":{\"eos_token_id\":[7,8],\"bos_token_id\":9,\"dtype\":\"float16\"}}"

/* The text_config of a wrapped model is asked where the whole is silent, and only there. */
static void test_text_config(void **state)
{
    (void)state;
    static const struct {
        const char *config, *generation;
        uint32_t n_eos;
        int32_t eos, bos;
        enum scalar_type type;
    } cases[] = {
        {"{\"model_type\":\"gemma3\"," TEXT_SAYS, NULL, 2, 7, 9, SCALAR_F16},
        {"{\"model_type\":\"gemma3\"," TEXT_SAYS, "{\"eos_token_id\":5}", 1, 5, 9, SCALAR_F16},
        {"{\"model_type\":\"mistral3\",\"eos_token_id\":null,\"torch_dtype\":null," TEXT_SAYS, NULL, 2, 7, 9,
         SCALAR_F16},
        {"{\"model_type\":\"gemma3\",\"eos_token_id\":1,\"torch_dtype\":\"float32\"," TEXT_SAYS, NULL, 1, 1,
         9, SCALAR_F32},
        {"{\"model_type\":\"gemma3\",\"text_config\":{\"torch_dtype\":\"float32\"}}", NULL, 0, 0, -1,
         SCALAR_F32},
        {"{\"model_type\":\"llama\"," TEXT_SAYS, NULL, 0, 0, -1, SCALAR_BF16}, /* no wrapper */
    };
    struct model_generation generation;
    struct error error = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *config = json_loads(cases[i].config, 0, NULL);
        json_t *own = cases[i].generation ? json_loads(cases[i].generation, 0, NULL) : NULL;
        assert_non_null(config);
        assert_int_equal(generation_read(config, own, &generation, &error), 0);
        assert_int_equal(generation.n_eos, cases[i].n_eos);
        assert_int_equal(generation.eos[0], cases[i].eos);
        assert_int_equal(generation.bos, cases[i].bos);
        assert_int_equal(weights_shape_type(config), cases[i].type);
        json_decref(config);
        json_decref(own);
    }
    json_t *config = json_loads("{\"model_type\":\"gemma3\",\"text_config\":{\"eos_token_id\":-1}}", 0, NULL);
    assert_int_equal(generation_read(config, NULL, &generation, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "text_config: eos_token_id"));
    json_decref(config);
}

static void test_list(void **state)
{
    (void)state;
    char list[400];
    int n = 0;
    snprintf(list, sizeof list, "%s", model_supported_architectures());
    for (char *rest = list, *name; (name = strtok_r(rest, ", ", &rest)); n++)
        assert_true(family_find(name) || wrapper_find(name));
    assert_int_equal(n, 17);
    assert_null(family_find("llama2"));
    assert_null(family_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama),      cmocka_unit_test(test_info),
        cmocka_unit_test(test_tied),       cmocka_unit_test(test_dense),
        cmocka_unit_test(test_qwen2),      cmocka_unit_test(test_qwen3),
        cmocka_unit_test(test_qwen3_moe),  cmocka_unit_test(test_unstacked_experts),
        cmocka_unit_test(test_list),       cmocka_unit_test(test_windows),
        cmocka_unit_test(test_generation), cmocka_unit_test(test_text_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
