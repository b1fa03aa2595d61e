/* Tiny checkpoints written by the test itself: a folder with config.json and model.safetensors, filled with
 * reproducible bytes. Everything is asserted, so that a test that got a fixture has a good one. */
#ifndef LLMIND_TESTS_MODEL_FIXTURE_H
#define LLMIND_TESTS_MODEL_FIXTURE_H

#include <dirent.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "model/model.h"

struct fixture {
    char folder[128];
    char *header; /* JSON under construction */
    size_t header_length;
    uint64_t data_bytes;
    uint32_t n_tensors;
};

static inline void fixture_begin(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    strcpy(fixture->folder, "/tmp/llmind-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->header = malloc(1 << 20);
    assert_non_null(fixture->header);
    strcpy(fixture->header, "{\"__metadata__\":{\"format\":\"mlx\"}");
    fixture->header_length = strlen(fixture->header);
}

static inline void fixture_end(struct fixture *fixture)
{
    DIR *directory = opendir(fixture->folder);
    assert_non_null(directory);
    char path[512];
    for (struct dirent *entry; (entry = readdir(directory));) {
        snprintf(path, sizeof path, "%s/%s", fixture->folder, entry->d_name);
        unlink(path);
    }
    closedir(directory);
    rmdir(fixture->folder);
    free(fixture->header);
}

static inline void fixture_write(const struct fixture *fixture, const char *name, const void *bytes,
                                 size_t length)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    unlink(path); /* a file cut to nothing and written again is flushed by some file systems, and slow */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static inline void fixture_text(const struct fixture *fixture, const char *name, const char *text)
{
    fixture_write(fixture, name, text, strlen(text));
}

static inline void fixture_remove(const struct fixture *fixture, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
    unlink(path);
}

/* shape: zero extents are left out. */
static inline void fixture_tensor(struct fixture *fixture, const char *name, const char *dtype,
                                  uint32_t element_bytes, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t extents[3] = {a, b, c};
    uint64_t bytes = element_bytes;
    char shape[100] = "";
    for (int i = 0; i < 3; i++)
        if (extents[i]) {
            size_t used = strlen(shape);
            snprintf(shape + used, sizeof shape - used, "%s%u", used ? "," : "", extents[i]);
            bytes *= extents[i];
        }
    int n =
        snprintf(fixture->header + fixture->header_length, (1 << 20) - fixture->header_length,
                 ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", name, dtype, shape,
                 (unsigned long long)fixture->data_bytes, (unsigned long long)(fixture->data_bytes + bytes));
    fixture->header_length += (size_t)n;
    assert_true(fixture->header_length < (1 << 20) - 1);
    fixture->data_bytes += bytes;
    fixture->n_tensors++;
}

/* A linear module; bits 0: bf16. experts 0: not stacked. */
static inline void fixture_linear(struct fixture *fixture, const char *module, uint32_t experts,
                                  uint32_t rows, uint32_t cols, uint32_t bits, uint32_t group)
{
    char name[256];
    snprintf(name, sizeof name, "%s.weight", module);
    if (bits == 0) {
        fixture_tensor(fixture, name, "BF16", 2, experts, rows, cols);
        return;
    }
    fixture_tensor(fixture, name, "U32", 4, experts, rows, cols * bits / 32);
    snprintf(name, sizeof name, "%s.scales", module);
    fixture_tensor(fixture, name, "BF16", 2, experts, rows, cols / group);
    snprintf(name, sizeof name, "%s.biases", module);
    fixture_tensor(fixture, name, "BF16", 2, experts, rows, cols / group);
}

static inline void fixture_vector(struct fixture *fixture, const char *name, uint32_t length)
{
    fixture_tensor(fixture, name, "BF16", 2, length, 0, 0);
}

/* The whole file, malloc'ed. */
static inline uint8_t *fixture_file(const struct fixture *fixture, size_t *length)
{
    uint64_t header = fixture->header_length + 1;
    *length = 8 + (size_t)header + (size_t)fixture->data_bytes;
    uint8_t *file = malloc(*length);
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)(header >> (8 * i));
    memcpy(file + 8, fixture->header, fixture->header_length);
    file[8 + fixture->header_length] = '}';
    uint32_t state = 12345;
    for (size_t i = 8 + (size_t)header; i < *length; i++) {
        state = state * 1664525u + 1013904223u;
        file[i] = (uint8_t)(state >> 24);
    }
    return file;
}

static inline void fixture_save(const struct fixture *fixture, const char *name)
{
    size_t length;
    uint8_t *file = fixture_file(fixture, &length);
    fixture_write(fixture, name, file, length);
    free(file);
}

/* ---- a two-layer model: hidden 64, 4 heads over 2 key heads of 16, ffn 128, vocab 96, 4 bits by 32 ---- */

struct fixture_shape {
    bool tied, qkv_bias, qk_norm, experts, dense;
};

static inline void fixture_attention(struct fixture *fixture, const char *layer, struct fixture_shape shape)
{
    static const char *const names[] = {"q_proj", "k_proj", "v_proj", "o_proj"};
    static const uint32_t rows[] = {64, 32, 32, 64};
    uint32_t bits = shape.dense ? 0 : 4;
    char name[128];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s.self_attn.%s", layer, names[i]);
        fixture_linear(fixture, name, 0, rows[i], 64, bits, 32);
        snprintf(name, sizeof name, "%s.self_attn.%s.bias", layer, names[i]);
        if (shape.qkv_bias && i < 3)
            fixture_vector(fixture, name, rows[i]);
    }
    if (shape.qk_norm) {
        snprintf(name, sizeof name, "%s.self_attn.q_norm.weight", layer);
        fixture_vector(fixture, name, 16);
        snprintf(name, sizeof name, "%s.self_attn.k_norm.weight", layer);
        fixture_vector(fixture, name, 16);
    }
}

static inline void fixture_mlp(struct fixture *fixture, const char *layer, struct fixture_shape shape)
{
    static const char *const names[] = {"gate_proj", "up_proj", "down_proj"};
    char name[128];
    uint32_t bits = shape.dense ? 0 : 4, ffn = shape.experts ? 32 : 128;
    if (shape.experts) {
        snprintf(name, sizeof name, "%s.mlp.gate", layer);
        fixture_linear(fixture, name, 0, 4, 64, shape.dense ? 0 : 8, 64);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.mlp.%s%s", layer, shape.experts ? "switch_mlp." : "", names[i]);
        fixture_linear(fixture, name, shape.experts ? 4 : 0, i < 2 ? ffn : 64, i < 2 ? 64 : ffn, bits, 32);
    }
}

static inline void fixture_tensors(struct fixture *fixture, struct fixture_shape shape)
{
    uint32_t bits = shape.dense ? 0 : 4;
    char name[128];
    fixture_linear(fixture, "model.embed_tokens", 0, 96, 64, bits, 32);
    for (int i = 0; i < 2; i++) {
        char layer[64];
        snprintf(layer, sizeof layer, "model.layers.%d", i);
        fixture_attention(fixture, layer, shape);
        fixture_mlp(fixture, layer, shape);
        snprintf(name, sizeof name, "%s.input_layernorm.weight", layer);
        fixture_vector(fixture, name, 64);
        snprintf(name, sizeof name, "%s.post_attention_layernorm.weight", layer);
        fixture_vector(fixture, name, 64);
    }
    fixture_vector(fixture, "model.norm.weight", 64);
    if (!shape.tied)
        fixture_linear(fixture, "lm_head", 0, 96, 64, bits, 32);
}

#define FIXTURE_DIMENSIONS                                                                                   \
    "\"hidden_size\":64,\"num_hidden_layers\":2,\"intermediate_size\":128,\"num_attention_heads\":4,"        \
    "\"num_key_value_heads\":2,\"head_dim\":16,\"rms_norm_eps\":1e-5,\"vocab_size\":96,"                     \
    "\"max_position_embeddings\":256,\"rope_theta\":10000.0"
#define FIXTURE_QUANTIZATION "\"quantization\":{\"group_size\":32,\"bits\":4}"
#define FIXTURE_LLAMA "{\"model_type\":\"llama\"," FIXTURE_DIMENSIONS "," FIXTURE_QUANTIZATION "}"
#define FIXTURE_MOE                                                                                          \
    "\"num_experts\":4,\"num_experts_per_tok\":2,\"moe_intermediate_size\":32,\"decoder_sparse_step\":1,"    \
    "\"norm_topk_prob\":true,\"mlp_only_layers\":[]"

/* Opens, and on success uses everything a backend would: every byte of every weight, every small table. Adds
 * them to a sum so that nothing is optimized away. Returns the status. */
static inline void fixture_touch(const uint8_t *bytes, uint64_t n, uint64_t *sum)
{
    for (uint64_t i = 0; i < n; i++)
        *sum += bytes[i];
}

static inline void fixture_touch_weight(const struct weight *weight, uint64_t *sum)
{
    uint64_t rows = (uint64_t)weight->rows * weight->n_experts;
    fixture_touch(weight->data, rows * weight->row_bytes, sum);
    if (weight->format == WEIGHT_DENSE)
        return;
    uint64_t groups = rows * (weight->cols / weight->group_size);
    uint64_t scale_bytes = weight->format == WEIGHT_AFFINE ? scalar_size(weight->type) : 1;
    fixture_touch(weight->scales, groups * scale_bytes, sum);
    if (weight->format == WEIGHT_AFFINE)
        fixture_touch(weight->biases, groups * scale_bytes, sum);
    if (weight->tensor_scales)
        fixture_touch((const uint8_t *)weight->tensor_scales, weight->n_experts * sizeof(float), sum);
}

static inline uint64_t fixture_use(const struct plan *plan)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        sum += strlen(op->name);
        if (op->kind == PLAN_EMBED)
            fixture_touch_weight(op->embed.weight, &sum);
        if (op->kind == PLAN_LINEAR) {
            fixture_touch_weight(op->linear.weight, &sum);
            if (op->linear.bias)
                fixture_touch((const uint8_t *)op->linear.bias, op->linear.weight->rows * sizeof(float),
                              &sum);
        }
        if (op->kind == PLAN_EXPERTS) {
            fixture_touch_weight(op->experts.gate, &sum);
            fixture_touch_weight(op->experts.up, &sum);
            fixture_touch_weight(op->experts.down, &sum);
        }
        if (op->kind == PLAN_NORM)
            fixture_touch((const uint8_t *)op->norm.weight, op->in.width / op->norm.n_groups * sizeof(float),
                          &sum);
        if (op->kind == PLAN_ROPE)
            fixture_touch((const uint8_t *)op->rope.rope->inv_freq, op->rope.rope->dims / 2 * sizeof(float),
                          &sum);
    }
    struct plan_step step = {.n_tokens = 7, .n_outputs = 1, .n_sequences = 1, .context = 33, .kv_bits = 16};
    struct plan_cost cost = plan_step_cost(plan, &step);
    assert_true(cost.weight_bytes > 0 && cost.flops > 0);
    return sum + plan_weight_bytes(plan);
}

/* An error must be one clean, non-empty line with a code of the list. */
static inline void fixture_check_error(int status, const struct error *error)
{
    assert_in_range(-status, 1, 9);
    assert_int_equal(error->code, status);
    assert_int_not_equal(status, ERROR_INTERNAL);
    assert_true(strlen(error->message) > 5);
    for (const char *p = error->message; *p; p++)
        assert_true((unsigned char)*p >= 0x20);
}

static inline int fixture_open_and_use(const struct fixture *fixture, struct error *error)
{
    struct model *model = NULL;
    struct model_summary summary;
    *error = (struct error){0};
    int status = model_summarize(fixture->folder, &summary, error);
    if (status)
        fixture_check_error(status, error);
    model_summary_free(&summary);
    *error = (struct error){0};
    status = model_open(fixture->folder, &model, error);
    if (status) {
        assert_null(model);
        fixture_check_error(status, error);
        return status;
    }
    assert_true(fixture_use(model_plan(model)) > 0);
    model_close(model);
    return 0;
}

static inline struct model *fixture_open(const struct fixture *fixture)
{
    struct model *model = NULL;
    struct error error = {0};
    if (model_open(fixture->folder, &model, &error))
        fail_msg("%s", error.message);
    return model;
}

static inline const struct plan_op *fixture_op(const struct plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->n_ops; i++)
        if (strcmp(plan->ops[i].name, name) == 0)
            return &plan->ops[i];
    return NULL;
}

#endif
