/* The standard deviations below keep a random transformer alive and awake:
 * - Behind a norm every channel is about 1. A matrix of std gain / sqrt(columns) turns that into `gain`.
 * - Queries and keys have gain 1.4, so that attention scores have std 2: softmax then looks at a few tokens,
 * not at the mean of all (qwen3's q/k norms do that instead).
 * - silu(gate) * up of two unit normals has std 0.6; attention over a few dozen tokens keeps about half of
 * the values' std. The projections back into the residual stream undo that and are divided by sqrt(2 *
 * layers), so that the stream ends near 1 (as GPT-2 initialises).
 * - Embeddings are small (0.02, as trained ones are) against what the layers add: otherwise, with a tied
 * head, every token would predict itself. The last norm's weights give logits a std of 3. */
#include "synth/tensor.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "synth/random.h"

static const float EMBEDDING_STD = 0.02f, LOGIT_STD = 3.0f, NORM_SPREAD = 0.1f;
static const float QK_GAIN = 1.4f, VALUES_KEPT = 0.5f, SILU_KEPT = 0.6f, ROUTER_GAIN = 2.0f;
static const float OUTLIER_BRANCHES = 1.0f; /* std of all branches together, against the embedding's */
static const float EXPERTS_KEPT = 0.45f;    /* root of the sum of squared routing weights */
enum { LOUD_ROW = 77 };

struct lister {
    struct synth_tensors *tensors;
    const struct synth_shape *shape;
    struct synth_format format;
    uint64_t seed;
    bool outliers;
    float branch_std; /* of what attention or the MLP of one layer adds to the residual stream */
    float unit;       /* std of a matrix that turns normed channels into numbers of std 1 */
    uint32_t layer;
    struct error *error;
    int status;
};

/* A matrix before it is split into codes, scales and biases. */
struct matrix {
    uint32_t experts, rows, cols; /* experts 0: a plain matrix */
    float std;
    bool loud, embedding;
    const struct synth_format *format; /* NULL: the model's */
};

static struct synth_tensor *add(struct lister *lister)
{
    struct synth_tensors *tensors = lister->tensors;
    if (tensors->count == tensors->capacity) {
        uint32_t capacity = tensors->capacity ? 2 * tensors->capacity : 256;
        struct synth_tensor *items = realloc(tensors->items, capacity * sizeof *items);
        if (!items) {
            lister->status = error_memory(lister->error, "the list of tensors", capacity * sizeof *items);
            return NULL;
        }
        tensors->items = items;
        tensors->capacity = capacity;
    }
    struct synth_tensor *tensor = &tensors->items[tensors->count++];
    *tensor = (struct synth_tensor){.loud = 1};
    return tensor;
}

static void add_vector(struct lister *lister, uint32_t width, float mean, float spread, enum synth_norm norm,
                       float residual_std, const char *name)
{
    struct synth_tensor *tensor = lister->status ? NULL : add(lister);
    if (!tensor)
        return;
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->dtype = "BF16";
    tensor->n_dims = 1;
    tensor->dims[0] = width;
    tensor->rows = 1;
    tensor->row_bytes = 2 * (uint64_t)width;
    tensor->fill = FILL_VECTOR;
    tensor->stream = random_stream(lister->seed, name);
    tensor->cols = width;
    tensor->mean = mean;
    tensor->std = spread;
    tensor->norm = norm;
    tensor->residual_std = residual_std;
    tensor->outliers = lister->outliers && norm != NORM_NONE ? &lister->tensors->outliers : NULL;
    lister->tensors->parameters += width;
    lister->tensors->bytes += tensor->row_bytes;
}

/* One of the tensors that make up a matrix: `units` numbers of `unit_bytes` in a row. */
static void add_part(struct lister *lister, const struct matrix *matrix, const struct synth_format *format,
                     enum synth_fill fill, uint32_t units, const char *dtype, uint32_t unit_bytes,
                     const char *name, const char *part)
{
    struct synth_tensor *tensor = lister->status ? NULL : add(lister);
    if (!tensor)
        return;
    uint32_t experts = matrix->experts ? matrix->experts : 1;
    snprintf(tensor->name, sizeof tensor->name, "%s.%s", name, part);
    tensor->dtype = dtype;
    if (matrix->experts)
        tensor->dims[tensor->n_dims++] = matrix->experts;
    tensor->dims[tensor->n_dims++] = matrix->rows;
    tensor->dims[tensor->n_dims++] = units;
    tensor->rows = (uint64_t)experts * matrix->rows;
    tensor->row_bytes = (uint64_t)units * unit_bytes;
    tensor->fill = fill;
    tensor->format = *format;
    tensor->stream = random_stream(lister->seed, name);
    tensor->cols = matrix->cols;
    tensor->std = matrix->std;
    tensor->matrix_rows = matrix->rows;
    if (lister->outliers && matrix->loud) {
        tensor->loud_row = LOUD_ROW % matrix->rows;
        tensor->loud = outliers_loud_row(matrix->rows);
    }
    tensor->outliers = lister->outliers && matrix->embedding ? &lister->tensors->outliers : NULL;
    lister->tensors->bytes += tensor->rows * tensor->row_bytes;
}

static void add_matrix(struct lister *lister, const struct matrix *matrix, const char *name)
{
    const struct synth_format *format = matrix->format ? matrix->format : &lister->format;
    lister->tensors->parameters +=
        (uint64_t)(matrix->experts ? matrix->experts : 1) * matrix->rows * matrix->cols;
    if (format->mode == SYNTH_DENSE) {
        add_part(lister, matrix, format, FILL_DENSE, matrix->cols, "BF16", 2, name, "weight");
        return;
    }
    if (matrix->cols % format->group_size) {
        if (!lister->status)
            lister->status = error_set(lister->error, ERROR_INVALID,
                                       "%s has %u columns, which groups of %u do not divide; choose another "
                                       "--group-size",
                                       name, matrix->cols, format->group_size);
        return;
    }
    uint32_t groups = matrix->cols / format->group_size;
    uint32_t words = (uint32_t)((uint64_t)matrix->cols * format->bits / 32);
    bool affine = format->mode == SYNTH_AFFINE;
    add_part(lister, matrix, format, FILL_CODES, words, "U32", 4, name, "weight");
    add_part(lister, matrix, format, FILL_SCALES, groups, affine ? "BF16" : "U8", affine ? 2 : 1, name,
             "scales");
    if (affine)
        add_part(lister, matrix, format, FILL_BIASES, groups, "BF16", 2, name, "biases");
}

__attribute__((format(printf, 2, 3))) static const char *name_of(struct lister *lister, const char *format,
                                                                 ...)
{
    static _Thread_local char name[80];
    int used = snprintf(name, sizeof name, "model.layers.%u.", lister->layer);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name + used, sizeof name - (size_t)used, format, arguments);
    va_end(arguments);
    return name;
}

/* Standard deviation of the residual stream after n branches. */
static float residual_after(const struct lister *lister, uint32_t branches)
{
    return sqrtf(EMBEDDING_STD * EMBEDDING_STD + (float)branches * lister->branch_std * lister->branch_std);
}

static void list_attention(struct lister *lister)
{
    const struct synth_shape *shape = lister->shape;
    uint32_t q_width = shape->heads * shape->head_dim, kv_width = shape->kv_heads * shape->head_dim;
    bool qk_norm = shape->family == SYNTH_QWEN3 || shape->family == SYNTH_QWEN3_MOE;
    float unit = lister->unit, qk = qk_norm ? unit : QK_GAIN * unit;
    float back = lister->branch_std / VALUES_KEPT / sqrtf((float)q_width);

    add_matrix(lister, &(struct matrix){.rows = q_width, .cols = shape->hidden, .std = qk},
               name_of(lister, "self_attn.q_proj"));
    add_matrix(lister, &(struct matrix){.rows = kv_width, .cols = shape->hidden, .std = qk},
               name_of(lister, "self_attn.k_proj"));
    add_matrix(lister, &(struct matrix){.rows = kv_width, .cols = shape->hidden, .std = unit},
               name_of(lister, "self_attn.v_proj"));
    add_matrix(lister, &(struct matrix){.rows = shape->hidden, .cols = q_width, .std = back},
               name_of(lister, "self_attn.o_proj"));
    if (qk_norm) {
        add_vector(lister, shape->head_dim, QK_GAIN, NORM_SPREAD, NORM_NONE, 1,
                   name_of(lister, "self_attn.q_norm.weight"));
        add_vector(lister, shape->head_dim, QK_GAIN, NORM_SPREAD, NORM_NONE, 1,
                   name_of(lister, "self_attn.k_norm.weight"));
    }
    if (shape->family == SYNTH_QWEN2) {
        add_vector(lister, q_width, 0, 0.5f, NORM_NONE, 1, name_of(lister, "self_attn.q_proj.bias"));
        add_vector(lister, kv_width, 0, 0.5f, NORM_NONE, 1, name_of(lister, "self_attn.k_proj.bias"));
        add_vector(lister, kv_width, 0, 0.1f, NORM_NONE, 1, name_of(lister, "self_attn.v_proj.bias"));
    }
}

static void list_feed_forward(struct lister *lister)
{
    /* mlx-lm keeps the router of a quantized model in 8 bits, and says so in config.json (configuration.c) */
    static const struct synth_format router = {SYNTH_AFFINE, 8, 64};
    const struct synth_shape *shape = lister->shape;
    uint32_t experts = shape->experts, width = experts ? shape->expert_intermediate : shape->intermediate;
    const char *prefix = experts ? "mlp.switch_mlp" : "mlp";
    float unit = lister->unit;
    float back = lister->branch_std / SILU_KEPT / (experts ? EXPERTS_KEPT : 1) / sqrtf((float)width);

    if (experts)
        add_matrix(lister,
                   &(struct matrix){.rows = experts,
                                    .cols = shape->hidden,
                                    .std = ROUTER_GAIN * unit,
                                    .format = lister->format.mode == SYNTH_DENSE ? NULL : &router},
                   name_of(lister, "mlp.gate"));
    add_matrix(lister,
               &(struct matrix){.experts = experts, .rows = width, .cols = shape->hidden, .std = unit},
               name_of(lister, "%s.gate_proj", prefix));
    add_matrix(
        lister,
        &(struct matrix){.experts = experts, .rows = width, .cols = shape->hidden, .std = unit, .loud = true},
        name_of(lister, "%s.up_proj", prefix));
    add_matrix(lister,
               &(struct matrix){.experts = experts, .rows = shape->hidden, .cols = width, .std = back},
               name_of(lister, "%s.down_proj", prefix));
}

int synth_tensors_list(struct synth_tensors *tensors, const struct synth_shape *shape,
                       const struct synth_format *format, uint64_t seed, bool outliers, struct error *error)
{
    *tensors = (struct synth_tensors){0};
    struct lister lister = {.tensors = tensors,
                            .shape = shape,
                            .format = *format,
                            .seed = seed,
                            .outliers = outliers,
                            .branch_std = 1 / sqrtf(2.0f * (float)shape->layers),
                            .unit = 1 / sqrtf((float)shape->hidden),
                            .error = error};
    if (outliers) {
        outliers_init(&tensors->outliers, shape, EMBEDDING_STD);
        lister.branch_std *= OUTLIER_BRANCHES * EMBEDDING_STD;
        lister.unit /= sqrtf(1 + tensors->outliers.after_norm_mean_square);
    }

    struct matrix table = {
        .rows = shape->vocab, .cols = shape->hidden, .std = EMBEDDING_STD, .embedding = true};
    add_matrix(&lister, &table, "model.embed_tokens");
    for (lister.layer = 0; lister.layer < shape->layers && !lister.status; lister.layer++) {
        uint32_t branches = 2 * lister.layer;
        add_vector(&lister, shape->hidden, 1, NORM_SPREAD, NORM_RESIDUAL, residual_after(&lister, branches),
                   name_of(&lister, "input_layernorm.weight"));
        list_attention(&lister);
        add_vector(&lister, shape->hidden, 1, NORM_SPREAD, NORM_RESIDUAL,
                   residual_after(&lister, branches + 1),
                   name_of(&lister, "post_attention_layernorm.weight"));
        list_feed_forward(&lister);
    }
    float head_gain = LOGIT_STD / EMBEDDING_STD / sqrtf((float)shape->hidden);
    add_vector(&lister, shape->hidden, head_gain, NORM_SPREAD * head_gain, NORM_LAST,
               residual_after(&lister, 2 * shape->layers), "model.norm.weight");
    if (!shape->tied) {
        table.embedding = false;
        add_matrix(&lister, &table, "lm_head");
    }
    return lister.status;
}

void synth_tensors_free(struct synth_tensors *tensors)
{
    free(tensors->items);
    *tensors = (struct synth_tensors){0};
}
