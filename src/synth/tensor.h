/* The tensors of a model, in the order of the files: what each is called, how large it is, and what noise
 * fills it. */
#ifndef LLMIND_SYNTH_TENSOR_H
#define LLMIND_SYNTH_TENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "synth/format.h"
#include "synth/outliers.h"
#include "synth/shape.h"

enum synth_fill {
    FILL_CODES,  /* packed codes of a quantized matrix */
    FILL_SCALES, /* its scales: bf16, or a byte in the mx and nv formats */
    FILL_BIASES, /* its biases (affine), bf16 */
    FILL_DENSE,  /* a bf16 matrix */
    FILL_VECTOR  /* a bf16 vector: norm weights, or the bias of a linear layer */
};

/* Which channels of a vector depend on the planted outliers. */
enum synth_norm { NORM_NONE, NORM_RESIDUAL, NORM_LAST };

struct synth_tensor {
    char name[96];
    const char *dtype; /* of safetensors: "U32", "U8", "BF16" */
    uint32_t n_dims;
    uint64_t dims[3];
    uint64_t rows, row_bytes; /* rows * row_bytes = its bytes; a vector is one row */
    enum synth_fill fill;
    struct synth_format format; /* of the matrix it is part of */
    uint64_t stream;            /* random stream of that matrix, shared by codes, scales and biases */
    uint32_t cols;              /* numbers in a row, unpacked */
    float std;                  /* of the numbers of a matrix; half the width of a vector's */
    float mean;                 /* of a vector */
    uint32_t matrix_rows;       /* of one expert */
    uint32_t loud_row;          /* this row of every expert ... */
    float loud;                 /* ... is this many times larger; 1 = none */
    enum synth_norm norm;
    float residual_std;                    /* of what the norm is applied to */
    const struct synth_outliers *outliers; /* of the embedding table and residual norms, or NULL */
};

struct synth_tensors {
    struct synth_tensor *items;
    uint32_t count, capacity;
    uint64_t parameters, bytes;
    struct synth_outliers outliers; /* what the tensors point to when there are any */
};

/* Lists the tensors. ERROR_INVALID when a group size does not divide the shape. Free with synth_tensors_free,
 * in every case. */
int synth_tensors_list(struct synth_tensors *tensors, const struct synth_shape *shape,
                       const struct synth_format *format, uint64_t seed, bool outliers, struct error *error);
void synth_tensors_free(struct synth_tensors *tensors);

#endif
