/* The plan's weights as MLX arrays, and the products with them.
 *
 * A matrix lies in MLX as it lies in the file: MLX's packed codes are the same bit string. The bytes are
 * MLX's own copy. Vectors (norms, biases) are f32 in the plan and are held in the type that is computed in.
 */
#ifndef LLMIND_BACKEND_MLX_TENSORS_H
#define LLMIND_BACKEND_MLX_TENSORS_H

#include <cstdint>
#include <optional>
#include <string>

#include <mlx/mlx.h>

extern "C" {
#include "plan/plan.h"
}

namespace llmind
{

namespace mx = mlx::core;

struct Matrix {
    mx::array data; /* [n_experts,] rows, cols or packed columns */
    std::optional<mx::array> scales, biases;
    std::optional<mx::array> tensor_scales; /* [n_experts] f32 */
    int group_size, bits;
    std::string mode; /* of MLX's quantized products; empty: dense */
};

/* The type that MLX computes a model in: that of its scales, or of its dense matrices, as mlx-lm has it. */
mx::Dtype compute_type(const struct plan &plan, bool precise);

/* Scales, biases and dense elements are converted where they have another type. */
Matrix matrix_of(const struct weight &weight, mx::Dtype type);
mx::array vector_of(const float *values, mx::Shape shape, mx::Dtype type);
size_t matrix_bytes(const Matrix &matrix);

/* x [rows, cols] times the transposed matrix: [rows, matrix rows]. */
mx::array product(const mx::array &x, const Matrix &matrix);
/* x [rows, 1 or n_active, 1, cols] times the experts chosen [rows, n_active] u32: [rows, n_active, 1, matrix
 * rows]. */
mx::array expert_product(const mx::array &x, const Matrix &matrix, const mx::array &chosen);
/* Rows of the matrix [n, cols], by their numbers [n] i32. */
mx::array rows_of(const Matrix &matrix, const mx::array &numbers, mx::Dtype type);

} // namespace llmind

#endif
