/* Attention of a few queries over one key head's cached pages, and storing into those pages, in plain C.
 *
 * out = sum_j p_j v_j / sum_j p_j with p_j = exp(score_j - max) over the visible keys. The softmax is taken
 * online, page by page (Milakov & Gimelshein 2018, "Online normalizer calculation for softmax"): when a page
 * raises the maximum, what was summed so far shrinks by exp(old - new). A sink is one more logit that has no
 * value: the running maximum and sum start with it.
 */
#include "backend/cpu/kernels/reference/reference.h"

#include <math.h>

#include "backend/cpu/kernels/kv.h"
#include "base/float16.h"

/* Number `index` of a head's keys or values, which is element d at `slot`. */
static double cached(const struct attend_tile *tile, const uint8_t *array, size_t index, uint32_t slot,
                     uint32_t d)
{
    uint16_t half;
    float value;
    switch (tile->kv_bits) {
    case 32:
        memcpy(&value, array + index * sizeof value, sizeof value);
        return (double)value;
    case 16:
        memcpy(&half, array + index * sizeof half, sizeof half);
        return (double)float_from_f16(half);
    default:
        memcpy(&half, array + kv_scale_offset(slot, d, tile->head_dim), sizeof half);
        return (double)float_from_bf16(half) * (int8_t)array[index];
    }
}

static double cached_key(const struct attend_tile *tile, const uint8_t *keys, uint32_t slot, uint32_t d)
{
    return cached(tile, keys, kv_key_index(slot, d, tile->head_dim), slot, d);
}

static double cached_value(const struct attend_tile *tile, const uint8_t *values, uint32_t slot, uint32_t d)
{
    return cached(tile, values, (size_t)slot * tile->head_dim + d, slot, d);
}

static float score(const struct attend_tile *tile, const float *q, const uint8_t *keys, uint32_t slot)
{
    double dot = 0;
    for (uint32_t d = 0; d < tile->head_dim; d++)
        dot += (double)q[d] * cached_key(tile, keys, slot, d);
    float value = (float)dot * tile->scale;
    if (tile->softcap > 0)
        value = tile->softcap * tanhf(value / tile->softcap);
    return value;
}

/* Slots [begin, end) of one page are visible to the row. sum holds head_dim weighted values, then the sum of
 * the weights. */
static void attend_page(const struct attend_tile *tile, uint32_t row, const uint8_t *page, uint32_t begin,
                        uint32_t end, float *max, double *sum)
{
    float scores[BACKEND_PAGE_TOKENS], old = *max;
    const uint8_t *values = page + tile->value_offset;
    for (uint32_t j = begin; j < end; j++) {
        scores[j] = score(tile, tile->q[row], page + tile->key_offset, j);
        *max = fmaxf(*max, scores[j]);
    }
    double shrink = exp((double)old - (double)*max);
    for (uint32_t d = 0; d <= tile->head_dim; d++)
        sum[d] *= shrink;
    for (uint32_t j = begin; j < end; j++) {
        /* cppcheck-suppress uninitvar; the loop above filled the same range */
        double p = exp((double)scores[j] - (double)*max);
        for (uint32_t d = 0; d < tile->head_dim; d++)
            sum[d] += p * cached_value(tile, values, j, d);
        sum[tile->head_dim] += p;
    }
}

static void reference_attend(const struct attend_tile *tile, void *scratch)
{
    double *sum = scratch;
    for (uint32_t row = 0; row < tile->n_rows; row++) {
        uint32_t first = tile->first[row], last = tile->last[row];
        float max = tile->sink[row] ? *tile->sink[row] : -INFINITY;
        for (uint32_t d = 0; d < tile->head_dim; d++)
            sum[d] = 0;
        sum[tile->head_dim] = tile->sink[row] ? 1 : 0;
        for (uint32_t page = first / BACKEND_PAGE_TOKENS; page <= last / BACKEND_PAGE_TOKENS; page++) {
            uint32_t base = page * BACKEND_PAGE_TOKENS;
            uint32_t begin = first > base ? first - base : 0;
            uint32_t end = last - base < BACKEND_PAGE_TOKENS ? last - base + 1 : BACKEND_PAGE_TOKENS;
            attend_page(tile, row, tile->cache + tile->pages[page] * tile->page_bytes, begin, end, &max, sum);
        }
        for (uint32_t d = 0; d < tile->head_dim; d++)
            tile->out[row][d] = (float)(sum[d] / sum[tile->head_dim]);
    }
}

static size_t reference_attend_scratch_bytes(uint32_t head_dim)
{
    return ((size_t)head_dim + 1) * sizeof(double);
}

static void store_cached(uint8_t *array, size_t index, uint32_t kv_bits, float value)
{
    if (kv_bits == 32) {
        memcpy(array + index * sizeof value, &value, sizeof value);
        return;
    }
    /* Written so that a NaN passes both comparisons and stays visible. */
    value = value > 65504.0f ? 65504.0f : value < -65504.0f ? -65504.0f : value;
    uint16_t half = float_to_f16(value);
    memcpy(array + index * sizeof half, &half, sizeof half);
}

static void reference_kv_store(const float *key, const float *value, uint32_t head_dim, uint32_t kv_bits,
                               uint32_t position, uint8_t *page_keys, uint8_t *page_values)
{
    uint32_t slot = position % BACKEND_PAGE_TOKENS;
    if (kv_bits == 8) {
        kv_store_codes(key, value, head_dim, slot, page_keys, page_values);
        return;
    }
    for (uint32_t d = 0; d < head_dim; d++) {
        store_cached(page_keys, kv_key_index(slot, d, head_dim), kv_bits, key[d]);
        store_cached(page_values, (size_t)slot * head_dim + d, kv_bits, value[d]);
    }
}

void reference_attend_init(struct kernels *kernels)
{
    kernels->kv_store = reference_kv_store;
    kernels->attend = reference_attend;
    kernels->attend_scratch_bytes = reference_attend_scratch_bytes;
}
