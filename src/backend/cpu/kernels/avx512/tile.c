/* Integer-coded weights times int8 activations of many tokens.
 *
 * Up to 64 weight rows are unpacked once into scratch, 16 rows to a vector: for each group its codes as
 * [quad][16 rows][4] and its scales and biases as [16 rows]. Then blocks of tokens run over them; a vector of
 * codes meets a broadcast quad of a token's activations, so that a lane is a weight row and no horizontal sum
 * is needed.
 *
 * To be bit-equal with linear_int8.c the groups are walked class by class, class = group modulo 16: a class
 * is what one lane accumulates there, in the same order. Its tree over lanes, (i, i + 8), (i, i + 4) ...,
 * becomes a walk over the classes in bit-reversed order with a small stack: each finished class is added to
 * its equals like a binary counter.
 */
#include "backend/cpu/kernels/avx512/avx512.h"

enum { LANES = 16, MAX_VECTORS = 4, BLOCK_TOKENS = 6, CLASSES = 16, STACK = 5, MAX_TILE_CODES = 512 * 1024 };

/* One group of 16 rows in scratch: codes, then scales, then biases. */
static size_t group_codes_bytes(uint32_t group)
{
    return (size_t)group * LANES;
}

struct tile_layout {
    uint32_t n_groups, group;
    size_t vector_bytes; /* one 16-row vector of rows: all its groups' codes */
    uint8_t *codes;      /* [vectors][n_groups][group / 4][16][4] */
    float *scales;       /* [vectors][n_groups][2][16] */
};

static size_t padded(uint32_t cols)
{
    return ((size_t)cols + AVX512_PAIR_BLOCK - 1) / AVX512_PAIR_BLOCK * AVX512_PAIR_BLOCK;
}

static uint32_t tile_vectors(uint32_t cols)
{
    size_t fit = MAX_TILE_CODES / (padded(cols) * LANES);
    return fit >= MAX_VECTORS ? MAX_VECTORS : (fit >= 2 ? 2 : 1);
}

size_t avx512_tile_scratch_bytes(uint32_t cols)
{
    size_t codes = padded(cols) * LANES, scales = (size_t)(cols / 16 + 1) * 2 * LANES * sizeof(float);
    return (codes + scales) * tile_vectors(cols) + 128;
}

static struct tile_layout layout_tile(const struct weight *weight, void *scratch)
{
    struct tile_layout tile = {.n_groups = weight->cols / weight->group_size, .group = weight->group_size};
    tile.vector_bytes = tile.n_groups * group_codes_bytes(tile.group);
    tile.codes = (uint8_t *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    tile.scales = (float *)(void *)(tile.codes + tile.vector_bytes * tile_vectors(weight->cols));
    return tile;
}

/* Stores a 64-code vector of 16 rows, transposed to quads, where its groups want them. first: the vector's
 * first element within the row in natural order; for nibbles of its 128-element block, half says even or odd.
 */
static void place_quads(const struct tile_layout *tile, uint8_t *codes, __m512i v[16], bool nibbles,
                        size_t first, uint32_t half)
{
    transpose_16x16(v);
    uint32_t span = nibbles ? 8 : 4; /* elements of the row that one quad stands for */
    for (uint32_t q = 0; q < 16; q++) {
        size_t element = first + (size_t)q * span, g = element / tile->group;
        if (g >= tile->n_groups)
            return;
        size_t quad = element % tile->group / span + (half ? tile->group / 8 : 0);
        _mm512_store_si512(codes + g * group_codes_bytes(tile->group) + quad * 64, v[q]);
    }
}

ALWAYS_INLINE void unpack_codes(const struct weight *weight, enum unpack unpack, const size_t rows[16],
                                const struct tile_layout *tile, uint8_t *codes)
{
    bool nibbles = unpack == UNPACK_NIBBLES || unpack == UNPACK_E2M1;
    uint32_t bits = unpack_bits(unpack);
    size_t load = nibbles ? 64 : 8 * (size_t)bits, span = nibbles ? AVX512_PAIR_BLOCK : 64;
    for (size_t at = 0, first = 0; at < weight->row_bytes; at += load, first += span) {
        size_t left = weight->row_bytes - at;
        __mmask64 mask = first_bytes(left < load ? left : load);
        __m512i a[16], b[16];
        for (int r = 0; r < 16; r++) {
            __m512i q = _mm512_maskz_loadu_epi8(mask, weight->data + rows[r] * weight->row_bytes + at);
            a[r] = nibbles ? even_nibbles(q, unpack) : unpack_natural(q, bits);
            b[r] = nibbles ? odd_nibbles(q, unpack) : a[r];
        }
        place_quads(tile, codes, a, nibbles, first, 0);
        if (nibbles)
            place_quads(tile, codes, b, true, first, 1);
    }
}

static void unpack_scales(const struct weight *weight, const size_t rows[16], const struct tile_layout *tile,
                          float *scales)
{
    bool affine = weight->format == WEIGHT_AFFINE;
    for (uint32_t g = 0; g < tile->n_groups; g += 16) {
        uint32_t n = tile->n_groups - g < 16 ? tile->n_groups - g : 16;
        __m512i scale[16], bias[16];
        for (int r = 0; r < 16; r++) {
            struct group_scales loaded = load_group_scales(weight, affine, rows[r], g, first_lanes(n));
            scale[r] = _mm512_castps_si512(loaded.scale);
            bias[r] = _mm512_castps_si512(loaded.bias);
        }
        transpose_16x16(scale);
        transpose_16x16(bias);
        for (uint32_t i = 0; i < n; i++) {
            _mm512_storeu_si512(scales + (size_t)(g + i) * 2 * LANES, scale[i]);
            _mm512_storeu_si512(scales + (size_t)(g + i) * 2 * LANES + LANES, bias[i]);
        }
    }
}

/* Unpacks rows [row, row + 16) (the last one repeated beyond row_end) into vector slot `vector`. */
static void unpack_vector(const struct weight *weight, enum unpack unpack, size_t first_row, uint32_t row,
                          uint32_t row_end, const struct tile_layout *tile, uint32_t vector)
{
    size_t rows[16];
    for (uint32_t r = 0; r < 16; r++)
        rows[r] = first_row + (row + r < row_end ? row + r : row_end - 1);
    uint8_t *codes = tile->codes + vector * tile->vector_bytes;
    switch (unpack) {
    case UNPACK_NIBBLES:
        unpack_codes(weight, UNPACK_NIBBLES, rows, tile, codes);
        break;
    case UNPACK_E2M1:
        unpack_codes(weight, UNPACK_E2M1, rows, tile, codes);
        break;
    default:
        unpack_codes(weight, unpack, rows, tile, codes);
        break;
    }
    unpack_scales(weight, rows, tile, tile->scales + (size_t)vector * tile->n_groups * 2 * LANES);
}

/* Activations of one block of tokens. */
struct tile_input {
    const int8_t *codes[BLOCK_TOKENS];
    const float *scales[BLOCK_TOKENS], *sums[BLOCK_TOKENS];
};

ALWAYS_INLINE __m512i broadcast_quad(const int8_t *codes)
{
    int32_t quad;
    __builtin_memcpy(&quad, codes, sizeof quad);
    return _mm512_set1_epi32(quad);
}

/* Byte offset of the quads of group g in a token's codes; in PAIRS order the odd half lies 64 bytes further
 * on. */
ALWAYS_INLINE size_t group_offset(uint32_t g, uint32_t group, bool nibbles)
{
    size_t first = (size_t)g * group;
    return nibbles ? first / AVX512_PAIR_BLOCK * AVX512_PAIR_BLOCK + first % AVX512_PAIR_BLOCK / 2 : first;
}

/* acc += group g, for NV vectors of 16 rows and NT tokens. */
ALWAYS_INLINE void add_group(const struct tile_layout *tile, uint32_t vector, const uint32_t NV,
                             const uint32_t NT, bool nibbles, uint32_t g, const struct tile_input *x,
                             __m512 *acc)
{
    __m512i d[2 * BLOCK_TOKENS];
    for (uint32_t i = 0; i < NV * NT; i++)
        d[i] = _mm512_setzero_si512();
    const uint8_t *codes = tile->codes + vector * tile->vector_bytes + g * group_codes_bytes(tile->group);
    size_t offset = group_offset(g, tile->group, nibbles);
    uint32_t halves = nibbles ? 2 : 1, quads = tile->group / 4 / halves;
    for (uint32_t half = 0; half < halves; half++, offset += 64) {
        for (uint32_t q = 0; q < quads; q++, codes += 64) {
            __m512i w[2];
            for (uint32_t v = 0; v < NV; v++)
                w[v] = _mm512_load_si512(codes + v * tile->vector_bytes);
            for (uint32_t t = 0; t < NT; t++) {
                __m512i quad = broadcast_quad(x->codes[t] + offset + (size_t)q * 4);
                for (uint32_t v = 0; v < NV; v++)
                    d[v * NT + t] = _mm512_dpbusd_epi32(d[v * NT + t], w[v], quad);
            }
        }
    }
    for (uint32_t v = 0; v < NV; v++) {
        const float *scales = tile->scales + ((size_t)(vector + v) * tile->n_groups + g) * 2 * LANES;
        __m512 scale = _mm512_loadu_ps(scales), bias = _mm512_loadu_ps(scales + LANES);
        for (uint32_t t = 0; t < NT; t++) {
            __m512 *a = &acc[v * NT + t];
            __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(x->scales[t][g]));
            *a = _mm512_fmadd_ps(_mm512_cvtepi32_ps(d[v * NT + t]), both, *a);
            *a = _mm512_fmadd_ps(bias, _mm512_set1_ps(x->sums[t][g]), *a);
        }
    }
}

ALWAYS_INLINE void tile_block(const struct tile_layout *tile, uint32_t vector, const uint32_t NV,
                              const uint32_t NT, bool nibbles, const struct tile_input *x, float *const *out,
                              const __mmask16 *lanes)
{
    static const uint8_t reversed[CLASSES] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};
    __m512 stack[STACK][2 * BLOCK_TOKENS];
    uint32_t depth = 0;
    for (uint32_t c = 0; c < CLASSES; c++) {
        __m512 acc[2 * BLOCK_TOKENS];
        for (uint32_t i = 0; i < NV * NT; i++)
            acc[i] = _mm512_setzero_ps();
        for (uint32_t g = reversed[c]; g < tile->n_groups; g += CLASSES)
            add_group(tile, vector, NV, NT, nibbles, g, x, acc);
        for (uint32_t full = c; full & 1u; full >>= 1) {
            depth--;
            for (uint32_t i = 0; i < NV * NT; i++)
                acc[i] = _mm512_add_ps(stack[depth][i], acc[i]);
        }
        for (uint32_t i = 0; i < NV * NT; i++)
            stack[depth][i] = acc[i];
        depth++;
    }
    for (uint32_t v = 0; v < NV; v++)
        for (uint32_t t = 0; t < NT; t++)
            _mm512_mask_storeu_ps(out[t] + (size_t)v * LANES, lanes[v], stack[0][v * NT + t]);
}

#define BLOCK_ARGUMENTS                                                                                      \
    const struct tile_layout *tile, uint32_t vector, bool nibbles, const struct tile_input *x,               \
        float *const *out, const __mmask16 *lanes

ALWAYS_INLINE void tile_tokens(const uint32_t NV, uint32_t n_tokens, BLOCK_ARGUMENTS)
{
    switch (n_tokens) {
    case 1:
        tile_block(tile, vector, NV, 1, nibbles, x, out, lanes);
        break;
    case 2:
        tile_block(tile, vector, NV, 2, nibbles, x, out, lanes);
        break;
    case 3:
        tile_block(tile, vector, NV, 3, nibbles, x, out, lanes);
        break;
    case 4:
        tile_block(tile, vector, NV, 4, nibbles, x, out, lanes);
        break;
    case 5:
        tile_block(tile, vector, NV, 5, nibbles, x, out, lanes);
        break;
    default:
        tile_block(tile, vector, NV, BLOCK_TOKENS, nibbles, x, out, lanes);
        break;
    }
}

static void tile_two_vectors(uint32_t n_tokens, BLOCK_ARGUMENTS)
{
    if (nibbles)
        tile_tokens(2, n_tokens, tile, vector, true, x, out, lanes);
    else
        tile_tokens(2, n_tokens, tile, vector, false, x, out, lanes);
}

static void tile_one_vector(uint32_t n_tokens, BLOCK_ARGUMENTS)
{
    if (nibbles)
        tile_tokens(1, n_tokens, tile, vector, true, x, out, lanes);
    else
        tile_tokens(1, n_tokens, tile, vector, false, x, out, lanes);
}

/* All tokens over the unpacked vectors of rows [row, row + rows). */
static void multiply_tile(const struct tile_layout *tile, bool nibbles, uint32_t row, uint32_t rows,
                          const struct q8_rows *x, uint32_t n_tokens, float *out, size_t out_stride)
{
    uint32_t vectors = (rows + LANES - 1) / LANES;
    for (uint32_t token = 0; token < n_tokens; token += BLOCK_TOKENS) {
        uint32_t n = n_tokens - token < BLOCK_TOKENS ? n_tokens - token : BLOCK_TOKENS;
        struct tile_input input;
        for (uint32_t t = 0; t < n; t++) {
            input.codes[t] = x->codes + (token + t) * x->code_stride;
            input.scales[t] = x->scales + (token + t) * x->group_stride;
            input.sums[t] = x->sums + (token + t) * x->group_stride;
        }
        for (uint32_t v = 0; v < vectors; v += 2) {
            uint32_t left = rows - v * LANES;
            __mmask16 lanes[2] = {first_lanes(left), first_lanes(left > LANES ? left - LANES : 0)};
            float *targets[BLOCK_TOKENS];
            for (uint32_t t = 0; t < n; t++)
                targets[t] = out + (token + t) * out_stride + row + (size_t)v * LANES;
            if (v + 1 < vectors)
                tile_two_vectors(n, tile, v, nibbles, &input, targets, lanes);
            else
                tile_one_vector(n, tile, v, nibbles, &input, targets, lanes);
        }
    }
}

void avx512_linear_tile(const struct weight *weight, enum unpack unpack, size_t first_row, uint32_t row_begin,
                        uint32_t row_end, const struct q8_rows *x, uint32_t n_tokens, float *out,
                        size_t out_stride, void *scratch)
{
    struct tile_layout tile = layout_tile(weight, scratch);
    bool nibbles = unpack == UNPACK_NIBBLES || unpack == UNPACK_E2M1;
    uint32_t most = tile_vectors(weight->cols) * LANES;
    for (uint32_t row = row_begin; row < row_end; row += most) {
        uint32_t rows = row_end - row < most ? row_end - row : most;
        for (uint32_t v = 0; v * LANES < rows; v++)
            unpack_vector(weight, unpack, first_row, row + v * LANES, row_end, &tile, v);
        multiply_tile(&tile, nibbles, row, rows, x, n_tokens, out, out_stride);
    }
}
