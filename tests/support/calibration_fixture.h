/* A calibration of round numbers, as no machine has them: 1000 Gop/s, 20 GB/s from memory, 40 from the cache.
 */
#ifndef LLMIND_TESTS_CALIBRATION_FIXTURE_H
#define LLMIND_TESTS_CALIBRATION_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "profile/calibration.h"

static inline void calibration_fixture(struct calibration *out)
{
    static const struct trial_format formats[] = {
        {WEIGHT_AFFINE, 2, 64}, {WEIGHT_AFFINE, 3, 64}, {WEIGHT_AFFINE, 4, 64}, {WEIGHT_AFFINE, 5, 64},
        {WEIGHT_AFFINE, 6, 64}, {WEIGHT_AFFINE, 8, 64}, {WEIGHT_MXFP4, 4, 32},  {WEIGHT_DENSE, 16, 0},
    };
    memset(out, 0, sizeof *out);
    calibration_key(out->key, NULL, 0);
    snprintf(out->measured, sizeof out->measured, "2026-11-29T12:00:00Z");
    snprintf(out->isa, sizeof out->isa, "avx512");
    out->n_threads = 2;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct calibration_product *item = &out->products[out->n_products++];
        *item = (struct calibration_product){.format = formats[i], .p = 2, .efficiency = 0.8};
        for (int k = 0; k < CALIBRATION_ROWS; k++)
            item->ns[k] = 0.01 * (calibration_rows[k] < 16 ? 1 : calibration_rows[k] / 16.0);
    }
    for (uint32_t bits = 8; bits <= 16; bits += 8)
        out->attention[out->n_attention++] = (struct calibration_attention){
            .head_dim = 64, .heads_per_kv = 4, .kv_bits = bits, .decode_ns = 10, .prefill_ns = 2, .p = 1.5};
    static const enum plan_op_kind kinds[] = {PLAN_NORM, PLAN_ROPE, PLAN_ACT_MUL, PLAN_ADD, PLAN_KV_STORE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        out->row_ns[kinds[i]] = out->rows_ns[kinds[i]] = 0.2;
    out->stage_us = 1;
    out->sample_ns = 0.5;
    out->pace = (struct pace){.points = {{16 << 20, 40, 39, 41}, {512 << 20, 20, 18, 22}},
                              .n_points = 2,
                              .gops = 1000,
                              .gops_low = 900,
                              .gops_high = 1100,
                              .n_threads = 2};
    out->decode_spread = 0.03;
    out->prefill_spread = 0.05;
}

#endif
