/* Where a key head's keys and values lie inside a page of the cpu backend's cache.
 *
 * A page of one layer holds, for each key head, BACKEND_PAGE_TOKENS keys and then as many values. Keys are
 * interleaved in blocks of KERNEL_KEY_BLOCK positions, [block][head_dim][16]: one vector holds one dimension
 * of 16 neighbouring keys, so that scores of 16 keys grow side by side without a horizontal sum, and in the
 * same order for one query or many. Values are [position][head_dim]. Elements are f16 or f32.
 */
#ifndef LLMIND_BACKEND_CPU_KERNELS_KV_H
#define LLMIND_BACKEND_CPU_KERNELS_KV_H

#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/cpu/kernels/kernels.h"

static inline size_t kv_head_bytes(uint32_t head_dim, uint32_t kv_bits)
{
    return (size_t)2 * BACKEND_PAGE_TOKENS * head_dim * (kv_bits / 8);
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

#endif
