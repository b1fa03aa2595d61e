/* Attention of up to eight queries over one key head's pages, and storing into those pages.
 *
 * Scores: one vector holds one dimension of 8 neighbouring keys, so a score is fma(q[d], k[d], s) over d
 * ascending, for one query as for many. Softmax online, once per page (Milakov & Gimelshein 2018). Values:
 * out[d] = fma(p[j], v[j][d], out[d]) over visible j ascending.
 *
 * Rows of a tile may see different keys. Work is shared only where rows see the same ones: a row never adds
 * the zero weight of a key it does not see, because that key may hold infinity, and so every row computes
 * what it would compute alone, bit for bit.
 *
 * 8-bit numbers become f32 in registers. The scales of a group of dimensions (kv.h) multiply the group's part
 * of the scores, and the weights before they meet the group's values.
 */
#include "backend/cpu/kernels/avx2/avx2.h"

#include <math.h>

#include "backend/cpu/kernels/avx2/simd.h"
#include "backend/cpu/kernels/kv.h"
#include "base/float16.h"

enum { PAGE = BACKEND_PAGE_TOKENS, GROUP = 4 /* rows that share loads */ };

/* Working state of a tile; sums holds each row's softmax weights lane by lane (position modulo 8). */
struct softmax {
    float weights[KERNEL_MAX_ATTEND_ROWS][PAGE];
    float scaled[KERNEL_MAX_ATTEND_ROWS][PAGE]; /* of 8 bits: weights times the scales of a group's values */
    float sums[KERNEL_MAX_ATTEND_ROWS][8];
    float max[KERNEL_MAX_ATTEND_ROWS];
    uint32_t begin[KERNEL_MAX_ATTEND_ROWS], end[KERNEL_MAX_ATTEND_ROWS]; /* visible slots of the page */
    ptrdiff_t ahead; /* from a number of this page to the same one of the next */
};

/* Asks for what the next page has at this place. A page lies far from the one before it, so that the
 * processor foresees nothing by itself, and a short page is over before its own guesses arrive. */
ALWAYS_INLINE void fetch_ahead(const uint8_t *at, ptrdiff_t ahead)
{
    _mm_prefetch((const char *)(at + ahead), _MM_HINT_T1);
}

/* 8 cached numbers (codes, of 8 bits) as f32. */
ALWAYS_INLINE __m256 load_cached(const uint8_t *p, size_t index, uint32_t kv_bits)
{
    if (kv_bits == 32)
        return _mm256_loadu_ps((const float *)(const void *)(p + index * 4));
    if (kv_bits == 16)
        return _mm256_cvtph_ps(load_16_bytes(p + index * 2));
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p + index))));
}

/* One cached number. */
ALWAYS_INLINE float cached(const uint8_t *p, size_t index, uint32_t kv_bits)
{
    if (kv_bits == 8)
        return (float)(int8_t)p[index];
    enum scalar_type type = kv_bits == 32 ? SCALAR_F32 : SCALAR_F16;
    return _mm256_cvtss_f32(load_scalars(type, p + index * (kv_bits / 8), 1));
}

/* The scales of element d at 8 positions from `slot` on. */
ALWAYS_INLINE __m256 load_scales(const uint8_t *codes, uint32_t slot, uint32_t d, uint32_t head_dim,
                                 ptrdiff_t ahead)
{
    const uint8_t *at = codes + kv_scale_offset(slot, d, head_dim);
    fetch_ahead(at, ahead);
    return from_bf16(load_16_bytes(at));
}

/* The end of the dimensions from d on that share scales; without scales all of them are one group. */
ALWAYS_INLINE uint32_t group_end(uint32_t d, uint32_t head_dim, uint32_t kv_bits)
{
    return kv_bits == 8 ? d + kv_group_length(d, head_dim) : head_dim;
}

/* ---- scores ---- */

/* Adds dimensions [begin, end) to the products of n queries with the 16 keys from `slot` on; `keys` is where
 * those of slot 0 begin. */
ALWAYS_INLINE void score_group(uint32_t n, uint32_t kv_bits, const float *const *q, const uint8_t *keys,
                               uint32_t slot, uint32_t head_dim, uint32_t begin, uint32_t end,
                               ptrdiff_t ahead, float *const *out)
{
    __m256 low[GROUP], high[GROUP];
    const uint8_t *block = keys + (size_t)slot * head_dim * (kv_bits / 8);
#pragma GCC unroll 4
    for (uint32_t r = 0; r < n; r++)
        low[r] = high[r] = _mm256_setzero_ps();
    for (uint32_t d = begin; d < end; d++) {
        __m256 k0 = load_cached(block, (size_t)d * KERNEL_KEY_BLOCK, kv_bits);
        __m256 k1 = load_cached(block, (size_t)d * KERNEL_KEY_BLOCK + 8, kv_bits);
        fetch_ahead(block + (size_t)d * KERNEL_KEY_BLOCK * (kv_bits / 8), ahead);
#pragma GCC unroll 4
        for (uint32_t r = 0; r < n; r++) {
            __m256 x = _mm256_broadcast_ss(q[r] + d);
            low[r] = _mm256_fmadd_ps(x, k0, low[r]);
            high[r] = _mm256_fmadd_ps(x, k1, high[r]);
        }
    }
#pragma GCC unroll 4
    for (uint32_t r = 0; r < n; r++) {
        if (kv_bits == 8) {
            __m256 before = begin ? _mm256_loadu_ps(out[r]) : _mm256_setzero_ps();
            low[r] = _mm256_fmadd_ps(low[r], load_scales(keys, slot, begin, head_dim, ahead), before);
            before = begin ? _mm256_loadu_ps(out[r] + 8) : _mm256_setzero_ps();
            high[r] = _mm256_fmadd_ps(high[r], load_scales(keys, slot + 8, begin, head_dim, ahead), before);
        }
        _mm256_storeu_ps(out[r], low[r]);
        _mm256_storeu_ps(out[r] + 8, high[r]);
    }
}

ALWAYS_INLINE void score_block(uint32_t n, uint32_t kv_bits, const float *const *q, const uint8_t *keys,
                               uint32_t slot, uint32_t head_dim, ptrdiff_t ahead, float *const *out)
{
    for (uint32_t d = 0; d < head_dim; d = group_end(d, head_dim, kv_bits))
        score_group(n, kv_bits, q, keys, slot, head_dim, d, group_end(d, head_dim, kv_bits), ahead, out);
}

ALWAYS_INLINE void score_block_n(uint32_t n, uint32_t kv_bits, const float *const *q, const uint8_t *keys,
                                 uint32_t slot, uint32_t head_dim, ptrdiff_t ahead, float *const *out)
{
    if (n == 4)
        score_block(4, kv_bits, q, keys, slot, head_dim, ahead, out);
    else if (n == 3)
        score_block(3, kv_bits, q, keys, slot, head_dim, ahead, out);
    else if (n == 2)
        score_block(2, kv_bits, q, keys, slot, head_dim, ahead, out);
    else
        score_block(1, kv_bits, q, keys, slot, head_dim, ahead, out);
}

/* Scores of every row with the key blocks it sees. */
static void score_page(const struct attend_tile *tile, const uint8_t *keys, struct softmax *state)
{
    for (uint32_t slot = 0; slot < PAGE; slot += KERNEL_KEY_BLOCK) {
        const float *q[KERNEL_MAX_ATTEND_ROWS];
        float *out[KERNEL_MAX_ATTEND_ROWS];
        uint32_t n = 0;
        for (uint32_t r = 0; r < tile->n_rows; r++) {
            if (state->begin[r] >= slot + KERNEL_KEY_BLOCK || state->end[r] <= slot)
                continue;
            q[n] = tile->q[r];
            out[n++] = state->weights[r] + slot;
        }
        for (uint32_t done = 0; done < n; done += GROUP) {
            uint32_t rows = n - done < GROUP ? n - done : GROUP;
            if (tile->kv_bits == 32)
                score_block_n(rows, 32, q + done, keys, slot, tile->head_dim, state->ahead, out + done);
            else if (tile->kv_bits == 16)
                score_block_n(rows, 16, q + done, keys, slot, tile->head_dim, state->ahead, out + done);
            else
                score_block_n(rows, 8, q + done, keys, slot, tile->head_dim, state->ahead, out + done);
        }
    }
}

/* ---- softmax ---- */

/* Lanes of slots begin .. end - 1, of the eight from slot on. */
ALWAYS_INLINE __m256 visible_lanes(uint32_t slot, uint32_t begin, uint32_t end)
{
    __m256i at = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)slot));
    __m256i from = _mm256_cmpgt_epi32(at, _mm256_set1_epi32((int)begin - 1));
    return _mm256_castsi256_ps(_mm256_and_si256(from, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)end), at)));
}

static void scale_row(float *row, uint32_t n, float factor)
{
    for (uint32_t d = 0; d < n; d += 8)
        store_first(row + d, n - d, _mm256_mul_ps(load_first(row + d, n - d), _mm256_set1_ps(factor)));
}

/* Turns a row's scores of this page into weights exp(score - max), 0 where it does not see; what was summed
 * before shrinks to the new maximum. */
static void weigh_page(const struct attend_tile *tile, uint32_t r, struct softmax *state)
{
    const __m256 minus_infinity = _mm256_set1_ps(-INFINITY);
    float *weights = state->weights[r];
    uint32_t begin = state->begin[r], end = state->end[r];
    __m256 largest = _mm256_set1_ps(state->max[r]);
    for (uint32_t j = begin / 8 * 8; j < end; j += 8) {
        __m256 s = _mm256_mul_ps(_mm256_loadu_ps(weights + j), _mm256_set1_ps(tile->scale));
        if (tile->softcap > 0)
            s = softcap_ps(s, _mm256_set1_ps(tile->softcap));
        s = _mm256_blendv_ps(minus_infinity, s, visible_lanes(j, begin, end));
        largest = _mm256_max_ps(largest, s);
        _mm256_storeu_ps(weights + j, s);
    }
    float max = max_lanes(largest);
    __m256 new_max = _mm256_set1_ps(max);
    __m256 shrink = exp_ps(_mm256_sub_ps(_mm256_set1_ps(state->max[r]), new_max));
    __m256 sum = _mm256_mul_ps(_mm256_loadu_ps(state->sums[r]), shrink);
    for (uint32_t j = begin / 8 * 8; j < end; j += 8) {
        __m256 p = exp_ps(_mm256_sub_ps(_mm256_loadu_ps(weights + j), new_max));
        p = _mm256_and_ps(p, visible_lanes(j, begin, end));
        sum = _mm256_add_ps(sum, p);
        _mm256_storeu_ps(weights + j, p);
    }
    _mm256_storeu_ps(state->sums[r], sum);
    if (max > state->max[r])
        scale_row(tile->out[r], tile->head_dim, _mm256_cvtss_f32(shrink));
    state->max[r] = max;
}

/* ---- values ---- */

/* Which numbers of a page's values are added up. */
struct span {
    uint32_t d, d_end;   /* dimensions */
    uint32_t begin, end; /* slots */
    ptrdiff_t ahead;
};

/* out[r][d .. d + 8 * wide) += weights[r][j] * values[j] for the slots j of the span. */
ALWAYS_INLINE void add_columns(uint32_t n, uint32_t wide, uint32_t kv_bits, const float *const *weights,
                               const uint8_t *values, uint32_t head_dim, uint32_t d, struct span span,
                               float *const *out)
{
    __m256 acc[GROUP][2];
#pragma GCC unroll 4
    for (uint32_t r = 0; r < n; r++)
#pragma GCC unroll 2
        for (uint32_t i = 0; i < wide; i++)
            acc[r][i] = _mm256_loadu_ps(out[r] + d + (size_t)8 * i);
    for (uint32_t j = span.begin; j < span.end; j++) {
        __m256 v[2];
        fetch_ahead(values + ((size_t)j * head_dim + d) * (kv_bits / 8), span.ahead);
#pragma GCC unroll 2
        for (uint32_t i = 0; i < wide; i++)
            v[i] = load_cached(values, (size_t)j * head_dim + d + (size_t)8 * i, kv_bits);
#pragma GCC unroll 4
        for (uint32_t r = 0; r < n; r++) {
            __m256 p = _mm256_broadcast_ss(weights[r] + j);
#pragma GCC unroll 2
            for (uint32_t i = 0; i < wide; i++)
                acc[r][i] = _mm256_fmadd_ps(p, v[i], acc[r][i]);
        }
    }
#pragma GCC unroll 4
    for (uint32_t r = 0; r < n; r++)
#pragma GCC unroll 2
        for (uint32_t i = 0; i < wide; i++)
            _mm256_storeu_ps(out[r] + d + (size_t)8 * i, acc[r][i]);
}

ALWAYS_INLINE void add_values(uint32_t n, uint32_t kv_bits, const float *const *weights,
                              const uint8_t *values, uint32_t head_dim, struct span span, float *const *out)
{
    uint32_t d = span.d;
    for (; d + 16 <= span.d_end; d += 16)
        add_columns(n, 2, kv_bits, weights, values, head_dim, d, span, out);
    for (; d + 8 <= span.d_end; d += 8)
        add_columns(n, 1, kv_bits, weights, values, head_dim, d, span, out);
    for (; d < span.d_end; d++)
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t j = span.begin; j < span.end; j++)
                out[r][d] = fmaf(weights[r][j], cached(values, (size_t)j * head_dim + d, kv_bits), out[r][d]);
}

ALWAYS_INLINE void add_values_bits(uint32_t n, uint32_t kv_bits, const float *const *weights,
                                   const uint8_t *values, uint32_t head_dim, struct span span,
                                   float *const *out)
{
    if (n == 4)
        add_values(4, kv_bits, weights, values, head_dim, span, out);
    else if (n == 3)
        add_values(3, kv_bits, weights, values, head_dim, span, out);
    else if (n == 2)
        add_values(2, kv_bits, weights, values, head_dim, span, out);
    else
        add_values(1, kv_bits, weights, values, head_dim, span, out);
}

static void add_values_n(uint32_t n, const struct attend_tile *tile, const float *const *weights,
                         const uint8_t *values, struct span span, float *const *out)
{
    if (span.begin >= span.end)
        return;
    if (tile->kv_bits == 32)
        add_values_bits(n, 32, weights, values, tile->head_dim, span, out);
    else if (tile->kv_bits == 16)
        add_values_bits(n, 16, weights, values, tile->head_dim, span, out);
    else
        add_values_bits(n, 8, weights, values, tile->head_dim, span, out);
}

/* Dimensions [d, d_end) of the page's values. The slots that all rows of a group see go together; what lies
 * before and behind, row by row. */
static void add_dimensions(const struct attend_tile *tile, const uint8_t *values, const struct softmax *state,
                           uint32_t d, uint32_t d_end)
{
    for (uint32_t first = 0; first < tile->n_rows; first += GROUP) {
        const float *weights[GROUP];
        float *out[GROUP];
        uint32_t begin[GROUP], end[GROUP], n = 0, from = 0, to = PAGE;
        for (uint32_t r = first; r < tile->n_rows && r < first + GROUP; r++) {
            if (state->begin[r] >= state->end[r])
                continue;
            weights[n] = tile->kv_bits == 8 ? state->scaled[r] : state->weights[r];
            out[n] = tile->out[r];
            begin[n] = state->begin[r];
            end[n] = state->end[r];
            from = begin[n] > from ? begin[n] : from;
            to = end[n] < to ? end[n] : to;
            n++;
        }
        if (n == 0)
            continue;
        if (from > to)
            to = from;
        for (uint32_t r = 0; r < n; r++)
            add_values_n(1, tile, weights + r, values,
                         (struct span){d, d_end, begin[r], from < end[r] ? from : end[r], state->ahead},
                         out + r);
        add_values_n(n, tile, weights, values, (struct span){d, d_end, from, to, state->ahead}, out);
        for (uint32_t r = 0; r < n; r++)
            add_values_n(1, tile, weights + r, values,
                         (struct span){d, d_end, to > begin[r] ? to : begin[r], end[r], state->ahead},
                         out + r);
    }
}

/* Multiplies the weights by the scales of element d's group. */
static void scale_weights(const struct attend_tile *tile, const uint8_t *values, struct softmax *state,
                          uint32_t d)
{
    for (uint32_t r = 0; r < tile->n_rows; r++)
        for (uint32_t slot = state->begin[r] / 8 * 8; slot < state->end[r]; slot += 8) {
            __m256 scale = load_scales(values, slot, d, tile->head_dim, state->ahead);
            __m256 weight = _mm256_loadu_ps(state->weights[r] + slot);
            _mm256_storeu_ps(state->scaled[r] + slot, _mm256_mul_ps(weight, scale));
        }
}

static void add_page(const struct attend_tile *tile, const uint8_t *values, struct softmax *state)
{
    for (uint32_t d = 0, end; d < tile->head_dim; d = end) {
        end = group_end(d, tile->head_dim, tile->kv_bits);
        if (tile->kv_bits == 8)
            scale_weights(tile, values, state, d);
        add_dimensions(tile, values, state, d, end);
    }
}

/* ---- the tile ---- */

static void avx2_attend(const struct attend_tile *tile, void *scratch)
{
    struct softmax *state = scratch;
    uint32_t lowest = tile->first[0], highest = tile->last[0];
    for (uint32_t r = 0; r < tile->n_rows; r++) {
        lowest = tile->first[r] < lowest ? tile->first[r] : lowest;
        highest = tile->last[r] > highest ? tile->last[r] : highest;
        state->max[r] = tile->sink[r] ? *tile->sink[r] : -INFINITY;
        memset(state->sums[r], 0, sizeof state->sums[r]);
        state->sums[r][0] = tile->sink[r] ? 1.0f : 0.0f;
        memset(tile->out[r], 0, tile->head_dim * sizeof(float));
    }
    for (uint32_t page = lowest / PAGE; page <= highest / PAGE; page++) {
        const uint8_t *at = tile->cache + tile->pages[page] * tile->page_bytes;
        const uint8_t *next =
            page < highest / PAGE ? tile->cache + tile->pages[page + 1] * tile->page_bytes : at;
        uint32_t base = page * PAGE;
        state->ahead = next - at;
        for (uint32_t r = 0; r < tile->n_rows; r++) {
            uint32_t first = tile->first[r], last = tile->last[r];
            bool seen = first < base + PAGE && last >= base;
            state->begin[r] = seen && first > base ? first - base : 0;
            state->end[r] = !seen ? 0 : last - base < PAGE ? last - base + 1 : PAGE;
        }
        score_page(tile, at + tile->key_offset, state);
        for (uint32_t r = 0; r < tile->n_rows; r++)
            if (state->end[r])
                weigh_page(tile, r, state);
        add_page(tile, at + tile->value_offset, state);
    }
    for (uint32_t r = 0; r < tile->n_rows; r++)
        scale_row(tile->out[r], tile->head_dim, 1.0f / sum_lanes(_mm256_loadu_ps(state->sums[r])));
}

static size_t avx2_attend_scratch_bytes(uint32_t head_dim)
{
    (void)head_dim;
    return sizeof(struct softmax);
}

/* ---- storing ---- */

/* Written so that a NaN passes both (min and max return their second operand). */
ALWAYS_INLINE __m128i to_f16(__m256 v)
{
    v = _mm256_min_ps(_mm256_set1_ps(65504.0f), v);
    v = _mm256_max_ps(_mm256_set1_ps(-65504.0f), v);
    return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
}

static void avx2_kv_store(const float *key, const float *value, uint32_t head_dim, uint32_t kv_bits,
                          uint32_t position, uint8_t *page_keys, uint8_t *page_values)
{
    uint32_t slot = position % PAGE;
    if (kv_bits == 8) {
        kv_store_codes(key, value, head_dim, slot, page_keys, page_values);
        return;
    }
    uint8_t *row = page_values + (size_t)slot * head_dim * (kv_bits / 8);
    if (kv_bits == 32) {
        memcpy(row, value, head_dim * sizeof *value);
        for (uint32_t d = 0; d < head_dim; d++)
            memcpy(page_keys + kv_key_index(slot, d, head_dim) * sizeof *key, key + d, sizeof *key);
        return;
    }
    for (uint32_t d = 0; d < head_dim; d += 8) {
        uint32_t n = head_dim - d < 8 ? head_dim - d : 8;
        uint16_t halves[8];
        _mm_storeu_si128((__m128i *)(void *)halves, to_f16(load_first(value + d, n)));
        memcpy(row + d * sizeof *halves, halves, n * sizeof *halves);
        _mm_storeu_si128((__m128i *)(void *)halves, to_f16(load_first(key + d, n)));
        for (uint32_t i = 0; i < n; i++)
            memcpy(page_keys + kv_key_index(slot, d + i, head_dim) * sizeof *halves, halves + i,
                   sizeof *halves);
    }
}

void avx2_attend_init(struct kernels *kernels)
{
    kernels->attend = avx2_attend;
    kernels->attend_scratch_bytes = avx2_attend_scratch_bytes;
    kernels->kv_store = avx2_kv_store;
}
