/* Costs and loading at real size: llama-3.2-1b and llama-3.1-8b in 4 bits, as files that are all hole and no
 * bytes. The expected costs are worked out by hand from the published dimensions. */
#include "support/model_fixture.h"

#include <fcntl.h>
#include <math.h>

#include "platform/memory.h"

struct shape {
    uint32_t layers, hidden, heads, kv_heads, head_dim, ffn, vocab;
    bool tied;
};

static void make(struct fixture *fixture, const struct shape *shape)
{
    char name[128], path[200], config[1024];
    fixture_begin(fixture);
    fixture_linear(fixture, "model.embed_tokens", 0, shape->vocab, shape->hidden, 4, 64);
    for (uint32_t i = 0; i < shape->layers; i++) {
        uint32_t q = shape->heads * shape->head_dim, kv = shape->kv_heads * shape->head_dim;
        const struct {
            const char *name;
            uint32_t rows, cols;
        } matrices[] = {
            {"self_attn.q_proj", q, shape->hidden},       {"self_attn.k_proj", kv, shape->hidden},
            {"self_attn.v_proj", kv, shape->hidden},      {"self_attn.o_proj", shape->hidden, q},
            {"mlp.gate_proj", shape->ffn, shape->hidden}, {"mlp.up_proj", shape->ffn, shape->hidden},
            {"mlp.down_proj", shape->hidden, shape->ffn}};
        for (size_t k = 0; k < sizeof matrices / sizeof *matrices; k++) {
            snprintf(name, sizeof name, "model.layers.%u.%s", i, matrices[k].name);
            fixture_linear(fixture, name, 0, matrices[k].rows, matrices[k].cols, 4, 64);
        }
        snprintf(name, sizeof name, "model.layers.%u.input_layernorm.weight", i);
        fixture_vector(fixture, name, shape->hidden);
        snprintf(name, sizeof name, "model.layers.%u.post_attention_layernorm.weight", i);
        fixture_vector(fixture, name, shape->hidden);
    }
    fixture_vector(fixture, "model.norm.weight", shape->hidden);
    if (!shape->tied)
        fixture_linear(fixture, "lm_head", 0, shape->vocab, shape->hidden, 4, 64);
    snprintf(config, sizeof config,
             "{\"model_type\":\"llama\",\"hidden_size\":%u,\"num_hidden_layers\":%u,\"intermediate_size\":%u,"
             "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,\"head_dim\":%u,\"rms_norm_eps\":1e-5,"
             "\"vocab_size\":%u,\"max_position_embeddings\":131072,\"tie_word_embeddings\":%s,"
             "\"quantization\":{\"group_size\":64,\"bits\":4}}",
             shape->hidden, shape->layers, shape->ffn, shape->heads, shape->kv_heads, shape->head_dim,
             shape->vocab, shape->tied ? "true" : "false");
    fixture_text(fixture, "config.json", config);
    /* header, then a hole */
    char start[9] = {0};
    uint64_t header = fixture->header_length + 1;
    memcpy(start, &header, 8);
    fixture->header[fixture->header_length] = '}';
    snprintf(path, sizeof path, "%s/model.safetensors", fixture->folder);
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, start, 8), 8);
    assert_int_equal(write(file, fixture->header, header), header);
    assert_int_equal(ftruncate(file, (off_t)(8 + header + fixture->data_bytes)), 0);
    close(file);
}

static const struct shape llama_1b = {16, 2048, 32, 8, 64, 8192, 128256, true};
static const struct shape llama_8b = {32, 4096, 32, 8, 128, 14336, 128256, false};

enum {
    LAYER_NUMBERS = 60817408, /* q and o 2048 x 2048, k and v 512 x 2048, three of 8192 x 2048 */
    KV_NUMBERS = 2097152,     /* of these k and v */
    HEAD_NUMBERS = 262668288, /* 128256 x 2048 */
    ATTEND_FLOPS = 8192       /* of one query meeting one key in one layer: 32 heads, 2 * (64 + 64) */
};

static void test_decode_cost(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, &llama_1b);
    struct model *model = fixture_open(&fixture);
    const struct plan *plan = model_plan(model);
    assert_int_equal(model_info(model)->parameters, 16ull * LAYER_NUMBERS + HEAD_NUMBERS + 33ull * 2048);
    assert_int_equal(plan_kv_bytes_per_token(plan, 16), 32768);
    assert_int_equal(plan_kv_bytes_per_token(plan, 8), 17408); /* 16384, and a scale for every 32 numbers */
    /* 4 bits and, per 64, a bf16 scale and bias: 4.5 bits; norms in f32 */
    assert_int_equal(plan_weight_bytes(plan), 695107584 + 270336);
    struct plan_step step = {.n_tokens = 1, .n_outputs = 1, .n_sequences = 1, .context = 1000, .kv_bits = 16};
    struct plan_cost cost = plan_step_cost(plan, &step);
    assert_true(cost.weight_bytes == 695107584.0 + 270336 + 1152); /* and one row of the embedding */
    assert_true(cost.kv_read_bytes == 1001 * 32768.0);
    assert_true(cost.kv_write_bytes == 32768.0);
    double small = 270336 + 122880 + 524288 + 65536; /* norms, ropes, activations, additions */
    assert_true(cost.flops == 2.0 * 1235746816 + 16 * 1001.0 * ATTEND_FLOPS + small);
    struct plan_cost down = plan_op_cost(plan, fixture_op(plan, "layers.3.mlp.down_proj"), &step);
    assert_true(down.weight_bytes == 9437184.0 && down.flops == 2.0 * 16777216 && down.kv_read_bytes == 0);
    /* four sequences: the weights once, the caches four times */
    step.n_tokens = step.n_outputs = step.n_sequences = 4;
    cost = plan_step_cost(plan, &step);
    assert_true(cost.weight_bytes == 695107584.0 + 270336 + 4 * 1152);
    assert_true(cost.kv_read_bytes == 4 * 1001 * 32768.0);
    model_close(model);
    fixture_end(&fixture);
}

static void test_prefill_cost(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, &llama_1b);
    struct model *model = fixture_open(&fixture);
    const struct plan *plan = model_plan(model);
    struct plan_step step = {.n_tokens = 512, .n_outputs = 1, .n_sequences = 1, .context = 0, .kv_bits = 16};
    struct plan_cost cost = plan_step_cost(plan, &step);
    /* 131328 = 512 * 513 / 2; the last layer and the head see one row, but for its keys and values */
    double linear =
        15.0 * LAYER_NUMBERS * 512 + KV_NUMBERS * 512.0 + (LAYER_NUMBERS - KV_NUMBERS) + HEAD_NUMBERS;
    double attend = (15.0 * 131328 + 512) * ATTEND_FLOPS;
    double norms = 2048 * 4.0 * (15 * 2 * 512 + 512 + 1 + 1),
           ropes = 64 * 3.0 * (15 * 40 * 512 + 8 * 512 + 32);
    double acts = 8192 * 4.0 * (15 * 512 + 1), adds = 2048 * 2.0 * (15 * 512 + 1);
    assert_true(cost.flops == 2 * linear + attend + norms + ropes + acts + adds);
    assert_true(cost.kv_read_bytes == 512 * 32768.0);
    assert_true(cost.kv_write_bytes == 512 * 32768.0);
    assert_true(cost.weight_bytes == 695107584.0 + 270336 + 512 * 1152);
    /* a chunk in the middle of a prompt wants no logits: no head, no last MLP */
    step.n_outputs = 0;
    cost = plan_step_cost(plan, &step);
    double unread = 0.5625 * (HEAD_NUMBERS + LAYER_NUMBERS - KV_NUMBERS) + 2 * 2048 * 4;
    assert_true(cost.weight_bytes == 695107584.0 + 270336 + 512 * 1152 - unread);
    assert_true(cost.kv_read_bytes == 15 * 512 * 2048.0);
    model_close(model);
    fixture_end(&fixture);
}

static void test_opening_8b(void **state)
{
    (void)state;
    struct fixture fixture;
    struct memory_process before, after;
    make(&fixture, &llama_8b);
    memory_process_read(&before);
    struct model *model = fixture_open(&fixture);
    memory_process_read(&after);
    assert_true(model_info(model)->file_bytes > 4500000000ull);
    /* the pages of the weights were not read: what grew is tables and the norms' own pages */
    if (before.known && after.known)
        assert_true(after.resident_bytes < before.resident_bytes + (64u << 20));
    model_close(model);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_cost),
        cmocka_unit_test(test_prefill_cost),
        cmocka_unit_test(test_opening_8b),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
