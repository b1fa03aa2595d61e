/* Which formats there are, and that every tensor of every shape is filled as its format says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/float16.h"
#include "synth/fill.h"
#include "synth/format.h"
#include "synth/tensor.h"

static void formats_are_checked(void **state)
{
    (void)state;
    struct synth_format format;
    struct error error;
    assert_int_equal(synth_format_parse(NULL, 0, 0, &format, &error), 0);
    assert_int_equal(format.mode, SYNTH_AFFINE);
    assert_int_equal(format.bits, 4);
    assert_int_equal(format.group_size, 64);
    assert_int_equal(synth_format_parse("nvfp4", 0, 0, &format, &error), 0);
    assert_int_equal(format.group_size, 16);
    assert_int_equal(synth_format_parse(NULL, 16, 0, &format, &error), 0);
    assert_int_equal(format.mode, SYNTH_DENSE);
    assert_int_equal(synth_format_parse(NULL, 7, 0, &format, &error), ERROR_INVALID);
    assert_int_equal(synth_format_parse(NULL, 4, 48, &format, &error), ERROR_INVALID);
    assert_int_equal(synth_format_parse("mxfp4", 8, 0, &format, &error), ERROR_INVALID);
    assert_int_equal(synth_format_parse("q4_k", 0, 0, &format, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "nvfp4"));
}

static const struct synth_tensor *find(const struct synth_tensors *tensors, const char *name)
{
    for (uint32_t i = 0; i < tensors->count; i++)
        if (strcmp(tensors->items[i].name, name) == 0)
            return &tensors->items[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static uint8_t *filled(const struct synth_tensor *tensor)
{
    uint8_t *bytes = malloc(tensor->rows * tensor->row_bytes);
    assert_non_null(bytes);
    synth_fill(tensor, 0, tensor->rows, bytes);
    return bytes;
}

static float bf16_at(const uint8_t *bytes, size_t i)
{
    uint16_t half;
    memcpy(&half, bytes + 2 * i, 2);
    return float_from_bf16(half);
}

static uint32_t code_at(const uint8_t *row, uint32_t i, uint32_t bits)
{
    uint32_t code = 0;
    for (uint32_t b = 0; b < bits; b++)
        code |= (uint32_t)(row[(i * bits + b) / 8] >> ((i * bits + b) % 8) & 1) << b;
    return code;
}

/* One weight of a matrix of a quantized model, read back by the definition of its format. */
static float weight_at(const struct synth_tensor *tensor, const uint8_t *codes, const uint8_t *scales,
                       const uint8_t *biases, uint32_t row, uint32_t col)
{
    const struct synth_format *format = &tensor->format;
    uint32_t code = code_at(codes + row * tensor->row_bytes, col, format->bits);
    size_t group = row * (tensor->cols / format->group_size) + col / format->group_size;
    switch (format->mode) {
    case SYNTH_MXFP4:
        return (float)e2m1_twice((uint8_t)code) / 2 * float_from_e8m0(scales[group]);
    case SYNTH_MXFP8:
        return float_from_e4m3((uint8_t)code) * float_from_e8m0(scales[group]);
    case SYNTH_NVFP4:
        return (float)e2m1_twice((uint8_t)code) / 2 * float_from_e4m3(scales[group]);
    default:
        return (float)code * bf16_at(scales, group) + bf16_at(biases, group);
    }
}

struct matrix {
    const struct synth_tensor *codes;
    uint8_t *code_bytes, *scale_bytes, *bias_bytes;
};

static struct matrix open_matrix(const struct synth_tensors *tensors, const char *name, enum synth_mode mode)
{
    char part[128];
    struct matrix matrix = {0};
    snprintf(part, sizeof part, "%s.weight", name);
    matrix.codes = find(tensors, part);
    matrix.code_bytes = filled(matrix.codes);
    snprintf(part, sizeof part, "%s.scales", name);
    matrix.scale_bytes = filled(find(tensors, part));
    if (mode == SYNTH_AFFINE) {
        snprintf(part, sizeof part, "%s.biases", name);
        matrix.bias_bytes = filled(find(tensors, part));
    }
    return matrix;
}

static void close_matrix(struct matrix *matrix)
{
    free(matrix->code_bytes);
    free(matrix->scale_bytes);
    free(matrix->bias_bytes);
}

static const struct {
    const char *mode;
    uint32_t bits, group_size;
} formats[] = {{"affine", 2, 64}, {"affine", 3, 32}, {"affine", 4, 64}, {"affine", 5, 128}, {"affine", 6, 64},
               {"affine", 8, 32}, {"mxfp4", 0, 0},   {"mxfp8", 0, 0},   {"nvfp4", 0, 0}};

/* The weights have the standard deviation that the tensor asks for, and no mean: what keeps activations sane.
 */
static void weights_have_their_spread(void **state)
{
    (void)state;
    struct synth_shape shape;
    assert_int_equal(synth_shape_find("tiny-llama", &shape, NULL), 0);
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        struct synth_format format;
        struct synth_tensors tensors;
        assert_int_equal(
            synth_format_parse(formats[f].mode, formats[f].bits, formats[f].group_size, &format, NULL), 0);
        assert_int_equal(synth_tensors_list(&tensors, &shape, &format, 1, false, NULL), 0);
        struct matrix matrix = open_matrix(&tensors, "model.layers.1.mlp.down_proj", format.mode);
        double sum = 0, squares = 0, n = 0;
        for (uint32_t row = 0; row < matrix.codes->rows; row++)
            for (uint32_t col = 0; col < matrix.codes->cols; col++, n++) {
                float weight = weight_at(matrix.codes, matrix.code_bytes, matrix.scale_bytes,
                                         matrix.bias_bytes, row, col);
                assert_true(isfinite(weight));
                sum += (double)weight;
                squares += (double)weight * (double)weight;
            }
        double std = sqrt(squares / n), wanted = (double)matrix.codes->std;
        assert_true(fabs(sum / n) < 0.02 * wanted);
        assert_true(std > 0.95 * wanted && std < 1.05 * wanted);
        close_matrix(&matrix);
        synth_tensors_free(&tensors);
    }
}

/* Rows may be written in any order and pieces: the bytes are the same. */
static void rows_are_independent(void **state)
{
    (void)state;
    struct synth_shape shape;
    struct synth_format format;
    struct synth_tensors tensors;
    assert_int_equal(synth_shape_find("tiny-qwen3-moe", &shape, NULL), 0);
    assert_int_equal(synth_format_parse(NULL, 3, 32, &format, NULL), 0);
    assert_int_equal(synth_tensors_list(&tensors, &shape, &format, 7, true, NULL), 0);
    for (uint32_t i = 0; i < tensors.count; i++) {
        const struct synth_tensor *tensor = &tensors.items[i];
        uint8_t *whole = filled(tensor), *one = malloc(tensor->row_bytes);
        for (uint64_t row = tensor->rows; row-- > 0;) {
            synth_fill(tensor, row, 1, one);
            assert_memory_equal(one, whole + row * tensor->row_bytes, tensor->row_bytes);
        }
        free(one);
        free(whole);
    }
    synth_tensors_free(&tensors);
}

/* Planted numbers come back at their size, in every format, and the rest of their group is zero. */
static void outliers_are_planted(void **state)
{
    (void)state;
    struct synth_shape shape;
    assert_int_equal(synth_shape_find("tiny-llama", &shape, NULL), 0);
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        struct synth_format format;
        struct synth_tensors tensors;
        assert_int_equal(
            synth_format_parse(formats[f].mode, formats[f].bits, formats[f].group_size, &format, NULL), 0);
        assert_int_equal(synth_tensors_list(&tensors, &shape, &format, 1, true, NULL), 0);
        const struct synth_outliers *outliers = &tensors.outliers;
        struct matrix matrix = open_matrix(&tensors, "model.embed_tokens", format.mode);
        const struct outlier_channel *planted[] = {&outliers->channels[0], &outliers->massive[0]};
        for (int i = 0; i < 2; i++) {
            uint32_t row = outliers->tokens[0], channel = planted[i]->channel;
            float weight = weight_at(matrix.codes, matrix.code_bytes, matrix.scale_bytes, matrix.bias_bytes,
                                     row, channel);
            /* e2m1 has nothing between 4 and 6 */
            assert_true(fabsf(weight - planted[i]->value) <= 0.21f * fabsf(planted[i]->value));
            assert_true(fabsf(weight) >= 80 * matrix.codes->std);
            uint32_t neighbour = channel ^ 1;
            weight = weight_at(matrix.codes, matrix.code_bytes, matrix.scale_bytes, matrix.bias_bytes, row,
                               neighbour);
            assert_true(weight == 0);
        }
        float ordinary = weight_at(matrix.codes, matrix.code_bytes, matrix.scale_bytes, matrix.bias_bytes,
                                   300, outliers->massive[0].channel);
        assert_true(fabsf(ordinary) < 10 * matrix.codes->std);
        close_matrix(&matrix);
        synth_tensors_free(&tensors);
    }
}

/* Published parameter counts (model cards), embeddings counted once. */
static void shapes_have_the_published_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double billions;
    } published[] = {{"llama-3.2-1b", 1.236},  {"llama-3.2-3b", 3.213}, {"llama-3.1-8b", 8.030},
                     {"llama-3.1-70b", 70.55}, {"mistral-7b", 7.242},   {"qwen2.5-0.5b", 0.494},
                     {"qwen2.5-7b", 7.616},    {"qwen3-0.6b", 0.596},   {"qwen3-1.7b", 1.721},
                     {"qwen3-4b", 4.022},      {"qwen3-8b", 8.191},     {"qwen3-30b-a3b", 30.53}};
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        struct synth_shape shape;
        struct synth_format format;
        struct synth_tensors tensors;
        assert_int_equal(synth_shape_find(published[i].name, &shape, NULL), 0);
        assert_int_equal(synth_format_parse(NULL, 4, 64, &format, NULL), 0);
        assert_int_equal(synth_tensors_list(&tensors, &shape, &format, 0, false, NULL), 0);
        double billions = (double)tensors.parameters * 1e-9;
        assert_true(fabs(billions - published[i].billions) < 0.002 * published[i].billions);
        synth_tensors_free(&tensors);
    }
}

static void groups_must_divide_rows(void **state)
{
    (void)state;
    struct synth_shape shape;
    struct synth_format format;
    struct synth_tensors tensors;
    struct error error;
    assert_int_equal(synth_shape_find("tiny-llama", &shape, NULL), 0);
    assert_int_equal(synth_format_parse(NULL, 4, 128, &format, NULL), 0);
    shape.hidden = 320;
    assert_int_equal(synth_tensors_list(&tensors, &shape, &format, 0, false, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "--group-size"));
    synth_tensors_free(&tensors);
    assert_int_equal(synth_shape_find("llama-5", &shape, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "llama-3.2-1b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_checked),     cmocka_unit_test(weights_have_their_spread),
        cmocka_unit_test(rows_are_independent),    cmocka_unit_test(outliers_are_planted),
        cmocka_unit_test(groups_must_divide_rows), cmocka_unit_test(shapes_have_the_published_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
