/* attend and kv_store.
 *
 * Tolerance of attend, u = 2^-24. A score of head_dim products is off by (head_dim + 8) u sum|q k| scale, a
 * softcap adds a few u * cap, and exp's argument is rounded at its own size. A weight exp(score - max) is off
 * by that much relatively, in numerator and denominator alike; sums over n keys add n u. All of it weighs at
 * most the largest |value|. 8-bit numbers may be stored half a step, 1/254 of the largest one beside them,
 * away from what they were, which moves these bounds and not the tolerance: both sides read the same page.
 */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/cpu/kernels/kv.h"
#include "base/float16.h"

static const double u = 0x1p-24;
enum { PAGE = BACKEND_PAGE_TOKENS, MAX_PAGES = 8, MAX_HEAD_DIM = 256, NO_PAGE = 0x7FFFFFFF };

struct scene {
    struct attend_tile tile;
    uint32_t pages[MAX_PAGES], n_kv_heads, kv_head;
    float q[KERNEL_MAX_ATTEND_ROWS][MAX_HEAD_DIM], sinks[KERNEL_MAX_ATTEND_ROWS];
    double largest_score, largest_value, largest_sink;
};

static const uint32_t cache_bits[] = {8, 16, 32};

/* Which keys each row sees. */
static void pick_spans(struct attend_tile *tile)
{
    uint32_t top = random_below(3) ? random_below(300) : random_below(20), window = random_below(100) + 1;
    uint32_t kind = random_below(4);
    for (uint32_t r = 0; r < tile->n_rows; r++) {
        tile->last[r] = top + (kind ? r / 2 : 0);
        tile->first[r] = 0;
        if (kind == 2 && tile->last[r] >= window)
            tile->first[r] = tile->last[r] - window + 1;
        if (kind == 3) { /* anything, disjoint spans too */
            tile->first[r] = random_below(tile->last[r] + 1);
            tile->last[r] = tile->first[r] + random_below(tile->last[r] - tile->first[r] + 1);
        }
    }
}

/* Pages in a random order; those before the first one needed do not exist. */
static void pick_pages(struct scene *s, uint32_t lowest, uint32_t highest)
{
    uint32_t n = highest / PAGE + 1;
    for (uint32_t i = 0; i < n; i++)
        s->pages[i] = i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t other = random_below(i + 1), kept = s->pages[i];
        s->pages[i] = s->pages[other];
        s->pages[other] = kept;
    }
    for (uint32_t i = 0; i < lowest / PAGE; i++)
        s->pages[i] = NO_PAGE;
    s->tile.pages = s->pages;
}

/* Stores keys and values from the start of the lowest page on; what lies behind the highest stays NaN. */
static void fill_cache(struct scene *s, const struct kernels *reference, uint8_t *cache, uint32_t lowest,
                       uint32_t highest)
{
    struct attend_tile *tile = &s->tile;
    float key[MAX_HEAD_DIM], value[MAX_HEAD_DIM];
    enum fill fill = random_below(4) ? FILL_NORMAL : FILL_OUTLIERS;
    for (uint32_t p = lowest / PAGE * PAGE; p <= highest; p++) {
        uint8_t *page = cache + s->pages[p / PAGE] * tile->page_bytes;
        fill_floats(key, tile->head_dim, fill);
        fill_floats(value, tile->head_dim, fill);
        reference->kv_store(key, value, tile->head_dim, tile->kv_bits, p, page + tile->key_offset,
                            page + tile->value_offset);
        double largest_key = 0;
        for (uint32_t d = 0; d < tile->head_dim; d++) {
            s->largest_value = fmax(s->largest_value, 1.01 * fabs((double)value[d]));
            largest_key = fmax(largest_key, fabs((double)key[d]));
        }
        double step = tile->kv_bits == 8 ? largest_key / 250 : 0;
        for (uint32_t r = 0; r < tile->n_rows; r++) {
            double score = 0;
            for (uint32_t d = 0; d < tile->head_dim; d++)
                score += (fabs((double)key[d]) + step) * fabs((double)s->q[r][d]);
            s->largest_score = fmax(s->largest_score, score * (double)tile->scale);
        }
    }
}

static void make_scene(struct scene *s, const struct kernels *reference, uint32_t head_dim, uint32_t kv_bits)
{
    memset(s, 0, sizeof *s);
    struct attend_tile *tile = &s->tile;
    *tile = (struct attend_tile){.n_rows = 1 + random_below(KERNEL_MAX_ATTEND_ROWS),
                                 .head_dim = head_dim,
                                 .kv_bits = kv_bits,
                                 .scale = 1.0f / sqrtf((float)head_dim)};
    tile->softcap = random_below(4) ? 0 : 50;
    s->n_kv_heads = head_dim > 128 ? 1 : 1 + random_below(3);
    s->kv_head = random_below(s->n_kv_heads);
    tile->page_bytes = s->n_kv_heads * kv_head_bytes(head_dim, kv_bits);
    tile->key_offset = kv_key_offset(s->kv_head, head_dim, kv_bits);
    tile->value_offset = kv_value_offset(s->kv_head, head_dim, kv_bits);
    pick_spans(tile);
    uint32_t lowest = tile->first[0], highest = 0;
    bool sinks = random_below(3) == 0;
    enum fill fill = random_below(4) ? FILL_NORMAL : random_below(FILL_HUGE);
    for (uint32_t r = 0; r < tile->n_rows; r++) {
        lowest = tile->first[r] < lowest ? tile->first[r] : lowest;
        highest = tile->last[r] > highest ? tile->last[r] : highest;
        fill_floats(s->q[r], head_dim, fill);
        s->sinks[r] = random_uniform(-5, 5);
        tile->q[r] = s->q[r];
        tile->sink[r] = sinks ? &s->sinks[r] : NULL;
    }
    pick_pages(s, lowest, highest);
    size_t bytes = (highest / PAGE + 1) * tile->page_bytes;
    uint8_t *cache = guard_place(AREA_WEIGHT, bytes, random_below(2) ? PLACE_END : PLACE_START, 0);
    memset(cache, 0xFF, bytes);
    tile->cache = cache;
    fill_cache(s, reference, cache, lowest, highest);
}

/* All rows' outputs one behind the other. */
static float *place_out(struct attend_tile *tile, enum area area)
{
    float *out = guard_place(area, tile->n_rows * tile->head_dim * sizeof *out, PLACE_END, 0);
    for (uint32_t r = 0; r < tile->n_rows; r++)
        tile->out[r] = out + r * tile->head_dim;
    return out;
}

/* Rows [from, from + n) of a tile as a tile of their own. */
static struct attend_tile part_of(const struct attend_tile *tile, uint32_t from, uint32_t n)
{
    struct attend_tile part = *tile;
    part.n_rows = n;
    for (uint32_t r = 0; r < n; r++) {
        part.q[r] = tile->q[from + r];
        part.first[r] = tile->first[from + r];
        part.last[r] = tile->last[from + r];
        part.sink[r] = tile->sink[from + r];
    }
    return part;
}

static void attend_case(const struct kernels *k, const struct kernels *reference, uint32_t head_dim,
                        uint32_t kv_bits)
{
    static struct scene s;
    static uint8_t reference_scratch[(MAX_HEAD_DIM + 1) * sizeof(double)] __attribute__((aligned(8)));
    make_scene(&s, reference, head_dim, kv_bits);
    size_t n = s.tile.n_rows * head_dim;
    void *scratch = guard_scratch(k->attend_scratch_bytes(head_dim));
    float *want = place_out(&s.tile, AREA_OUT2);
    reference->attend(&s.tile, reference_scratch);
    float *got = place_out(&s.tile, AREA_OUT);
    k->attend(&s.tile, scratch);
    double score = (head_dim + 8) * u * s.largest_score + 16 * u * (double)s.tile.softcap +
                   4 * u * fmin(s.largest_score, 1e4) + 16 * u;
    double tolerance = s.largest_value * (2 * score + (s.tile.last[0] + 340.0) * u);
    bool good = true;
    for (size_t i = 0; i < n; i++)
        good = good && near_enough(got[i], want[i], tolerance);
    check_that(good, "head_dim %u, %u bits, %u rows, last %u", head_dim, kv_bits, s.tile.n_rows,
               s.tile.last[0]);
    bool invariant = true;
    for (uint32_t r = 0; r < s.tile.n_rows; r++) {
        uint32_t rows = random_below(3) ? 1 : 1 + random_below(s.tile.n_rows - r);
        struct attend_tile part = part_of(&s.tile, r, rows);
        float *alone = place_out(&part, AREA_OUT3);
        k->attend(&part, scratch);
        invariant = invariant && same_bits(alone, got + r * head_dim, rows * head_dim * sizeof *got);
    }
    check_that(invariant, "head_dim %u, %u bits, %u rows: not batch-invariant", head_dim, kv_bits,
               s.tile.n_rows);
    check_that(guard_intact("attend"), "head_dim %u: wrote outside", head_dim);
}

void check_attend(const struct kernels *k)
{
    static const uint32_t dims[] = {8, 13, 16, 32, 40, 64, 72, 80, 96, 128, 256};
    struct kernels reference;
    kernels_init_reference(&reference);
    check_begin("attend", k->isa);
    for (uint32_t i = 0; i < sizeof dims / sizeof *dims; i++)
        for (uint32_t repeat = 0; repeat < 90; repeat++)
            attend_case(k, &reference, dims[i], cache_bits[repeat % 3]);
    check_end();
}

/* Both tables store into the same page of random bytes; the whole page must then be equal. */
static void store_case(const struct kernels *k, const struct kernels *reference, uint32_t head_dim,
                       uint32_t kv_bits)
{
    static const float specials[] = {65504,     65520, -70000, 1e30f, INFINITY,
                                     -INFINITY, 6e-8f, 2e-8f,  -0.0f, 65519.9f};
    size_t half = kv_value_offset(0, head_dim, kv_bits), bytes = kv_head_bytes(head_dim, kv_bits);
    uint8_t *got = guard_place(AREA_OUT, bytes, random_below(2) ? PLACE_END : PLACE_START, 0);
    uint8_t *want = guard_place(AREA_OUT2, bytes, PLACE_END, 0);
    float *key = guard_place(AREA_X, head_dim * sizeof *key, PLACE_END, 0);
    float *value = guard_place(AREA_X2, head_dim * sizeof *value, PLACE_END, 0);
    for (size_t i = 0; i < bytes; i++)
        got[i] = want[i] = (uint8_t)random_u64();
    for (int i = 0; i < 5; i++) {
        uint32_t position = random_below(1000);
        fill_floats(key, head_dim, random_below(FILLS));
        fill_floats(value, head_dim, random_below(FILLS));
        key[random_below(head_dim)] = specials[random_below(10)];
        value[random_below(head_dim)] = specials[random_below(10)];
        reference->kv_store(key, value, head_dim, kv_bits, position, want, want + half);
        k->kv_store(key, value, head_dim, kv_bits, position, got, got + half);
    }
    check_that(same_bits(got, want, bytes), "head_dim %u, %u bits", head_dim, kv_bits);
    check_that(guard_intact("kv_store"), "head_dim %u: wrote outside", head_dim);
}

/* One number of a stored head, as f32. */
static float stored(const uint8_t *array, size_t index, uint32_t d, uint32_t slot, uint32_t head_dim)
{
    uint16_t scale;
    memcpy(&scale, array + kv_scale_offset(slot, d, head_dim), sizeof scale);
    return float_from_bf16(scale) * (float)(int8_t)array[index];
}

/* 8-bit codes give back what was stored: within half a step of the group's scale (a scale rounded down by up
 * to 2^-9 of itself leaves the largest number a quarter step outside), 0 exactly, a NaN as a NaN in its group
 * and only there. */
static void code_case(const struct kernels *k, uint32_t head_dim)
{
    size_t bytes = kv_head_bytes(head_dim, 8), half = kv_value_offset(0, head_dim, 8);
    uint8_t *page = guard_place(AREA_OUT, bytes, PLACE_END, 0);
    float key[MAX_HEAD_DIM], value[MAX_HEAD_DIM];
    uint32_t slot = random_below(PAGE), broken = random_below(4) ? MAX_HEAD_DIM : random_below(head_dim);
    memset(page, 0xFF, bytes);
    fill_floats(key, head_dim, random_below(FILL_TINY));
    fill_floats(value, head_dim, random_below(FILL_TINY));
    if (broken < head_dim)
        value[broken] = NAN;
    k->kv_store(key, value, head_dim, 8, slot, page, page + half);
    bool good = true;
    for (uint32_t d = 0; d < head_dim; d++) {
        uint32_t group = d / KV_GROUP * KV_GROUP, n = kv_group_length(group, head_dim);
        float key_most = 0, value_most = 0;
        for (uint32_t i = group; i < group + n; i++) {
            key_most = fmaxf(key_most, fabsf(key[i]));
            value_most = fmaxf(value_most, fabsf(value[i]));
        }
        float got_key = stored(page, kv_key_index(slot, d, head_dim), d, slot, head_dim);
        float got_value = stored(page + half, (size_t)slot * head_dim + d, d, slot, head_dim);
        good = good && fabsf(got_key - key[d]) <= 0.503f * key_most / 127 && (key[d] != 0 || got_key == 0);
        if (broken / KV_GROUP == d / KV_GROUP)
            good = good && isnan(got_value);
        else
            good = good && fabsf(got_value - value[d]) <= 0.503f * value_most / 127;
    }
    check_that(good, "head_dim %u, slot %u: codes are not what was stored", head_dim, slot);
}

void check_kv_store(const struct kernels *k)
{
    struct kernels reference;
    kernels_init_reference(&reference);
    check_begin("kv_store", k->isa);
    for (uint32_t head_dim = 1; head_dim <= 40; head_dim++)
        for (uint32_t i = 0; i < 3; i++)
            store_case(k, &reference, head_dim, cache_bits[i]);
    for (uint32_t i = 0; i < 60; i++)
        store_case(k, &reference, 8 * (1 + random_below(32)), cache_bits[i % 3]);
    for (uint32_t i = 0; i < 200; i++)
        code_case(k, 1 + random_below(100));
    check_end();
}
