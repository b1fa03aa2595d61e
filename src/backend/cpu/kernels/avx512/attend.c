/* Attention over the paged cache: up to eight queries share each load of a key or value.
 *
 * Page by page: scores of 64 keys (a lane is a key, dimensions in order), the online softmax is moved on
 * once, then the values are added in order of position (a lane is a dimension). A query's arithmetic depends
 * on its own range of keys only: a page that it does not see leaves its sums as they are, and a masked key
 * adds an exact zero.
 *
 * 8-bit numbers become f32 in registers. The scales of a group of dimensions (kv.h) multiply the group's part
 * of the scores, and the weights before they meet the group's values.
 */
#include <math.h>

#include "backend/cpu/kernels/avx512/avx512.h"
#include "backend/cpu/kernels/kv.h"

enum { PAGE = BACKEND_PAGE_TOKENS, PAGE_VECTORS = PAGE / 16, ROWS = KERNEL_MAX_ATTEND_ROWS };

struct attend_space {
    float weights[ROWS][PAGE]; /* scores, then softmax numerators */
    float scaled[ROWS][PAGE];  /* of 8 bits: numerators times the scales of a group's values */
    float highest[ROWS], sum[ROWS], rescale[ROWS];
    ptrdiff_t ahead; /* from a number of this page to the same one of the next */
    float *q;        /* [rows][head_dim], scaled */
    float *acc;      /* [rows][padded head_dim] */
};

static size_t padded_dim(uint32_t head_dim)
{
    return ((size_t)head_dim + 15) / 16 * 16;
}

size_t avx512_attend_scratch_bytes(uint32_t head_dim)
{
    return sizeof(struct attend_space) + 2 * padded_dim(head_dim) * ROWS * sizeof(float) + 64;
}

/* 16 cached numbers (codes, of 8 bits) as f32. */
ALWAYS_INLINE __m512 load_cached(const uint8_t *at, const uint32_t kv_bits, __mmask16 mask)
{
    switch (kv_bits) {
    case 32:
        return _mm512_maskz_loadu_ps(mask, at);
    case 16:
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, at));
    default:
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, at)));
    }
}

/* Asks for what the next page has at this place. A page lies far from the one before it, so that the
 * processor foresees nothing by itself, and a short page is over before its own guesses arrive. */
ALWAYS_INLINE void fetch_ahead(const struct attend_space *space, const uint8_t *at)
{
    _mm_prefetch((const char *)(at + space->ahead), _MM_HINT_T1);
}

/* The scales of element d at 16 positions from `slot` on. */
ALWAYS_INLINE __m512 load_scales(const struct attend_space *space, const uint8_t *codes, uint32_t slot,
                                 uint32_t d, uint32_t head_dim)
{
    const uint8_t *at = codes + kv_scale_offset(slot, d, head_dim);
    fetch_ahead(space, at);
    return bf16_to_f32(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

/* The end of the dimensions from d on that share scales; without scales all of them are one group. */
ALWAYS_INLINE uint32_t group_end(uint32_t d, uint32_t head_dim, const uint32_t kv_bits)
{
    return kv_bits == 8 ? d + kv_group_length(d, head_dim) : head_dim;
}

/* Adds dimensions [begin, end) to the scores of N queries with the 32 keys from `slot` on; `keys` is where
 * those of slot 0 begin. Two vectors of keys at a time keep 2 N sums in registers. */
ALWAYS_INLINE void score_group(struct attend_space *space, const uint32_t N, uint32_t head_dim,
                               const uint8_t *keys, const uint32_t kv_bits, uint32_t slot, uint32_t begin,
                               uint32_t end)
{
    size_t stride = padded_dim(head_dim);
    __m512 low[ROWS], high[ROWS];
    for (uint32_t r = 0; r < N; r++)
        low[r] = high[r] = _mm512_setzero_ps();
    const uint8_t *a = keys + (size_t)slot * head_dim * (kv_bits / 8);
    const uint8_t *b = a + (size_t)head_dim * 16 * (kv_bits / 8);
    for (uint32_t d = begin; d < end; d++) {
        __m512 first = load_cached(a + (size_t)d * 16 * (kv_bits / 8), kv_bits, 0xFFFF);
        __m512 second = load_cached(b + (size_t)d * 16 * (kv_bits / 8), kv_bits, 0xFFFF);
        fetch_ahead(space, a + (size_t)d * 16 * (kv_bits / 8));
        fetch_ahead(space, b + (size_t)d * 16 * (kv_bits / 8));
        for (uint32_t r = 0; r < N; r++) {
            __m512 q = _mm512_set1_ps(space->q[r * stride + d]);
            low[r] = _mm512_fmadd_ps(q, first, low[r]);
            high[r] = _mm512_fmadd_ps(q, second, high[r]);
        }
    }
    for (uint32_t r = 0; r < N; r++) {
        float *scores = space->weights[r] + slot;
        if (kv_bits == 8) {
            __m512 before = begin ? _mm512_loadu_ps(scores) : _mm512_setzero_ps();
            low[r] = _mm512_fmadd_ps(low[r], load_scales(space, keys, slot, begin, head_dim), before);
            before = begin ? _mm512_loadu_ps(scores + 16) : _mm512_setzero_ps();
            high[r] = _mm512_fmadd_ps(high[r], load_scales(space, keys, slot + 16, begin, head_dim), before);
        }
        _mm512_storeu_ps(scores, low[r]);
        _mm512_storeu_ps(scores + 16, high[r]);
    }
}

/* Scores of N queries with the keys of slots [0, n_slots), a multiple of 32. */
ALWAYS_INLINE void score_page(struct attend_space *space, const uint32_t N, uint32_t head_dim,
                              const uint8_t *keys, const uint32_t kv_bits, uint32_t n_slots)
{
    for (uint32_t slot = 0; slot < n_slots; slot += 32)
        for (uint32_t d = 0; d < head_dim; d = group_end(d, head_dim, kv_bits))
            score_group(space, N, head_dim, keys, kv_bits, slot, d, group_end(d, head_dim, kv_bits));
}

/* Turns row r's scores of the page that starts at position `start` into softmax numerators. */
static void softmax_page(struct attend_space *space, const struct attend_tile *tile, uint32_t r,
                         uint32_t start)
{
    const __m512 none = _mm512_set1_ps(-INFINITY);
    __m512 score[PAGE_VECTORS], most = none, total = _mm512_setzero_ps();
    __m512i first = _mm512_set1_epi32((int)tile->first[r]), last = _mm512_set1_epi32((int)tile->last[r]);
    for (uint32_t v = 0; v < PAGE_VECTORS; v++) {
        __m512i position =
            _mm512_add_epi32(_mm512_set1_epi32((int)(start + v * 16)),
                             _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
        __mmask16 seen = _mm512_cmple_epi32_mask(first, position) & _mm512_cmple_epi32_mask(position, last);
        __m512 s = _mm512_loadu_ps(space->weights[r] + (size_t)v * 16);
        if (tile->softcap > 0)
            s = softcap_ps(s, _mm512_set1_ps(tile->softcap));
        score[v] = _mm512_mask_mov_ps(none, seen, s);
        most = _mm512_max_ps(most, score[v]);
    }
    float highest = fmaxf(space->highest[r], _mm512_reduce_max_ps(most));
    space->rescale[r] = 1.0f;
    if (highest == -INFINITY) { /* nothing seen yet */
        for (uint32_t v = 0; v < PAGE_VECTORS; v++)
            _mm512_storeu_ps(space->weights[r] + (size_t)v * 16, _mm512_setzero_ps());
        return;
    }
    if (space->highest[r] != highest)
        space->rescale[r] = _mm512_cvtss_f32(exp_ps(_mm512_set1_ps(space->highest[r] - highest)));
    for (uint32_t v = 0; v < PAGE_VECTORS; v++) {
        __m512 p = exp_ps(_mm512_sub_ps(score[v], _mm512_set1_ps(highest)));
        p = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(score[v], none, _CMP_NEQ_UQ), p);
        total = _mm512_add_ps(total, p);
        _mm512_storeu_ps(space->weights[r] + (size_t)v * 16, p);
    }
    space->sum[r] = space->sum[r] * space->rescale[r] + sum_lanes(total);
    space->highest[r] = highest;
}

/* Multiplies the weights by the scales of element d's group. */
ALWAYS_INLINE void scale_weights(struct attend_space *space, const uint32_t N, uint32_t head_dim,
                                 const uint8_t *values, uint32_t d)
{
    for (uint32_t slot = 0; slot < PAGE; slot += 16) {
        __m512 scale = load_scales(space, values, slot, d, head_dim);
        for (uint32_t r = 0; r < N; r++) {
            __m512 weight = _mm512_loadu_ps(space->weights[r] + slot);
            _mm512_storeu_ps(space->scaled[r] + slot, _mm512_mul_ps(weight, scale));
        }
    }
}

/* acc = acc * rescale + weights * values, for keys [begin, end) of the page. */
ALWAYS_INLINE void add_values(struct attend_space *space, const uint32_t N, uint32_t head_dim,
                              const uint8_t *values, const uint32_t kv_bits, uint32_t begin, uint32_t end)
{
    size_t stride = padded_dim(head_dim);
    const float(*weights)[PAGE] = kv_bits == 8 ? space->scaled : space->weights;
    for (uint32_t d = 0; d < head_dim; d += 16) {
        __mmask16 mask = first_lanes(head_dim - d);
        __m512 acc[ROWS];
        if (kv_bits == 8 && d % KV_GROUP == 0)
            scale_weights(space, N, head_dim, values, d);
        for (uint32_t r = 0; r < N; r++)
            acc[r] = _mm512_mul_ps(_mm512_loadu_ps(space->acc + r * stride + d),
                                   _mm512_set1_ps(space->rescale[r]));
        for (uint32_t k = begin; k < end; k++) {
            const uint8_t *at = values + ((size_t)k * head_dim + d) * (kv_bits / 8);
            __m512 value = load_cached(at, kv_bits, mask);
            fetch_ahead(space, at);
            for (uint32_t r = 0; r < N; r++)
                acc[r] = _mm512_fmadd_ps(_mm512_set1_ps(weights[r][k]), value, acc[r]);
        }
        for (uint32_t r = 0; r < N; r++)
            _mm512_storeu_ps(space->acc + r * stride + d, acc[r]);
    }
}

ALWAYS_INLINE void attend_pages(const struct attend_tile *tile, struct attend_space *space, const uint32_t N,
                                const uint32_t kv_bits)
{
    uint32_t first = tile->first[0], last = tile->last[0];
    for (uint32_t r = 1; r < N; r++) {
        first = tile->first[r] < first ? tile->first[r] : first;
        last = tile->last[r] > last ? tile->last[r] : last;
    }
    for (uint32_t page = first / PAGE; page <= last / PAGE; page++) {
        const uint8_t *base = tile->cache + tile->pages[page] * tile->page_bytes;
        const uint8_t *next =
            page < last / PAGE ? tile->cache + tile->pages[page + 1] * tile->page_bytes : base;
        uint32_t start = page * PAGE;
        space->ahead = next - base;
        uint32_t begin = first > start ? first - start : 0,
                 end = last - start < PAGE ? last - start + 1 : PAGE;
        score_page(space, N, tile->head_dim, base + tile->key_offset, kv_bits, (end + 31) / 32 * 32);
        for (uint32_t r = 0; r < N; r++)
            softmax_page(space, tile, r, start);
        add_values(space, N, tile->head_dim, base + tile->value_offset, kv_bits, begin, end);
    }
}

ALWAYS_INLINE void attend_rows(const struct attend_tile *tile, struct attend_space *space,
                               const uint32_t kv_bits)
{
    switch (tile->n_rows) {
    case 1:
        attend_pages(tile, space, 1, kv_bits);
        break;
    case 2:
        attend_pages(tile, space, 2, kv_bits);
        break;
    case 3:
        attend_pages(tile, space, 3, kv_bits);
        break;
    case 4:
        attend_pages(tile, space, 4, kv_bits);
        break;
    case 5:
        attend_pages(tile, space, 5, kv_bits);
        break;
    case 6:
        attend_pages(tile, space, 6, kv_bits);
        break;
    case 7:
        attend_pages(tile, space, 7, kv_bits);
        break;
    default:
        attend_pages(tile, space, 8, kv_bits);
        break;
    }
}

static void attend_codes(const struct attend_tile *tile, struct attend_space *space)
{
    attend_rows(tile, space, 8);
}

static void attend_f16(const struct attend_tile *tile, struct attend_space *space)
{
    attend_rows(tile, space, 16);
}

static void attend_f32(const struct attend_tile *tile, struct attend_space *space)
{
    attend_rows(tile, space, 32);
}

static void begin_row(const struct attend_tile *tile, struct attend_space *space, uint32_t r)
{
    size_t stride = padded_dim(tile->head_dim);
    for (size_t d = 0; d < stride; d++) {
        space->q[r * stride + d] = d < tile->head_dim ? tile->q[r][d] * tile->scale : 0;
        space->acc[r * stride + d] = 0;
    }
    space->highest[r] = -INFINITY;
    space->sum[r] = 0;
}

/* A sink takes part in the softmax and brings no value. */
static void finish_row(const struct attend_tile *tile, struct attend_space *space, uint32_t r)
{
    size_t stride = padded_dim(tile->head_dim);
    float sum = space->sum[r], factor = 1.0f;
    if (tile->sink[r]) {
        float highest = fmaxf(space->highest[r], *tile->sink[r]);
        factor = expf(space->highest[r] - highest);
        sum = sum * factor + expf(*tile->sink[r] - highest);
    }
    factor /= sum;
    for (uint32_t d = 0; d < tile->head_dim; d++)
        tile->out[r][d] = space->acc[r * stride + d] * factor;
}

void avx512_attend(const struct attend_tile *tile, void *scratch)
{
    struct attend_space *space = (void *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    space->q = (float *)(void *)(space + 1);
    space->acc = space->q + ROWS * padded_dim(tile->head_dim);
    for (uint32_t r = 0; r < tile->n_rows; r++)
        begin_row(tile, space, r);
    if (tile->kv_bits == 32)
        attend_f32(tile, space);
    else if (tile->kv_bits == 16)
        attend_f16(tile, space);
    else
        attend_codes(tile, space);
    for (uint32_t r = 0; r < tile->n_rows; r++)
        finish_row(tile, space, r);
}
