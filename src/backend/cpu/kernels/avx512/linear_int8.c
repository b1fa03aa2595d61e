/* Integer-coded weights times int8 activations: matrix-vector, straight from the file's layout.
 *
 * Sixteen groups make a superblock. Their integer dot products (exact, so in any order) are brought into the
 * 16 lanes of one vector by a tree of pairwise sums, lane = group number modulo 16, and only then become
 * floats: acc[lane] = fma(dot, scale * x.scale, acc[lane]);  acc[lane] = fma(bias, x.sum, acc[lane]) At the
 * end of the row the 16 lanes are added in the fixed order of sum_lanes. tile.c, which takes over for many
 * tokens, walks the groups so that every row makes exactly these additions: the two paths are bit-equal.
 */
#include "backend/cpu/kernels/avx512/avx512.h"

enum { MAX_TOKENS = 4, TILE_FROM = 10, PREFETCH_BYTES = 2048 };

/* In each 128-bit lane: the four sums of that lane of a, b, c and d. */
ALWAYS_INLINE __m512i sum_quads(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* Sums of neighbouring 128-bit lanes: the two of a, then the two of b. */
ALWAYS_INLINE __m512i sum_lane_pairs(__m512i a, __m512i b)
{
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xDD));
}

/* n vectors (2, 4, 8 or 16) whose lanes, read one after another, are 16 runs of n: the sums of the runs. Only
 * shuffles inside 128-bit lanes and of whole lanes, then one permutation: half the cost of pairwise
 * cross-lane sums. */
ALWAYS_INLINE __m512i sum_runs(const __m512i *d, const uint32_t n)
{
    if (n == 16) {
        __m512i low = sum_lane_pairs(sum_quads(d[0], d[1], d[2], d[3]), sum_quads(d[4], d[5], d[6], d[7]));
        __m512i high =
            sum_lane_pairs(sum_quads(d[8], d[9], d[10], d[11]), sum_quads(d[12], d[13], d[14], d[15]));
        return sum_lane_pairs(low, high);
    }
    if (n ==
        8) { /* lanes: runs 0 2 4 6 of the first four vectors, runs 1 3 5 7, and the same of the last four */
        const __m512i order = _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
        __m512i sums = sum_lane_pairs(sum_quads(d[0], d[1], d[2], d[3]), sum_quads(d[4], d[5], d[6], d[7]));
        return _mm512_permutexvar_epi32(order, sums);
    }
    if (n == 4) { /* lane j holds run j of each vector */
        const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        return _mm512_permutexvar_epi32(order, sum_quads(d[0], d[1], d[2], d[3]));
    }
    /* n == 2: lane j holds run 2j of both vectors, then run 2j + 1 of both */
    const __m512i order = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    __m512i low = _mm512_unpacklo_epi32(d[0], d[1]), high = _mm512_unpackhi_epi32(d[0], d[1]);
    __m512i sums = _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
    return _mm512_permutexvar_epi32(order, sums);
}

/* The `unit`-th vector of 16 partial dot products of a superblock that starts at w and x, for each token.
 * bytes: of the row from w on. Weight bytes beyond the row read as zero, and meet activations that are zero
 * there. */
ALWAYS_INLINE void unit_dots(enum unpack unpack, uint32_t group, uint32_t unit, const uint8_t *w,
                             size_t bytes, bool full, const int8_t *const *x, uint32_t n_tokens, __m512i *d,
                             size_t d_stride)
{
    bool nibbles = unpack == UNPACK_NIBBLES || unpack == UNPACK_E2M1;
    uint32_t bits = unpack_bits(unpack);
    uint32_t vectors = !nibbles && group == 128 ? 2 : 1; /* weight loads in one unit */
    size_t load = nibbles ? 64 : 8 * (size_t)bits, step = nibbles ? 128 : 64;
    for (uint32_t t = 0; t < n_tokens; t++)
        d[t * d_stride] = _mm512_setzero_si512();
    for (uint32_t v = 0; v < vectors; v++) {
        size_t vector = (size_t)unit * vectors + v, at = vector * load;
        if (!full && at >= bytes)
            return;
        __mmask64 mask = first_bytes(full || bytes - at > load ? load : bytes - at);
        __m512i q = full && load == 64 ? _mm512_loadu_si512(w + at) : _mm512_maskz_loadu_epi8(mask, w + at);
        if (full)
            _mm_prefetch((const char *)(w + at + PREFETCH_BYTES), _MM_HINT_T0);
        __m512i first = nibbles ? even_nibbles(q, unpack) : unpack_natural(q, bits);
        __m512i second = nibbles ? odd_nibbles(q, unpack) : first;
        for (uint32_t t = 0; t < n_tokens; t++) {
            const int8_t *codes = x[t] + vector * step;
            d[t * d_stride] = _mm512_dpbusd_epi32(d[t * d_stride], first, _mm512_loadu_si512(codes));
            if (nibbles)
                d[t * d_stride] =
                    _mm512_dpbusd_epi32(d[t * d_stride], second, _mm512_loadu_si512(codes + 64));
        }
    }
}

/* Adds the superblock of groups [g, g + 16) of one row to each token's accumulator. */
ALWAYS_INLINE void add_superblock(const struct weight *weight, enum unpack unpack, uint32_t group, size_t row,
                                  uint32_t g, uint32_t n_groups, const struct q8_rows *x, uint32_t token,
                                  uint32_t n_tokens, bool full, __m512 *acc)
{
    bool nibbles = unpack == UNPACK_NIBBLES || unpack == UNPACK_E2M1;
    const uint32_t units = nibbles ? group / 8 : (group == 128 ? 16 : group / 4);
    size_t start = (size_t)g * group / 8 * unpack_bits(unpack);
    const int8_t *codes[MAX_TOKENS];
    __m512i d[MAX_TOKENS * 16];
    for (uint32_t t = 0; t < n_tokens; t++)
        codes[t] = x->codes + (token + t) * x->code_stride + (size_t)g * group;
    for (uint32_t u = 0; u < units; u++)
        unit_dots(unpack, group, u, weight->data + row * weight->row_bytes + start, weight->row_bytes - start,
                  full, codes, n_tokens, d + u, 16);
    __mmask16 mask = full ? (__mmask16)0xFFFF : first_lanes(n_groups - g);
    struct group_scales scales = load_group_scales(weight, unpack != UNPACK_E2M1, row, g, mask);
    for (uint32_t t = 0; t < n_tokens; t++) {
        size_t at = (token + t) * x->group_stride + g;
        __m512 dot = _mm512_cvtepi32_ps(sum_runs(d + (size_t)t * 16, units));
        acc[t] = _mm512_fmadd_ps(dot, _mm512_mul_ps(scales.scale, _mm512_loadu_ps(x->scales + at)), acc[t]);
        acc[t] = _mm512_fmadd_ps(scales.bias, _mm512_loadu_ps(x->sums + at), acc[t]);
    }
}

/* Everything about the format is a constant here, so that each instance is straight code. */
ALWAYS_INLINE void matvec(const struct weight *weight, enum unpack unpack, uint32_t group, size_t first_row,
                          uint32_t row_begin, uint32_t row_end, const struct q8_rows *x, uint32_t token,
                          const uint32_t n_tokens, float *out, size_t out_stride)
{
    uint32_t n_groups = weight->cols / group;
    for (uint32_t r = row_begin; r < row_end; r++) {
        __m512 acc[MAX_TOKENS];
        for (uint32_t t = 0; t < n_tokens; t++)
            acc[t] = _mm512_setzero_ps();
        uint32_t g = 0;
        for (; g + 16 <= n_groups; g += 16)
            add_superblock(weight, unpack, group, first_row + r, g, n_groups, x, token, n_tokens, true, acc);
        if (g < n_groups)
            add_superblock(weight, unpack, group, first_row + r, g, n_groups, x, token, n_tokens, false, acc);
        for (uint32_t t = 0; t < n_tokens; t++)
            out[(token + t) * out_stride + r] = sum_lanes(acc[t]);
    }
}

#define MATVEC_ARGUMENTS                                                                                     \
    const struct weight *weight, size_t first_row, uint32_t row_begin, uint32_t row_end,                     \
        const struct q8_rows *x, uint32_t token, float *out, size_t out_stride

ALWAYS_INLINE void matvec_groups(enum unpack unpack, const uint32_t n_tokens, MATVEC_ARGUMENTS)
{
    switch (weight->group_size) {
    case 16:
        if (unpack == UNPACK_E2M1)
            matvec(weight, unpack, 16, first_row, row_begin, row_end, x, token, n_tokens, out, out_stride);
        break;
    case 32:
        matvec(weight, unpack, 32, first_row, row_begin, row_end, x, token, n_tokens, out, out_stride);
        break;
    case 64:
        if (unpack != UNPACK_E2M1)
            matvec(weight, unpack, 64, first_row, row_begin, row_end, x, token, n_tokens, out, out_stride);
        break;
    case 128:
        if (unpack != UNPACK_E2M1)
            matvec(weight, unpack, 128, first_row, row_begin, row_end, x, token, n_tokens, out, out_stride);
        break;
    default: /* model/quantization.c lets no other group size in */
        break;
    }
}

ALWAYS_INLINE void matvec_formats(enum unpack unpack, const uint32_t n_tokens, MATVEC_ARGUMENTS)
{
    switch (unpack) {
    case UNPACK_NIBBLES:
        matvec_groups(UNPACK_NIBBLES, n_tokens, weight, first_row, row_begin, row_end, x, token, out,
                      out_stride);
        break;
    case UNPACK_E2M1:
        matvec_groups(UNPACK_E2M1, n_tokens, weight, first_row, row_begin, row_end, x, token, out,
                      out_stride);
        break;
    case UNPACK_2:
        matvec_groups(UNPACK_2, n_tokens, weight, first_row, row_begin, row_end, x, token, out, out_stride);
        break;
    case UNPACK_3:
        matvec_groups(UNPACK_3, n_tokens, weight, first_row, row_begin, row_end, x, token, out, out_stride);
        break;
    case UNPACK_5:
        matvec_groups(UNPACK_5, n_tokens, weight, first_row, row_begin, row_end, x, token, out, out_stride);
        break;
    case UNPACK_6:
        matvec_groups(UNPACK_6, n_tokens, weight, first_row, row_begin, row_end, x, token, out, out_stride);
        break;
    case UNPACK_8:
        matvec_groups(UNPACK_8, n_tokens, weight, first_row, row_begin, row_end, x, token, out, out_stride);
        break;
    }
}

static void matvec_1(enum unpack unpack, MATVEC_ARGUMENTS)
{
    matvec_formats(unpack, 1, weight, first_row, row_begin, row_end, x, token, out, out_stride);
}

static void matvec_2(enum unpack unpack, MATVEC_ARGUMENTS)
{
    matvec_formats(unpack, 2, weight, first_row, row_begin, row_end, x, token, out, out_stride);
}

static void matvec_4(enum unpack unpack, MATVEC_ARGUMENTS)
{
    matvec_formats(unpack, 4, weight, first_row, row_begin, row_end, x, token, out, out_stride);
}

enum unpack avx512_unpack_kind(const struct weight *weight)
{
    if (weight->format != WEIGHT_AFFINE)
        return UNPACK_E2M1;
    switch (weight->bits) {
    case 2:
        return UNPACK_2;
    case 3:
        return UNPACK_3;
    case 5:
        return UNPACK_5;
    case 6:
        return UNPACK_6;
    case 8:
        return UNPACK_8;
    default:
        return UNPACK_NIBBLES;
    }
}

void avx512_linear_int8(const struct weight *weight, uint32_t expert, uint32_t row_begin, uint32_t row_end,
                        const struct q8_rows *x, uint32_t n_tokens, float *out, size_t out_stride,
                        void *scratch)
{
    enum unpack unpack = avx512_unpack_kind(weight);
    size_t first_row = (size_t)expert * weight->rows;
    if (n_tokens >= TILE_FROM) {
        avx512_linear_tile(weight, unpack, first_row, row_begin, row_end, x, n_tokens, out, out_stride,
                           scratch);
        return;
    }
    /* Few tokens: unpacking a tile costs more than it saves. The rows of a call stay in the cache between the
     * passes. */
    uint32_t token = 0;
    for (; token + MAX_TOKENS <= n_tokens; token += MAX_TOKENS)
        matvec_4(unpack, weight, first_row, row_begin, row_end, x, token, out, out_stride);
    for (; token + 2 <= n_tokens; token += 2)
        matvec_2(unpack, weight, first_row, row_begin, row_end, x, token, out, out_stride);
    if (token < n_tokens)
        matvec_1(unpack, weight, first_row, row_begin, row_end, x, token, out, out_stride);
}
