#include "backend/mlx/tensors.h"

#include <cstring>
#include <stdexcept>

namespace llmind
{

namespace
{

mx::Dtype dtype_of(enum scalar_type type)
{
    switch (type) {
    case SCALAR_F32:
        return mx::float32;
    case SCALAR_F16:
        return mx::float16;
    case SCALAR_BF16:
        return mx::bfloat16;
    case SCALAR_U8:
        return mx::uint8;
    default:
        return mx::uint32;
    }
}

/* MLX's constructor shares the bytes or copies them; what is not aligned for its type is copied to where it
 * is. */
mx::array wrap(const uint8_t *bytes, mx::Shape shape, mx::Dtype type)
{
    size_t size = mx::size_of(type);
    for (auto n : shape)
        size *= static_cast<size_t>(n);
    if (reinterpret_cast<uintptr_t>(bytes) % mx::size_of(type) == 0)
        return mx::array(const_cast<uint8_t *>(bytes), std::move(shape), type, [](void *) {});
    auto *aligned = static_cast<uint8_t *>(std::malloc(size ? size : 1));
    if (!aligned)
        throw std::bad_alloc();
    std::memcpy(aligned, bytes, size);
    return mx::array(aligned, std::move(shape), type, [](void *p) { std::free(p); });
}

mx::Shape stacked(const struct weight &weight, uint32_t rows, uint32_t cols)
{
    mx::Shape shape;
    if (weight.n_experts > 1)
        shape.push_back(static_cast<int>(weight.n_experts));
    shape.push_back(static_cast<int>(rows));
    shape.push_back(static_cast<int>(cols));
    return shape;
}

const char *mode_of(enum weight_format format)
{
    switch (format) {
    case WEIGHT_DENSE:
        return "";
    case WEIGHT_AFFINE:
        return "affine";
    case WEIGHT_MXFP4:
        return "mxfp4";
    case WEIGHT_MXFP8:
        return "mxfp8";
    default:
        return "nvfp4";
    }
}

const struct weight *weight_of(const struct plan_op &op)
{
    switch (op.kind) {
    case PLAN_EMBED:
        return op.embed.weight;
    case PLAN_LINEAR:
        return op.linear.weight;
    case PLAN_EXPERTS:
        return op.experts.gate;
    default:
        return nullptr;
    }
}

} // namespace

mx::Dtype compute_type(const struct plan &plan, bool precise)
{
    if (precise)
        return mx::float32;
    for (uint32_t i = 0; i < plan.n_ops; i++) {
        const struct weight *weight = weight_of(plan.ops[i]);
        if (weight && (weight->format == WEIGHT_AFFINE || weight->format == WEIGHT_DENSE))
            return dtype_of(weight->type);
    }
    return mx::bfloat16; /* what MLX dequantizes mxfp4, mxfp8 and nvfp4 to */
}

Matrix matrix_of(const struct weight &weight, mx::Dtype type)
{
    Matrix matrix{.data = mx::array(0),
                  .scales = std::nullopt,
                  .biases = std::nullopt,
                  .tensor_scales = std::nullopt,
                  .group_size = static_cast<int>(weight.group_size),
                  .bits = static_cast<int>(weight.bits),
                  .mode = mode_of(weight.format)};
    if (weight.format == WEIGHT_DENSE) {
        matrix.data = mx::astype(
            wrap(weight.data, stacked(weight, weight.rows, weight.cols), dtype_of(weight.type)), type);
        return matrix;
    }
    if (weight.row_bytes % sizeof(uint32_t))
        throw std::invalid_argument(std::string(weight.name) + ": rows are no whole 32-bit words");
    auto words = static_cast<uint32_t>(weight.row_bytes / sizeof(uint32_t));
    matrix.data = wrap(weight.data, stacked(weight, weight.rows, words), mx::uint32);
    mx::Shape groups = stacked(weight, weight.rows, weight.cols / weight.group_size);
    if (weight.format == WEIGHT_AFFINE) {
        matrix.scales = mx::astype(wrap(weight.scales, groups, dtype_of(weight.type)), type);
        matrix.biases = mx::astype(wrap(weight.biases, groups, dtype_of(weight.type)), type);
    } else {
        matrix.scales = wrap(weight.scales, groups, mx::uint8);
    }
    if (weight.tensor_scales)
        matrix.tensor_scales =
            mx::array(weight.tensor_scales, {static_cast<int>(weight.n_experts)}, mx::float32);
    return matrix;
}

mx::array vector_of(const float *values, mx::Shape shape, mx::Dtype type)
{
    return mx::astype(mx::array(values, std::move(shape), mx::float32), type);
}

size_t matrix_bytes(const Matrix &matrix)
{
    return matrix.data.nbytes() + (matrix.scales ? matrix.scales->nbytes() : 0) +
           (matrix.biases ? matrix.biases->nbytes() : 0);
}

mx::array product(const mx::array &x, const Matrix &matrix)
{
    if (matrix.mode.empty())
        return mx::matmul(x, mx::swapaxes(matrix.data, -1, -2));
    mx::array out = mx::quantized_matmul(x, matrix.data, *matrix.scales, matrix.biases, true,
                                         matrix.group_size, matrix.bits, matrix.mode);
    return matrix.tensor_scales ? mx::astype(mx::multiply(out, *matrix.tensor_scales), x.dtype()) : out;
}

mx::array expert_product(const mx::array &x, const Matrix &matrix, const mx::array &chosen)
{
    if (matrix.mode.empty()) {
        /* MLX has this product on the CPU for f32 only */
        mx::Dtype type = mx::default_device() == mx::Device::cpu ? mx::float32 : x.dtype();
        mx::array experts = mx::astype(mx::swapaxes(matrix.data, -1, -2), type);
        return mx::astype(mx::gather_mm(mx::astype(x, type), experts, std::nullopt, chosen), x.dtype());
    }
    mx::array out = mx::gather_qmm(x, matrix.data, *matrix.scales, matrix.biases, std::nullopt, chosen, true,
                                   matrix.group_size, matrix.bits, matrix.mode);
    if (!matrix.tensor_scales)
        return out;
    mx::array scales = mx::expand_dims(mx::take(*matrix.tensor_scales, chosen, 0), {-1, -2});
    return mx::astype(mx::multiply(out, scales), x.dtype());
}

mx::array rows_of(const Matrix &matrix, const mx::array &numbers, mx::Dtype type)
{
    mx::array data = mx::take(matrix.data, numbers, 0);
    if (matrix.mode.empty())
        return data;
    std::optional<mx::array> biases;
    if (matrix.biases)
        biases = mx::take(*matrix.biases, numbers, 0);
    mx::array rows = mx::dequantize(data, mx::take(*matrix.scales, numbers, 0), biases, matrix.group_size,
                                    matrix.bits, matrix.mode, std::nullopt, type);
    return matrix.tensor_scales ? mx::astype(mx::multiply(rows, *matrix.tensor_scales), type) : rows;
}

} // namespace llmind
