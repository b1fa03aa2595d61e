#include "model/weights.h"

#include <stdio.h>
#include <string.h>

#include "model/weights_shape.h"

enum { NAME_CAPACITY = 512 };

static struct tensor *find(const struct weights *weights, const char *module, const char *suffix)
{
    char name[NAME_CAPACITY];
    int length = snprintf(name, sizeof name, "%s.%s", module, suffix);
    return length < 0 || (size_t)length >= sizeof name ? NULL : checkpoint_find(weights->checkpoint, name);
}

bool weights_have(const struct weights *weights, const char *module, const char *suffix)
{
    return weights->checkpoint && find(weights, module, suffix);
}

void weights_ignore(struct weights *weights, const char *module, const char *suffix)
{
    struct tensor *tensor = weights->checkpoint ? find(weights, module, suffix) : NULL;
    if (tensor)
        tensor->used = true;
}

void weights_ignore_all(struct weights *weights, const char *beginning)
{
    const struct checkpoint *checkpoint = weights->checkpoint;
    for (uint32_t i = 0; checkpoint && i < checkpoint->n_tensors; i++)
        if (strncmp(checkpoint->tensors[i].name, beginning, strlen(beginning)) == 0)
            checkpoint->tensors[i].used = true;
}

static struct tensor *take(struct weights *weights, const char *module, const char *suffix)
{
    struct tensor *tensor = weights->status ? NULL : find(weights, module, suffix);
    if (!tensor && weights->status == 0)
        weights->status =
            error_set(weights->error, ERROR_INVALID, "the weight files have no tensor %s.%s", module, suffix);
    if (tensor) {
        if (!tensor->used)
            weights->bytes += tensor->bytes;
        tensor->used = true;
    }
    return tensor;
}

static int fail(struct weights *weights, const struct tensor *tensor, const char *what)
{
    if (weights->status == 0)
        weights->status =
            error_set(weights->error, ERROR_INVALID, "%s: tensor %s %s", tensor->file, tensor->name, what);
    return weights->status;
}

/* "[32, 2048, 256]" */
static void print_shape(char *out, size_t capacity, const uint64_t *shape, uint32_t n_dims)
{
    size_t used = 0;
    for (uint32_t i = 0; i < n_dims && used < capacity; i++) {
        int n = snprintf(out + used, capacity - used, "%s%llu", i ? ", " : "[", (unsigned long long)shape[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used < capacity)
        snprintf(out + used, capacity - used, n_dims ? "]" : "[]");
}

/* The shape must be [last], [rows, last] or [n_experts, rows, last]; zero extents are not there. */
static int check_shape(struct weights *weights, const struct tensor *tensor, uint32_t n_experts,
                       uint32_t rows, uint64_t last)
{
    uint64_t expected[3];
    uint32_t n_dims = 0;
    if (n_experts)
        expected[n_dims++] = n_experts;
    if (rows)
        expected[n_dims++] = rows;
    expected[n_dims++] = last;
    if (tensor->n_dims == n_dims && memcmp(tensor->shape, expected, n_dims * sizeof *expected) == 0)
        return 0;
    char has[200], wants[100];
    print_shape(has, sizeof has, tensor->shape, tensor->n_dims);
    print_shape(wants, sizeof wants, expected, n_dims);
    return weights->status =
               error_set(weights->error, ERROR_INVALID, "%s: tensor %s has shape %s, config.json makes it %s",
                         tensor->file, tensor->name, has, wants);
}

static int check_float(struct weights *weights, const struct tensor *tensor, enum scalar_type *type)
{
    char what[100];
    if (tensor_scalar(tensor->type, type))
        return 0;
    snprintf(what, sizeof what, "is %s, must be F32, F16 or BF16", tensor_type_name(tensor->type));
    return fail(weights, tensor, what);
}

static int check_type(struct weights *weights, const struct tensor *tensor, enum tensor_type type)
{
    char what[100];
    if (tensor->type == type)
        return 0;
    snprintf(what, sizeof what, "is %s, must be %s", tensor_type_name(tensor->type), tensor_type_name(type));
    return fail(weights, tensor, what);
}

/* [rows, length], or [length] when rows is 0. */
static float *copy_vectors(struct weights *weights, const char *module, const char *suffix, uint32_t rows,
                           uint32_t length)
{
    enum scalar_type type;
    struct tensor *tensor = take(weights, module, suffix);
    if (!tensor || check_float(weights, tensor, &type) || check_shape(weights, tensor, 0, rows, length))
        return NULL;
    size_t n = (size_t)(rows ? rows : 1) * length; /* as many as the file has: check_shape */
    float *values = arena_alloc(weights->arena, n, sizeof *values);
    if (!values) {
        weights->status = error_memory(weights->error, tensor->name, (unsigned long long)n * sizeof *values);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        values[i] = tensor_number(tensor, i);
    return values;
}

static float *vectors(struct weights *weights, const char *module, const char *suffix, uint32_t rows,
                      uint32_t length)
{
    uint64_t n = (uint64_t)(rows ? rows : 1) * length;
    if (!weights->checkpoint)
        return weights_shape_vectors(weights, rows, length);
    float *values = copy_vectors(weights, module, suffix, rows, length);
    if (values)
        weights->parameters += n;
    return values;
}

const float *weights_vector(struct weights *weights, const char *module, const char *suffix, uint32_t length)
{
    return vectors(weights, module, suffix, 0, length);
}

const float *weights_vectors(struct weights *weights, const char *module, const char *suffix,
                             uint32_t n_experts, uint32_t length)
{
    return vectors(weights, module, suffix, n_experts, length);
}

const float *weights_norm(struct weights *weights, const char *module, uint32_t length, float base)
{
    float *values = vectors(weights, module, "weight", 0, length);
    for (uint32_t i = 0; values && base != 0 && i < length; i++)
        values[i] += base;
    return values;
}

/* Reads format, bits and group size off the shapes, as mlx-lm does: cols is known, the last extents of weight
 * and scales are cols * bits / 32 and cols / group_size. */
static int infer(struct weights *weights, const struct tensor *tensor, const struct tensor *scales,
                 struct weight *out)
{
    uint64_t words = tensor->n_dims ? tensor->shape[tensor->n_dims - 1] : 0;
    uint64_t groups = scales->n_dims ? scales->shape[scales->n_dims - 1] : 0;
    if (words == 0 || words > out->cols || groups == 0 || out->cols % groups || words * 32 % out->cols)
        return fail(weights, tensor, "and its scales have shapes that fit no quantization of this layer");
    out->group_size = (uint32_t)(out->cols / groups);
    out->bits = (uint32_t)(words * 32 / out->cols);
    out->format = WEIGHT_AFFINE;
    if (scales->type == TENSOR_U8)
        out->format = out->bits == 8 ? WEIGHT_MXFP8 : out->group_size == 16 ? WEIGHT_NVFP4 : WEIGHT_MXFP4;
    if (!quantization_exists(out->format, out->bits, out->group_size)) {
        char what[120];
        snprintf(what, sizeof what, "looks like %u bits in groups of %u, which is not supported", out->bits,
                 out->group_size);
        return fail(weights, tensor, what);
    }
    return 0;
}

/* mlx keeps the largest magnitude of each expert; a number is code * scale * that / (6 * 448), the largest
 * product of an e2m1 code and an e4m3 scale. */
static int take_global_scale(struct weights *weights, const char *module, struct weight *out)
{
    if (out->format != WEIGHT_NVFP4 || !weights_have(weights, module, "global_scale"))
        return 0;
    float *scales = copy_vectors(weights, module, "global_scale", 0, out->n_experts);
    for (uint32_t i = 0; scales && i < out->n_experts; i++)
        scales[i] /= 6.0f * 448.0f;
    out->tensor_scales = scales;
    return weights->status;
}

static int take_codes(struct weights *weights, const char *module, struct tensor *tensor, uint32_t n_experts,
                      struct weight *out)
{
    struct tensor *scales = take(weights, module, "scales");
    if (!scales)
        return weights->status;
    if (out->format == WEIGHT_DENSE && infer(weights, tensor, scales, out))
        return weights->status;
    uint64_t row_bits = (uint64_t)out->cols * out->bits;
    if (out->cols % out->group_size || row_bits % 32)
        return fail(weights, tensor, "has rows that its groups do not fill");
    uint32_t groups = out->cols / out->group_size;
    if (check_type(weights, tensor, TENSOR_U32) ||
        check_shape(weights, tensor, n_experts, out->rows, row_bits / 32) ||
        check_shape(weights, scales, n_experts, out->rows, groups))
        return weights->status;
    out->row_bytes = (size_t)(row_bits / 8);
    out->scales = scales->data;
    if (out->format != WEIGHT_AFFINE) {
        out->type = SCALAR_U8;
        if (check_type(weights, scales, TENSOR_U8))
            return weights->status;
        return take_global_scale(weights, module, out);
    }
    struct tensor *biases = take(weights, module, "biases");
    if (!biases || check_float(weights, scales, &out->type) || check_type(weights, biases, scales->type) ||
        check_shape(weights, biases, n_experts, out->rows, groups))
        return weights->status;
    out->biases = biases->data;
    return 0;
}

static int take_matrix(struct weights *weights, const char *module, uint32_t n_experts, struct weight *out)
{
    struct tensor *tensor = take(weights, module, "weight");
    if (!tensor)
        return weights->status;
    enum quantization_choice choice =
        quantization_of(weights->quantization, module, &out->format, &out->bits, &out->group_size);
    bool coded = weights_have(weights, module, "scales");
    if (coded && choice == QUANTIZATION_DENSE)
        return fail(weights, tensor, "has scales, and config.json says that it is not quantized");
    if (coded && !weights->quantization->present)
        return fail(weights, tensor, "has scales, and config.json has no quantization");
    if (!coded && choice == QUANTIZATION_GIVEN)
        return fail(weights, tensor, "has no scales, and config.json says that it is quantized");
    out->data = tensor->data;
    if (coded)
        return take_codes(weights, module, tensor, n_experts, out);
    if (check_float(weights, tensor, &out->type) ||
        check_shape(weights, tensor, n_experts, out->rows, out->cols))
        return weights->status;
    out->bits = 8 * (uint32_t)scalar_size(out->type);
    out->row_bytes = (size_t)out->cols * scalar_size(out->type);
    return 0;
}

const struct weight *weights_matrix(struct weights *weights, const char *module, uint32_t n_experts,
                                    uint32_t rows, uint32_t cols)
{
    if (weights->status)
        return NULL;
    struct weight *weight = arena_alloc(weights->arena, 1, sizeof *weight);
    const char *name = arena_strdup(weights->arena, module);
    if (!weight || !name) {
        weights->status = error_memory(weights->error, "the list of weights", sizeof *weight);
        return NULL;
    }
    *weight = (struct weight){.name = name,
                              .format = WEIGHT_DENSE,
                              .n_experts = n_experts ? n_experts : 1,
                              .rows = rows,
                              .cols = cols};
    if (weights->checkpoint ? take_matrix(weights, module, n_experts, weight)
                            : weights_shape_matrix(weights, module, weight))
        return NULL;
    weights->parameters += weight_elements(weight);
    return weight;
}

/* Checkpoints of old transformers versions carry the rotary frequencies as tensors. */
static bool is_known_extra(const char *name)
{
    return strstr(name, "rotary_emb.inv_freq") != NULL;
}

int weights_check_leftovers(struct weights *weights)
{
    const struct checkpoint *checkpoint = weights->checkpoint;
    for (uint32_t i = 0; weights->status == 0 && checkpoint && i < checkpoint->n_tensors; i++) {
        const struct tensor *tensor = &checkpoint->tensors[i];
        if (!tensor->used && !is_known_extra(tensor->name))
            weights->status =
                error_set(weights->error, ERROR_UNSUPPORTED,
                          "%s: tensor %.200s belongs to nothing that this architecture, as config.json "
                          "describes it, computes",
                          tensor->file, tensor->name);
    }
    return weights->status;
}
