/* The table of kernels: the inner loops of the cpu backend, one implementation per instruction set.
 *
 * As in dav1d: kernels_init_reference fills the whole table with plain C, each ISA's init overwrites what it
 * does better. Every kernel is pure: no allocation, no lock, no global state; it writes its outputs and its
 * scratch only. Threads share a table and differ in the rows they ask for. tests/kernels holds every kernel
 * of every ISA against the reference.
 *
 * The rule that makes results batch-invariant: for one ISA, what a kernel computes for one row (token, query)
 * is bit-equal whatever other rows it gets in the same call. A kernel may switch to another algorithm for
 * many rows only if every row's floating-point operations keep their order (integer sums may be taken in any
 * order: they are exact).
 */
#ifndef LLMIND_BACKEND_CPU_KERNELS_KERNELS_H
#define LLMIND_BACKEND_CPU_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan/plan.h"
#include "plan/weight.h"

/* The order in which a row's int8 codes lie. Nibble formats (affine 4-bit, mxfp4, nvfp4) keep two elements in
 * a byte, so that one AND gives the even and one shift the odd elements of a vector; permuting the
 * activations once saves permuting the weights every time. In PAIRS order each block of kernels.pair_block
 * elements holds its even elements first, then its odd ones. */
enum code_order { ORDER_NATURAL, ORDER_PAIRS };

enum {
    KERNEL_MAX_ATTEND_ROWS = 8,
    KERNEL_CODE_ALIGN = 256, /* bytes: rows of int8 codes are padded with zeros to a multiple of this */
    KERNEL_KEY_BLOCK = 16    /* positions whose keys lie interleaved */
};

/* Activations rounded to int8: x[i] is about scales[i / group] * codes[i]. Rows follow each other at the
 * given strides. sums[g] = scales[g] * (sum of the codes of group g): what a weight group's bias is
 * multiplied with. */
struct q8_rows {
    int8_t *codes;
    float *scales, *sums;
    size_t code_stride;  /* bytes, a multiple of KERNEL_CODE_ALIGN */
    size_t group_stride; /* floats, at least cols / group and a multiple of 16; the tail beyond the groups is
                            zero */
    uint32_t group;
};

/* One tile of attention: n_rows queries (heads that share a key head, tokens of one sequence) over one key
 * head.
 *
 * The cache of a key head, page by page (kernels/kv.h has the addresses): keys [PAGE / 16][head_dim][16
 * positions], values [PAGE][head_dim], f32, f16 or int8 codes with scales. Row r sees keys first[r] ..
 * last[r]; pages are walked in order from page first[r] / PAGE of the tile's lowest first, with an online
 * softmax that is updated once per page (Milakov & Gimelshein 2018). Keys and values beyond the tile's
 * highest last are never used: they may hold anything. */
struct attend_tile {
    uint32_t n_rows, head_dim;
    const float *q[KERNEL_MAX_ATTEND_ROWS]; /* [head_dim] */
    float *out[KERNEL_MAX_ATTEND_ROWS];     /* [head_dim] */
    uint32_t first[KERNEL_MAX_ATTEND_ROWS], last[KERNEL_MAX_ATTEND_ROWS];
    const float *sink[KERNEL_MAX_ATTEND_ROWS]; /* one more softmax logit without a value, or NULL */
    float scale, softcap;
    uint32_t kv_bits;     /* 8, 16 or 32 */
    const uint8_t *cache; /* the layer's part of page 0 */
    const uint32_t *pages;
    size_t page_bytes, key_offset, value_offset; /* of this key head inside a page */
};

struct kernels {
    const char *isa;
    uint32_t pair_block; /* elements; a power of two, 32 .. KERNEL_CODE_ALIGN */

    /* Rounds x[n] to int8 with one scale per group (n % group == 0): scale = max|x| / 127, code = x / scale
     * to nearest even. Writes codes up to the padded stride, scales and sums up to group_stride of row `row`.
     */
    void (*quantize_row)(const float *x, uint32_t n, enum code_order order, struct q8_rows *out,
                         uint32_t row);

    /* out[t][r - row_begin .. ] for weight rows [row_begin, row_end) of one expert and tokens [0, n_tokens)
     * of x: out[t * out_stride + r] = sum over groups of scale * (codes . x.codes) * x.scale + bias * x.sum.
     * The weight is AFFINE, MXFP4 or NVFP4 (kernels_is_coded); x.group equals its group size; x.codes are in
     * the order kernels_code_order gives. out is indexed by the absolute row r. scratch:
     * linear_scratch_bytes(cols). */
    void (*linear_int8)(const struct weight *weight, uint32_t expert, uint32_t row_begin, uint32_t row_end,
                        const struct q8_rows *x, uint32_t n_tokens, float *out, size_t out_stride,
                        void *scratch);

    /* The same with f32 activations x[t * x_stride + c], for every format. */
    void (*linear_f32)(const struct weight *weight, uint32_t expert, uint32_t row_begin, uint32_t row_end,
                       const float *x, size_t x_stride, uint32_t n_tokens, float *out, size_t out_stride,
                       void *scratch);
    size_t (*linear_scratch_bytes)(uint32_t cols);

    /* out[cols] = row of the weight as f32. */
    void (*unpack_row)(const struct weight *weight, uint32_t expert, uint32_t row, float *out);

    /* out = x / sqrt(mean(x²) + eps) * weight; weight may be NULL (all ones); out may be x. */
    void (*rms_norm)(const float *x, const float *weight, float eps, uint32_t n, float *out);

    /* Rotates n_heads heads of head_dim in place; cos_sin: dims / 2 cosines, then dims / 2 sines, already
     * scaled. */
    void (*rope)(float *x, uint32_t n_heads, uint32_t head_dim, uint32_t dims, bool interleaved,
                 const float *cos_sin);

    /* Stores one token's key and value of one key head at `position` in its page. 8 and 16 bits saturate at
     * 65504. Every ISA stores the same bits. */
    void (*kv_store)(const float *key, const float *value, uint32_t head_dim, uint32_t kv_bits,
                     uint32_t position, uint8_t *page_keys, uint8_t *page_values);

    /* scratch: attend_scratch_bytes(head_dim). */
    void (*attend)(const struct attend_tile *tile, void *scratch);
    size_t (*attend_scratch_bytes)(uint32_t head_dim);

    /* out = activation(gate) * up; out may be gate. */
    void (*act_mul)(enum plan_activation activation, const float *gate, const float *up, uint32_t n,
                    float *out);
    /* out = a + b; out may be a or b. */
    void (*add)(const float *a, const float *b, uint32_t n, float *out);
    /* y += scale * x */
    void (*add_scaled)(float *y, const float *x, float scale, uint32_t n);
    /* out = scale * x, and where softcap > 0 then softcap * tanh(. / softcap), off by a few 2^-24 of the
     * softcap; out may be x. An element's bits do not depend on where a row is cut into calls. */
    void (*scale)(const float *x, float scale, float softcap, uint32_t n, float *out);
};

/* True when a weight's elements are integer codes times a scale per group, which linear_int8 can multiply. */
bool kernels_is_coded(const struct weight *weight);
enum code_order kernels_code_order(const struct weight *weight);

/* The scale and bias of group g of a row (row index counts experts * rows), as f32: mxfp4 and nvfp4 codes are
 * taken as unsigned numbers 0 .. 24 (twice the value, plus 12), so scale is half the stored one and bias -12
 * times that. */
void kernels_group_scale(const struct weight *weight, size_t row, uint32_t group, float *scale, float *bias);
/* The unsigned integer code of element c of a row. */
uint32_t kernels_code(const struct weight *weight, size_t row, uint32_t c);

/* Fills the table; false when this machine or build has not got the ISA ("reference", "avx2", "avx512",
 * "neon"). NULL: the best there is. */
bool kernels_init(struct kernels *kernels, const char *isa);
/* Names of the ISAs this machine can run, best last; zero-terminated. */
const char *const *kernels_available(void);

void kernels_init_reference(struct kernels *kernels);
void kernels_init_avx2(struct kernels *kernels);
void kernels_init_avx512(struct kernels *kernels);

#endif
