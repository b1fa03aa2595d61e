/* y = W x with integer codes on both sides.
 *
 * The arithmetic of one (row, token), whoever else is in the call:
 *   even[8]  = sum over vectors of 8 groups, ascending: fma(bias, x.sum, even);  odd[8] = 0
 *   even, odd: for each even (odd) block of 64 elements, ascending: fma(dot[8], scale * x.scale, even (odd))
 *   y        = sum_lanes(even + odd)
 * Each of the eight lanes of a block's dot is the exact integer product of some fixed elements of one group;
 * lanes never meet before the end. Few tokens take the codes straight from the file, many take them from a
 * copy unpacked once for eight rows: the integers are the same, the float operations above too, and so the
 * results are bit-equal by construction.
 *
 * vpmaddubsw adds two products u8 * s8 into a saturating 16-bit lane. With x in -127 .. 127 and weights below
 * 64 (6 bits) two products reach 16002 and two such sums 32004: nothing saturates below 8 bits. 8-bit codes
 * are made signed (q - 128, with 128 * scale moved into the bias); |q - 128| * (sign(q - 128) * x) reaches
 * 2 * 128 * 127 = 32512.
 */
#include "backend/cpu/kernels/avx2/avx2.h"
#include "backend/cpu/kernels/avx2/blocks.h"
#include "backend/cpu/kernels/avx2/scales.h"

enum {
    FEW_TOKENS = 3, /* up to here codes come straight from the file, row by row: one stream to prefetch */
    PREFETCH_BYTES = 4096,
    TILE_TOKENS = 4,
    TILE_ROWS = 8
};

/* How the two halves of a block meet. Groups of 16 exist in PAIRS order only (nvfp4). */
enum dot {
    DOT_JOINED, /* added in 16 bits: PAIRS order, or one group for the whole block */
    DOT_SPLIT,  /* natural order, groups of 32: each half by itself */
    DOT_SIGNED  /* 8 bits, each half by itself */
};

struct product {
    enum block_kind kind;
    enum dot dot;
    bool wide;                   /* all lanes of a dot belong to one group */
    uint32_t bits, shift;        /* group size = 1 << shift */
    uint32_t n_blocks, n_groups; /* groups rounded up to 8 */
    __m256i lane_group;          /* lane -> group, counted from the first group of the dot */
    struct block_tables tables;
};

/* One row, ready to be multiplied. */
struct prepared {
    struct row_blocks blocks;
    float *scale, *bias; /* [n_groups] */
};

/* 16-bit sums of two products each. */
ALWAYS_INLINE __m256i dot_16(__m256i unsigned_codes, const int8_t *x)
{
    return _mm256_maddubs_epi16(unsigned_codes, load_32_bytes(x));
}

ALWAYS_INLINE __m256i dot_signed_16(__m256i codes, const int8_t *x)
{
    __m256i q = _mm256_xor_si256(codes, _mm256_set1_epi8((char)0x80));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(load_32_bytes(x), q));
}

/* acc += lanes of pairs * their groups' scales, which begin at `scales`. */
ALWAYS_INLINE __m256 add_scaled_dot(bool wide, __m256i lane_group, __m256i pairs, const float *scales,
                                    __m256 acc)
{
    __m256 dot = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    __m256 scale =
        wide ? _mm256_broadcast_ss(scales) : _mm256_permutevar8x32_ps(_mm256_loadu_ps(scales), lane_group);
    return _mm256_fmadd_ps(dot, scale, acc);
}

struct operands {
    const struct product *product;
    const struct prepared *row;
    const struct q8_rows *x;
    uint32_t token;
    float *scales; /* of the row times those of the tokens, [TILE_TOKENS][n_groups + 8] */
    float *out;    /* of the row and the first token */
    size_t out_stride;
};

/* The innermost loops' view of the operands, in registers. */
struct cursor {
    const int8_t *x[TILE_TOKENS];
    const float *scales[TILE_TOKENS];
    uint32_t shift;
    __m256i lane_group;
};

/* One block, already unpacked, times n tokens; first is its first element. */
ALWAYS_INLINE void multiply_block(enum dot dot, bool wide, uint32_t n, const struct cursor *c, __m256i low,
                                  __m256i high, size_t first, __m256 *acc)
{
    size_t group = first >> c->shift, next = (first + BLOCK / 2) >> c->shift;
#pragma GCC unroll 4
    for (uint32_t t = 0; t < n; t++) {
        const int8_t *x = c->x[t] + first;
        const float *s = c->scales[t];
        if (dot == DOT_JOINED) {
            __m256i sum = _mm256_add_epi16(dot_16(low, x), dot_16(high, x + 32));
            acc[t] = add_scaled_dot(wide, c->lane_group, sum, s + group, acc[t]);
        } else if (dot == DOT_SPLIT) {
            acc[t] = add_scaled_dot(wide, c->lane_group, dot_16(low, x), s + group, acc[t]);
            acc[t] = add_scaled_dot(wide, c->lane_group, dot_16(high, x + 32), s + next, acc[t]);
        } else {
            acc[t] = add_scaled_dot(wide, c->lane_group, dot_signed_16(low, x), s + group, acc[t]);
            acc[t] = add_scaled_dot(wide, c->lane_group, dot_signed_16(high, x + 32), s + next, acc[t]);
        }
    }
}

/* Adds blocks [0, end) of the row times n tokens: even blocks to even, odd ones to odd, so that two chains of
 * additions run side by side. */
ALWAYS_INLINE void multiply_direct(enum block_kind kind, enum dot dot, bool wide, uint32_t n,
                                   const struct product *p, const struct row_blocks *blocks,
                                   const struct cursor *c, __m256 *even, __m256 *odd)
{
    const uint8_t *data = blocks->data;
    const size_t end = (size_t)blocks->n_direct * BLOCK, pair = 2 * (size_t)BLOCK;
    size_t first = 0;
    size_t bytes = kind == BLOCK_PACKED  ? (size_t)(BLOCK / 8) * p->bits
                   : kind == BLOCK_BYTES ? BLOCK
                                         : BLOCK / 2;
    __m256i low, high;
    for (; first + pair <= end; first += pair) {
        if (n <= FEW_TOKENS)
            for (size_t line = 0; line < 2 * bytes; line += 64)
                _mm_prefetch((const char *)data + PREFETCH_BYTES + line, _MM_HINT_T0);
        load_block(kind, data, p->bits, &p->tables, &low, &high);
        multiply_block(dot, wide, n, c, low, high, first, even);
        load_block(kind, data + bytes, p->bits, &p->tables, &low, &high);
        multiply_block(dot, wide, n, c, low, high, first + BLOCK, odd);
        data += 2 * bytes;
    }
    if (first < end) {
        load_block(kind, data, p->bits, &p->tables, &low, &high);
        multiply_block(dot, wide, n, c, low, high, first, even);
    }
}

/* The blocks in the tail's copy. */
ALWAYS_INLINE void multiply_tail(enum block_kind kind, enum dot dot, bool wide, uint32_t n,
                                 const struct product *p, const struct row_blocks *blocks,
                                 const struct cursor *c, __m256 *even, __m256 *odd)
{
    for (uint32_t b = blocks->n_direct; b < p->n_blocks; b++) {
        __m256i low, high;
        load_block(kind, row_block(blocks, b), p->bits, &p->tables, &low, &high);
        if (b % 2)
            multiply_block(dot, wide, n, c, low, high, (size_t)b * BLOCK, odd);
        else
            multiply_block(dot, wide, n, c, low, high, (size_t)b * BLOCK, even);
    }
}

/* Scales of the row and of n tokens multiplied; the bias terms, which every sum begins with. */
ALWAYS_INLINE void begin_row(const struct operands *o, uint32_t n, __m256 *acc)
{
    const uint32_t n_groups = o->product->n_groups;
    const size_t stride = n_groups + 8, groups = o->x->group_stride;
    const float *x_scales = o->x->scales + o->token * groups, *x_sums = o->x->sums + o->token * groups;
    const float *scales = o->row->scale, *biases = o->row->bias;
    float *products = o->scales;
    for (uint32_t g = 0; g < n_groups; g += 8) {
        __m256 scale = _mm256_loadu_ps(scales + g), bias = _mm256_loadu_ps(biases + g);
#pragma GCC unroll 4
        for (uint32_t t = 0; t < n; t++) {
            __m256 product = _mm256_mul_ps(scale, _mm256_loadu_ps(x_scales + t * groups + g));
            _mm256_storeu_ps(products + t * stride + g, product);
            acc[t] = _mm256_fmadd_ps(bias, _mm256_loadu_ps(x_sums + t * groups + g), acc[t]);
        }
    }
}

/* One row times n tokens. */
ALWAYS_INLINE void multiply(enum block_kind kind, enum dot dot, bool wide, uint32_t n,
                            const struct operands *o)
{
    const struct product *p = o->product;
    const struct row_blocks *blocks = &o->row->blocks;
    struct cursor c = {.shift = p->shift, .lane_group = p->lane_group};
    __m256 even[TILE_TOKENS], odd[TILE_TOKENS];
#pragma GCC unroll 4
    for (uint32_t t = 0; t < n; t++) {
        c.x[t] = o->x->codes + (o->token + t) * o->x->code_stride;
        c.scales[t] = o->scales + t * (size_t)(p->n_groups + 8);
        even[t] = odd[t] = _mm256_setzero_ps();
    }
    begin_row(o, n, even);
    multiply_direct(kind, dot, wide, n, p, blocks, &c, even, odd);
    if (blocks->n_direct < p->n_blocks)
        multiply_tail(kind, dot, wide, n, p, blocks, &c, even, odd);
#pragma GCC unroll 4
    for (uint32_t t = 0; t < n; t++)
        o->out[t * o->out_stride] = sum_lanes(_mm256_add_ps(even[t], odd[t]));
}

ALWAYS_INLINE void multiply_n(enum block_kind kind, enum dot dot, bool wide, uint32_t n,
                              const struct operands *o)
{
    if (n == 1)
        multiply(kind, dot, wide, 1, o);
    else if (n == 2)
        multiply(kind, dot, wide, 2, o);
    else if (n == 3)
        multiply(kind, dot, wide, 3, o);
    else
        multiply(kind, dot, wide, 4, o);
}

/* The loops that exist, each compiled for its constants. */
static void multiply_row(const struct operands *o, uint32_t n)
{
    const struct product *p = o->product;
    if (p->kind == BLOCK_NIBBLES && p->wide)
        multiply_n(BLOCK_NIBBLES, DOT_JOINED, true, n, o);
    else if (p->kind == BLOCK_NIBBLES)
        multiply_n(BLOCK_NIBBLES, DOT_JOINED, false, n, o);
    else if (p->kind == BLOCK_FP4)
        multiply_n(BLOCK_FP4, DOT_JOINED, false, n, o);
    else if (p->kind == BLOCK_PACKED && p->dot == DOT_JOINED)
        multiply_n(BLOCK_PACKED, DOT_JOINED, true, n, o);
    else if (p->kind == BLOCK_PACKED)
        multiply_n(BLOCK_PACKED, DOT_SPLIT, true, n, o);
    else if (p->dot == DOT_JOINED && p->wide)
        multiply_n(BLOCK_BYTES, DOT_JOINED, true, n, o);
    else if (p->dot == DOT_JOINED)
        multiply_n(BLOCK_BYTES, DOT_JOINED, false, n, o);
    else if (p->dot == DOT_SPLIT)
        multiply_n(BLOCK_BYTES, DOT_SPLIT, true, n, o);
    else
        multiply_n(BLOCK_BYTES, DOT_SIGNED, true, n, o);
}

static struct product product_of(const struct weight *weight)
{
    struct product p = {.kind = block_kind_of(weight), .bits = weight->bits};
    bool pairs = kernels_code_order(weight) == ORDER_PAIRS;
    while (1u << p.shift < weight->group_size)
        p.shift++;
    p.dot = weight->bits == 8 ? DOT_SIGNED : pairs || p.shift >= 6 ? DOT_JOINED : DOT_SPLIT;
    p.wide = p.dot != DOT_JOINED || p.shift >= 6;
    p.n_blocks = (weight->cols + BLOCK - 1) / BLOCK;
    p.n_groups = (weight->cols / weight->group_size + 7) / 8 * 8;
    /* In PAIRS order lane i of a joined dot holds elements 8i .. 8i + 7 of the block. */
    const __m256i eights = _mm256_setr_epi32(0, 8, 16, 24, 32, 40, 48, 56);
    p.lane_group = _mm256_srl_epi32(eights, _mm_cvtsi32_si128((int)p.shift));
    if (p.kind == BLOCK_PACKED)
        block_tables_init(&p.tables, p.bits);
    return p;
}

ALWAYS_INLINE void prepare_scales(enum weight_format format, enum scalar_type type, const struct product *p,
                                  const struct weight *weight, size_t at, struct prepared *row)
{
    uint32_t groups = weight->cols >> p->shift;
    for (uint32_t g = 0; g < p->n_groups; g += 8) {
        __m256 scale, bias;
        load_group_scales(format, type, weight, at, g, groups, &scale, &bias);
        if (p->dot == DOT_SIGNED)
            bias = _mm256_fmadd_ps(scale, _mm256_set1_ps(128.0f), bias);
        _mm256_storeu_ps(row->scale + g, scale);
        _mm256_storeu_ps(row->bias + g, bias);
    }
}

static void prepare_row(const struct product *p, const struct weight *weight, size_t at, struct prepared *row)
{
    row_blocks_init(&row->blocks, p->kind, weight->data + at * weight->row_bytes, weight->cols, p->bits);
    if (weight->format == WEIGHT_MXFP4)
        prepare_scales(WEIGHT_MXFP4, SCALAR_U8, p, weight, at, row);
    else if (weight->format == WEIGHT_NVFP4)
        prepare_scales(WEIGHT_NVFP4, SCALAR_U8, p, weight, at, row);
    else if (weight->type == SCALAR_BF16)
        prepare_scales(WEIGHT_AFFINE, SCALAR_BF16, p, weight, at, row);
    else if (weight->type == SCALAR_F16)
        prepare_scales(WEIGHT_AFFINE, SCALAR_F16, p, weight, at, row);
    else
        prepare_scales(WEIGHT_AFFINE, SCALAR_F32, p, weight, at, row);
}

/* From the file's layout to bytes, block by block. */
static void unpack_codes(const struct product *p, struct row_blocks *blocks, uint8_t *out)
{
    for (uint32_t b = 0; b < p->n_blocks; b++) {
        __m256i low, high;
        const uint8_t *at = row_block(blocks, b);
        if (p->kind == BLOCK_NIBBLES)
            load_block(BLOCK_NIBBLES, at, p->bits, &p->tables, &low, &high);
        else if (p->kind == BLOCK_FP4)
            load_block(BLOCK_FP4, at, p->bits, &p->tables, &low, &high);
        else
            load_block(BLOCK_PACKED, at, p->bits, &p->tables, &low, &high);
        store_32_bytes(out + (size_t)b * BLOCK, low);
        store_32_bytes(out + (size_t)b * BLOCK + 32, high);
    }
    blocks->data = out;
    blocks->n_direct = p->n_blocks;
}

/* Scratch: codes [TILE_ROWS][n_blocks * BLOCK]; scales and biases [TILE_ROWS][2][n_groups]; products
 * [TILE_TOKENS][n_groups + 8]. Groups have at least 16 elements. */
size_t avx2_int8_scratch_bytes(uint32_t cols)
{
    size_t codes = ((size_t)cols + BLOCK - 1) / BLOCK * BLOCK;
    size_t groups = ((size_t)cols / 16 + 7) / 8 * 8;
    return TILE_ROWS * codes + ((size_t)TILE_ROWS * 2 * groups + TILE_TOKENS * (groups + 8)) * sizeof(float);
}

static void avx2_linear_int8(const struct weight *weight, uint32_t expert, uint32_t row_begin,
                             uint32_t row_end, const struct q8_rows *x, uint32_t n_tokens, float *out,
                             size_t out_stride, void *scratch)
{
    struct product native = product_of(weight), unpacked = native;
    struct prepared rows[TILE_ROWS];
    bool unpack = n_tokens > FEW_TOKENS && native.kind != BLOCK_BYTES;
    uint32_t tile_rows = n_tokens > FEW_TOKENS ? TILE_ROWS : 1;
    size_t code_bytes = (size_t)native.n_blocks * BLOCK;
    float *products = scratch, *scales = products + TILE_TOKENS * ((size_t)native.n_groups + 8);
    uint8_t *codes = (uint8_t *)(scales + (size_t)TILE_ROWS * 2 * native.n_groups);
    if (unpack) {
        unpacked.kind = BLOCK_BYTES;
        unpacked.bits = 8;
    }
    for (uint32_t first = row_begin; first < row_end; first += tile_rows) {
        uint32_t n_rows = row_end - first < tile_rows ? row_end - first : tile_rows;
        for (uint32_t r = 0; r < n_rows; r++) {
            rows[r].scale = scales + (size_t)2 * r * native.n_groups;
            rows[r].bias = rows[r].scale + native.n_groups;
            prepare_row(&native, weight, (size_t)expert * weight->rows + first + r, &rows[r]);
            if (unpack)
                unpack_codes(&native, &rows[r].blocks, codes + r * code_bytes);
        }
        for (uint32_t t = 0; t < n_tokens; t += TILE_TOKENS) {
            uint32_t n = n_tokens - t < TILE_TOKENS ? n_tokens - t : TILE_TOKENS;
            for (uint32_t r = 0; r < n_rows; r++) {
                float *to = out + t * out_stride + first + r;
                struct operands o = {&unpacked, &rows[r], x, t, products, to, out_stride};
                multiply_row(&o, n);
            }
        }
    }
}

void avx2_linear_int8_init(struct kernels *kernels)
{
    kernels->pair_block = BLOCK;
    kernels->linear_int8 = avx2_linear_int8;
}
