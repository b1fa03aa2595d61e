/* Blocks of 64 codes of a weight row, from the file's layout to two vectors of bytes.
 *
 * 4-bit formats: one 32-byte load holds the block; AND gives the even elements, a shift the odd ones (PAIRS
 * order with pair_block 64, so both products with the activations need no permutation).
 * Other widths below 8: element i of 16 occupies bits [i * bits, (i + 1) * bits). A byte shuffle brings the
 * two bytes that hold it into a 16-bit lane; multiplying by 2^(8 - offset) and shifting right by 8 moves it
 * to the bottom of the lane; packing two such vectors gives 32 bytes in order.
 */
#ifndef LLMIND_BACKEND_CPU_KERNELS_AVX2_BLOCKS_H
#define LLMIND_BACKEND_CPU_KERNELS_AVX2_BLOCKS_H

#include "backend/cpu/kernels/avx2/simd.h"

enum { BLOCK = 64 };

enum block_kind {
    BLOCK_NIBBLES, /* evens, odds */
    BLOCK_FP4,     /* evens, odds, as 0 .. 24 */
    BLOCK_PACKED,  /* 2, 3, 5, 6 bits; natural order */
    BLOCK_BYTES    /* 8 bits, or codes unpacked before; in the order they lie */
};

struct block_tables {
    __m256i shuffle[2], multiplier[2], mask;
};

ALWAYS_INLINE enum block_kind block_kind_of(const struct weight *weight)
{
    if (weight->bits == 8)
        return BLOCK_BYTES;
    if (weight->bits != 4)
        return BLOCK_PACKED;
    return weight->format == WEIGHT_AFFINE ? BLOCK_NIBBLES : BLOCK_FP4;
}

static inline void block_tables_init(struct block_tables *tables, uint32_t bits)
{
    uint8_t shuffle[2][32];
    uint16_t multiplier[2][16];
    for (uint32_t e = 0; e < 16; e++) {
        uint32_t bit = e * bits, half = e / 8, lane = e % 8;
        for (uint32_t copy = 0; copy < 2; copy++) {
            shuffle[half][copy * 16 + lane * 2] = (uint8_t)(bit / 8);
            shuffle[half][copy * 16 + lane * 2 + 1] = (uint8_t)(bit / 8 + 1);
            multiplier[half][copy * 8 + lane] = (uint16_t)(1u << (8 - bit % 8));
        }
    }
    for (uint32_t half = 0; half < 2; half++) {
        tables->shuffle[half] = load_32_bytes(shuffle[half]);
        tables->multiplier[half] = load_32_bytes(multiplier[half]);
    }
    tables->mask = _mm256_set1_epi8((char)((1u << bits) - 1u));
}

/* 32 codes of `bits` bits. Reads 16 bytes at p and at p + 2 * bits. */
ALWAYS_INLINE __m256i unpack_32(const uint8_t *p, uint32_t bits, const struct block_tables *tables)
{
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(load_16_bytes(p)),
                                           load_16_bytes(p + (size_t)2 * bits), 1);
    __m256i low = _mm256_mullo_epi16(_mm256_shuffle_epi8(both, tables->shuffle[0]), tables->multiplier[0]);
    __m256i high = _mm256_mullo_epi16(_mm256_shuffle_epi8(both, tables->shuffle[1]), tables->multiplier[1]);
    __m256i bytes = _mm256_packus_epi16(_mm256_srli_epi16(low, 8), _mm256_srli_epi16(high, 8));
    return _mm256_and_si256(bytes, tables->mask);
}

/* Reads 8 * bits bytes, and up to BLOCK_OVERREAD more when PACKED. */
ALWAYS_INLINE void load_block(enum block_kind kind, const uint8_t *p, uint32_t bits,
                              const struct block_tables *tables, __m256i *a, __m256i *b)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    if (kind == BLOCK_BYTES) {
        *a = load_32_bytes(p);
        *b = load_32_bytes(p + 32);
    } else if (kind == BLOCK_PACKED) {
        *a = unpack_32(p, bits, tables);
        *b = unpack_32(p + (size_t)4 * bits, bits, tables);
    } else {
        __m256i q = load_32_bytes(p);
        *a = _mm256_and_si256(q, nibble);
        *b = _mm256_and_si256(_mm256_srli_epi16(q, 4), nibble);
    }
    if (kind == BLOCK_FP4) {
        /* e2m1 doubled, plus 12 (kernels.h) */
        const __m256i table = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
        *a = _mm256_shuffle_epi8(table, *a);
        *b = _mm256_shuffle_epi8(table, *b);
    }
}

/* A row's blocks. Those that can be loaded without leaving the row lie in the file; the others (at most two:
 * an incomplete one, and for PACKED the one before, whose loads overreach) are copied, zeros behind them. */
enum { BLOCK_TAIL_BYTES = 2 * BLOCK + 16 };

struct row_blocks {
    const uint8_t *data;
    uint32_t n_direct, n_blocks, block_bytes;
    uint8_t tail[BLOCK_TAIL_BYTES];
};

ALWAYS_INLINE void row_blocks_init(struct row_blocks *blocks, enum block_kind kind, const uint8_t *data,
                                   uint32_t cols, uint32_t bits)
{
    uint32_t whole = cols / BLOCK;
    blocks->data = data;
    blocks->block_bytes = BLOCK / 8 * bits;
    blocks->n_blocks = (cols + BLOCK - 1) / BLOCK;
    blocks->n_direct = kind == BLOCK_PACKED && whole ? whole - 1 : whole;
    if (blocks->n_direct == blocks->n_blocks)
        return;
    size_t done = (size_t)blocks->n_direct * blocks->block_bytes;
    memset(blocks->tail, 0, sizeof blocks->tail);
    memcpy(blocks->tail, data + done, (size_t)cols * bits / 8 - done);
}

ALWAYS_INLINE const uint8_t *row_block(const struct row_blocks *blocks, uint32_t b)
{
    if (b < blocks->n_direct)
        return blocks->data + (size_t)b * blocks->block_bytes;
    return blocks->tail + (size_t)(b - blocks->n_direct) * blocks->block_bytes;
}

#endif
