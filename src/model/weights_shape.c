#include "model/weights_shape.h"

#include <string.h>

#include "model/config.h"

static void make_dense(const struct weights *weights, struct weight *out)
{
    out->format = WEIGHT_DENSE;
    out->type = weights->type;
    out->bits = 8 * (uint32_t)scalar_size(weights->type);
    out->group_size = 0;
    out->row_bytes = (size_t)out->cols * scalar_size(weights->type);
}

/* mlx quantizes every module that its own entry does not exclude and whose columns groups can fill. */
static bool is_coded(const struct weights *weights, const char *module, struct weight *out)
{
    const struct quantization *quantization = weights->quantization;
    enum quantization_choice choice =
        quantization_of(quantization, module, &out->format, &out->bits, &out->group_size);
    if (choice == QUANTIZATION_BY_SHAPE && quantization->present) {
        out->format = quantization->format;
        out->bits = quantization->bits;
        out->group_size = quantization->group_size;
        return out->cols % out->group_size == 0;
    }
    return choice == QUANTIZATION_GIVEN;
}

int weights_shape_matrix(struct weights *weights, const char *module, struct weight *out)
{
    if (!is_coded(weights, module, out)) {
        make_dense(weights, out);
    } else {
        uint64_t row_bits = (uint64_t)out->cols * out->bits;
        if (out->cols % out->group_size || row_bits % 32)
            return weights->status = error_set(
                       weights->error, ERROR_INVALID,
                       "config.json: quantization: %.100s has rows of %u that groups of %u do not fill",
                       module, out->cols, out->group_size);
        out->type = out->format == WEIGHT_AFFINE ? weights->type : SCALAR_U8;
        out->row_bytes = (size_t)(row_bits / 8);
    }
    weights->bytes += weight_bytes(out);
    return 0;
}

float *weights_shape_vectors(struct weights *weights, uint32_t rows, uint32_t length)
{
    uint64_t n = (uint64_t)(rows ? rows : 1) * length;
    if (weights->status)
        return NULL;
    float *zeros = arena_alloc(weights->arena, length, sizeof *zeros);
    if (!zeros)
        weights->status =
            error_memory(weights->error, "a vector", (unsigned long long)length * sizeof *zeros);
    weights->parameters += n;
    weights->bytes += n * scalar_size(weights->type);
    return zeros;
}

static const char *type_name(const json_t *config)
{
    const char *name = json_string_value(json_object_get(config, "torch_dtype"));
    return name ? name : json_string_value(json_object_get(config, "dtype"));
}

enum scalar_type weights_shape_type(const json_t *config)
{
    const char *name = type_name(config);
    if (!name)
        name = type_name(model_config_text(config));
    if (name && strcmp(name, "float16") == 0)
        return SCALAR_F16;
    return name && strcmp(name, "float32") == 0 ? SCALAR_F32 : SCALAR_BF16;
}
