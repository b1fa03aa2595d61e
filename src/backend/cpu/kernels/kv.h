/* Where a key head's keys and values lie inside a page of the cpu backend's cache, and how 8-bit ones are
 * stored.
 *
 * A page of one layer holds, for each key head, BACKEND_PAGE_TOKENS keys and then as many values. Keys are
 * interleaved in blocks of KERNEL_KEY_BLOCK positions, [block][head_dim][16]: one vector holds one dimension
 * of 16 neighbouring keys, so that scores of 16 keys grow side by side without a horizontal sum, and in the
 * same order for one query or many. Values are [position][head_dim]. Elements are f32, f16 or int8 codes.
 *
 * Of codes, every KV_GROUP neighbouring elements of a head share a scale (bf16): the keys' scales lie behind
 * the keys, the values' behind the values, both [group][position]. So the 16 scales of a key block are one
 * vector too, and a row's softmax weights are multiplied by the scales of a group 16 positions at a time,
 * which spares multiplying every value. A scale per group and not per head, because trained keys have a few
 * channels many times as large as the others: they then cost only their own group its precision. bf16,
 * because a scale needs range and no digits: codes are rounded against the scale as it was stored.
 */
#ifndef LLMIND_BACKEND_CPU_KERNELS_KV_H
#define LLMIND_BACKEND_CPU_KERNELS_KV_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/kernels/kernels.h"
#include "base/float16.h"
#include "plan/plan.h"

enum { KV_GROUP = PLAN_KV_GROUP };

/* Raised whenever the bytes of a page come to mean something else, or kernels come to store others for the
 * same tokens: pages that were kept in a file are then of no use any more. */
enum { KV_PAGE_LAYOUT = 1 };

static inline size_t kv_head_bytes(uint32_t head_dim, uint32_t kv_bits)
{
    return 2 * BACKEND_PAGE_TOKENS * (size_t)plan_kv_vector_bytes(head_dim, kv_bits);
}

static inline size_t kv_key_offset(uint32_t head, uint32_t head_dim, uint32_t kv_bits)
{
    return head * kv_head_bytes(head_dim, kv_bits);
}

static inline size_t kv_value_offset(uint32_t head, uint32_t head_dim, uint32_t kv_bits)
{
    return kv_key_offset(head, head_dim, kv_bits) + kv_head_bytes(head_dim, kv_bits) / 2;
}

/* Index of element d of the key at `slot` (position modulo page), in elements from the head's first key. */
static inline size_t kv_key_index(uint32_t slot, uint32_t d, uint32_t head_dim)
{
    return ((size_t)(slot / KERNEL_KEY_BLOCK) * head_dim + d) * KERNEL_KEY_BLOCK + slot % KERNEL_KEY_BLOCK;
}

/* ---- 8 bits ---- */

/* The scale of element d at `slot`, of a head's keys or values that begin at `codes`. */
static inline size_t kv_scale_offset(uint32_t slot, uint32_t d, uint32_t head_dim)
{
    return (size_t)BACKEND_PAGE_TOKENS * head_dim +
           ((size_t)(d / KV_GROUP) * BACKEND_PAGE_TOKENS + slot) * sizeof(uint16_t);
}

/* Elements of the group that begins at d. */
static inline uint32_t kv_group_length(uint32_t d, uint32_t head_dim)
{
    return head_dim - d < KV_GROUP ? head_dim - d : KV_GROUP;
}

/* Rounds a group: x[i] is about scale * codes[i], scale = max|x| / 127 to the next bf16. Returns the scale's
 * bits. Beyond 65504 x saturates, as f16 does; what is too small for a scale that is a normal number becomes
 * zero. A NaN makes the whole group NaN, so that it stays visible. Every ISA compiles this for itself, and in
 * ISO C no operation here may be contracted or reordered, so that all of them store the same bits. */
static inline uint16_t kv_round_group(const float *x, uint32_t n, int8_t *codes)
{
    uint32_t most = 0; /* of magnitudes as bit patterns, where NaN is larger than all numbers */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t magnitude = float_to_bits(x[i]) & 0x7FFFFFFFu;
        most = magnitude > most ? magnitude : most;
    }
    float largest = float_from_bits(most);
    largest = largest > 65504.0f ? 65504.0f : largest; /* NaN is not larger */
    uint16_t stored = float_to_bf16(largest / 127.0f);
    float scale = float_from_bf16(stored);
    if (scale < 0x1p-126f)
        scale = 0, stored = 0;
    float inverse = scale > 0 ? 1.0f / scale : 0;
    for (uint32_t i = 0; i < n; i++) {
        float v = x[i] * inverse;
        v = v > 127.0f ? 127.0f : v;
        v = v < -127.0f ? -127.0f : v;
        v = isnan(v) ? 0 : v;
        codes[i] = (int8_t)(int32_t)((v + 0x1.8p23f) - 0x1.8p23f); /* to the nearest whole, ties to even */
    }
    return stored;
}

/* Stores the key and value of one position, for kernels.kv_store. */
static inline void kv_store_codes(const float *key, const float *value, uint32_t head_dim, uint32_t slot,
                                  uint8_t *page_keys, uint8_t *page_values)
{
    for (uint32_t d = 0; d < head_dim; d += KV_GROUP) {
        uint32_t n = kv_group_length(d, head_dim);
        int8_t codes[KV_GROUP];
        uint16_t scale = kv_round_group(key + d, n, codes);
        memcpy(page_keys + kv_scale_offset(slot, d, head_dim), &scale, sizeof scale);
        for (uint32_t i = 0; i < n; i++)
            page_keys[kv_key_index(slot, d + i, head_dim)] = (uint8_t)codes[i];
        scale = kv_round_group(value + d, n, codes);
        memcpy(page_values + kv_scale_offset(slot, d, head_dim), &scale, sizeof scale);
        memcpy(page_values + (size_t)slot * head_dim + d, codes, n);
    }
}

#endif
