/* y = W x with f32 activations, and unpacking a row to f32.
 *
 * The arithmetic of one (row, token): acc[8] = fma(w[8], x[8], acc) over columns ascending, an incomplete
 * last vector filled with zeros; y = sum_lanes(acc). Dense weights of a few tokens are converted in
 * registers; everything else is unpacked to f32 first, four rows at a time, and reused over the tokens. Both
 * give the same w, and so the same bits.
 */
#include "backend/cpu/kernels/avx2/avx2.h"
#include "backend/cpu/kernels/avx2/blocks.h"
#include "backend/cpu/kernels/avx2/scales.h"

enum { TILE_ROWS = 4, TILE_TOKENS = 3, PREFETCH_BYTES = 1024 };

/* ---- unpacking ---- */

static void unpack_dense(const struct weight *weight, const uint8_t *data, float *out)
{
    size_t size = weight->bits / 8;
    for (uint32_t c = 0; c < weight->cols; c += 8) {
        uint32_t n = weight->cols - c < 8 ? weight->cols - c : 8;
        store_first(out + c, n, load_scalars(weight->type, data + c * size, n));
    }
}

static void unpack_mxfp8(const struct weight *weight, size_t row, float *out)
{
    const uint8_t *data = weight->data + row * weight->row_bytes;
    for (uint32_t g = 0; g * weight->group_size < weight->cols; g++) {
        float scale, bias;
        kernels_group_scale(weight, row, g, &scale, &bias);
        for (uint32_t i = 0; i < weight->group_size; i += 8) {
            size_t c = (size_t)g * weight->group_size + i;
            __m256 v = from_e4m3(_mm_loadl_epi64((const __m128i *)(const void *)(data + c)));
            _mm256_storeu_ps(out + c, _mm256_mul_ps(v, _mm256_set1_ps(scale)));
        }
    }
}

/* Codes of a block in natural order. */
ALWAYS_INLINE void store_natural(enum block_kind kind, __m256i a, __m256i b, uint8_t *out)
{
    if (kind == BLOCK_NIBBLES || kind == BLOCK_FP4) {
        __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
        a = _mm256_permute2x128_si256(low, high, 0x20);
        b = _mm256_permute2x128_si256(low, high, 0x31);
    }
    store_32_bytes(out, a);
    store_32_bytes(out + 32, b);
}

/* affine: scale * q + bias. fp4: scale * (u - 12), the 12 taken off while it is an integer. */
ALWAYS_INLINE void unpack_coded(enum block_kind kind, const struct weight *weight, size_t row, float *out)
{
    struct block_tables tables;
    struct row_blocks blocks;
    uint8_t codes[BLOCK];
    float scales[8], biases[8];
    uint32_t groups = weight->cols / weight->group_size, in_group = weight->group_size - 1;
    uint32_t shift = (uint32_t)__builtin_ctz(weight->group_size);
    if (kind == BLOCK_PACKED)
        block_tables_init(&tables, weight->bits);
    row_blocks_init(&blocks, kind, weight->data + row * weight->row_bytes, weight->cols, weight->bits);
    for (uint32_t c = 0; c < weight->cols; c += 8) {
        if (c % BLOCK == 0) {
            __m256i a, b;
            load_block(kind, row_block(&blocks, c / BLOCK), weight->bits, &tables, &a, &b);
            store_natural(kind, a, b, codes);
        }
        uint32_t group = c >> shift;
        if (group % 8 == 0 && (c & in_group) == 0) {
            __m256 scale, bias;
            load_group_scales(weight->format, weight->type, weight, row, group, groups, &scale, &bias);
            _mm256_storeu_ps(scales, scale);
            _mm256_storeu_ps(biases, bias);
        }
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(codes + c % BLOCK));
        __m256 q = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
        __m256 scale = _mm256_broadcast_ss(scales + group % 8), w;
        if (kind == BLOCK_FP4)
            w = _mm256_mul_ps(scale, _mm256_sub_ps(q, _mm256_set1_ps(12.0f)));
        else
            w = _mm256_fmadd_ps(scale, q, _mm256_broadcast_ss(biases + group % 8));
        _mm256_storeu_ps(out + c, w);
    }
}

void avx2_unpack_row(const struct weight *weight, uint32_t expert, uint32_t row, float *out)
{
    size_t at = (size_t)expert * weight->rows + row;
    if (weight->format == WEIGHT_DENSE) {
        unpack_dense(weight, weight->data + at * weight->row_bytes, out);
        return;
    }
    if (weight->format == WEIGHT_MXFP8) {
        unpack_mxfp8(weight, at, out);
        return;
    }
    switch (block_kind_of(weight)) {
    case BLOCK_NIBBLES:
        unpack_coded(BLOCK_NIBBLES, weight, at, out);
        return;
    case BLOCK_FP4:
        unpack_coded(BLOCK_FP4, weight, at, out);
        return;
    case BLOCK_PACKED:
        unpack_coded(BLOCK_PACKED, weight, at, out);
        return;
    default:
        unpack_coded(BLOCK_BYTES, weight, at, out);
    }
}

/* ---- products ---- */

struct rows_f32 {
    const uint8_t *data; /* first row */
    size_t stride;       /* bytes */
    uint32_t cols;
    const float *x; /* first token */
    size_t x_stride;
    float *out; /* first row of the first token */
    size_t out_stride;
};

ALWAYS_INLINE size_t element_bytes(enum scalar_type type)
{
    return type == SCALAR_F32 ? 4 : 2;
}

/* Adds columns c .. c + n - 1, n <= 8. */
ALWAYS_INLINE void add_columns(enum scalar_type type, uint32_t n_rows, uint32_t n_tokens,
                               const struct rows_f32 *o, uint32_t c, uint32_t n,
                               __m256 acc[TILE_ROWS][TILE_TOKENS])
{
    __m256 x[TILE_TOKENS];
#pragma GCC unroll 3
    for (uint32_t t = 0; t < n_tokens; t++)
        x[t] = load_first(o->x + t * o->x_stride + c, n);
#pragma GCC unroll 4
    for (uint32_t r = 0; r < n_rows; r++) {
        const uint8_t *at = o->data + r * o->stride + c * element_bytes(type);
        _mm_prefetch((const char *)at + PREFETCH_BYTES, _MM_HINT_T0);
        __m256 w = load_scalars(type, at, n);
#pragma GCC unroll 3
        for (uint32_t t = 0; t < n_tokens; t++)
            acc[r][t] = _mm256_fmadd_ps(w, x[t], acc[r][t]);
    }
}

ALWAYS_INLINE void multiply(enum scalar_type type, uint32_t n_rows, uint32_t n_tokens,
                            const struct rows_f32 *o)
{
    __m256 acc[TILE_ROWS][TILE_TOKENS];
    uint32_t c = 0;
#pragma GCC unroll 4
    for (uint32_t r = 0; r < n_rows; r++)
#pragma GCC unroll 3
        for (uint32_t t = 0; t < n_tokens; t++)
            acc[r][t] = _mm256_setzero_ps();
    for (; c + 8 <= o->cols; c += 8)
        add_columns(type, n_rows, n_tokens, o, c, 8, acc);
    if (c < o->cols)
        add_columns(type, n_rows, n_tokens, o, c, o->cols - c, acc);
#pragma GCC unroll 4
    for (uint32_t r = 0; r < n_rows; r++)
#pragma GCC unroll 3
        for (uint32_t t = 0; t < n_tokens; t++)
            o->out[t * o->out_stride + r] = sum_lanes(acc[r][t]);
}

ALWAYS_INLINE void multiply_type(enum scalar_type type, uint32_t n_rows, uint32_t n_tokens,
                                 const struct rows_f32 *o)
{
    if (n_rows == TILE_ROWS && n_tokens == 3)
        multiply(type, TILE_ROWS, 3, o);
    else if (n_rows == TILE_ROWS && n_tokens == 2)
        multiply(type, TILE_ROWS, 2, o);
    else if (n_rows == TILE_ROWS)
        multiply(type, TILE_ROWS, 1, o);
    else
        for (uint32_t r = 0; r < n_rows; r++)
            for (uint32_t t = 0; t < n_tokens; t++) {
                struct rows_f32 one = *o;
                one.data += r * o->stride;
                one.x += t * o->x_stride;
                one.out += t * o->out_stride + r;
                multiply(type, 1, 1, &one);
            }
}

static void multiply_rows(enum scalar_type type, uint32_t n_rows, uint32_t n_tokens, const struct rows_f32 *o)
{
    if (type == SCALAR_F32)
        multiply_type(SCALAR_F32, n_rows, n_tokens, o);
    else if (type == SCALAR_F16)
        multiply_type(SCALAR_F16, n_rows, n_tokens, o);
    else
        multiply_type(SCALAR_BF16, n_rows, n_tokens, o);
}

size_t avx2_f32_scratch_bytes(uint32_t cols)
{
    return (size_t)TILE_ROWS * cols * sizeof(float);
}

static void avx2_linear_f32(const struct weight *weight, uint32_t expert, uint32_t row_begin,
                            uint32_t row_end, const float *x, size_t x_stride, uint32_t n_tokens, float *out,
                            size_t out_stride, void *scratch)
{
    bool in_place = weight->format == WEIGHT_DENSE && (n_tokens <= TILE_TOKENS || weight->type == SCALAR_F32);
    enum scalar_type type = in_place ? weight->type : SCALAR_F32;
    float *unpacked = scratch;
    for (uint32_t first = row_begin; first < row_end; first += TILE_ROWS) {
        uint32_t n_rows = row_end - first < TILE_ROWS ? row_end - first : TILE_ROWS;
        struct rows_f32 o = {.cols = weight->cols, .x_stride = x_stride, .out_stride = out_stride};
        if (in_place) {
            o.data = weight->data + ((size_t)expert * weight->rows + first) * weight->row_bytes;
            o.stride = weight->row_bytes;
        } else {
            for (uint32_t r = 0; r < n_rows; r++)
                avx2_unpack_row(weight, expert, first + r, unpacked + (size_t)r * weight->cols);
            o.data = scratch;
            o.stride = (size_t)weight->cols * sizeof(float);
        }
        for (uint32_t t = 0; t < n_tokens; t += TILE_TOKENS) {
            o.x = x + t * x_stride;
            o.out = out + t * out_stride + first;
            multiply_rows(type, n_rows, n_tokens - t < TILE_TOKENS ? n_tokens - t : TILE_TOKENS, &o);
        }
    }
}

void avx2_linear_f32_init(struct kernels *kernels)
{
    kernels->linear_f32 = avx2_linear_f32;
    kernels->unpack_row = avx2_unpack_row;
}
