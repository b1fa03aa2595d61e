#include "profile/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/cpu/peak.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "profile/calibrate_internal.h"

/* Rounds go on for as long as this; on a machine that is busy with something else each takes longer, and then
 * it is the least that counts, so there are two at least. */
#define ROUNDS_S 25.0
#define ROUNDS_THOROUGH_S 150.0

enum { LEAST_ROUNDS = 2, MOST_ROUNDS = 12, LEAST_STEPS = 3, MOST_STEPS = 64 };

/* clang-format off */
static const struct trial_format usual[] = {
    {WEIGHT_AFFINE, 2, 64}, {WEIGHT_AFFINE, 3, 64}, {WEIGHT_AFFINE, 4, 32}, {WEIGHT_AFFINE, 4, 64},
    {WEIGHT_AFFINE, 4, 128}, {WEIGHT_AFFINE, 5, 64}, {WEIGHT_AFFINE, 6, 64}, {WEIGHT_AFFINE, 8, 64},
    {WEIGHT_MXFP4, 4, 32}, {WEIGHT_NVFP4, 4, 16}, {WEIGHT_MXFP8, 8, 32}, {WEIGHT_DENSE, 16, 0},
}, seldom[] = {
    {WEIGHT_AFFINE, 2, 32}, {WEIGHT_AFFINE, 2, 128}, {WEIGHT_AFFINE, 3, 32}, {WEIGHT_AFFINE, 3, 128},
    {WEIGHT_AFFINE, 5, 32}, {WEIGHT_AFFINE, 5, 128}, {WEIGHT_AFFINE, 6, 32}, {WEIGHT_AFFINE, 6, 128},
    {WEIGHT_AFFINE, 8, 32}, {WEIGHT_AFFINE, 8, 128}, {WEIGHT_DENSE, 32, 0},
};
/* clang-format on */

bool calibrating_cancelled(const struct calibrating *c)
{
    return c->options->cancel && atomic_load(c->options->cancel);
}

void calibrate_keep_least(double *least, double value)
{
    if (value > 0 && (*least <= 0 || value < *least))
        *least = value;
}

double calibrate_least_ms(struct calibrating *c, struct trial *trial, const struct trial_step *step,
                          double seconds)
{
    double least = INFINITY, ms;
    uint64_t start = clock_now_ns();
    if (trial_run(trial, step, NULL, c->error)) /* warms up */
        return NAN;
    for (int i = 0; i < MOST_STEPS; i++) {
        if (trial_run(trial, step, &ms, c->error))
            return NAN;
        least = fmin(least, ms);
        if (i + 1 >= LEAST_STEPS && (double)(clock_now_ns() - start) > seconds * 1e9)
            break;
    }
    return least;
}

/* ---- what is measured ---- */

static void list_products(struct calibrating *c)
{
    struct calibration *out = c->out;
    size_t n = sizeof usual / sizeof *usual, m = c->options->thorough ? sizeof seldom / sizeof *seldom : 0;
    for (size_t i = 0; i < n + m; i++)
        out->products[out->n_products++].format = i < n ? usual[i] : seldom[i - n];
}

static void list_attention(struct calibrating *c)
{
    static const uint32_t dims[] = {64, 128}, per_kv[] = {1, 2, 4, 8}, bits[] = {16, 8};
    for (int b = 0; b < 2; b++)
        for (int d = 0; d < 2; d++)
            for (int k = 0; k < 4; k++)
                c->out->attention[c->out->n_attention++] = (struct calibration_attention){
                    .head_dim = dims[d], .heads_per_kv = per_kv[k], .kv_bits = bits[b]};
}

/* The best of the pace: what the least times were reached at. */
static void keep_pace(struct calibrating *c, const struct pace *pace)
{
    struct pace *best = &c->out->pace;
    if (best->n_points == 0)
        *best = *pace;
    best->gops = fmax(best->gops, pace->gops_high);
    best->gops_low = fmax(best->gops_low, pace->gops);
    best->gops_high = fmax(best->gops_high, pace->gops_high);
    for (uint32_t i = 0; i < best->n_points; i++) {
        best->points[i].gbps = fmax(best->points[i].gbps, pace->points[i].gbps);
        best->points[i].low = fmax(best->points[i].low, pace->points[i].low);
        best->points[i].high = fmax(best->points[i].high, pace->points[i].high);
    }
}

static int told(struct calibrating *c, const char *what, double done)
{
    if (c->options->on_progress)
        c->options->on_progress(c->options->context, what, done);
    return calibrating_cancelled(c) ? error_set(c->error, ERROR_CANCELLED, "cancelled") : 0;
}

static int measure_round(struct calibrating *c, double from, double to)
{
    struct calibration *out = c->out;
    struct pace pace;
    uint32_t n = out->n_products + out->n_attention, done = 0;
    pacer_take(c->pacer, 0, &pace);
    keep_pace(c, &pace);
    int status = told(c, "stages and rows", from);
    if (!status)
        status = calibrate_rows(c);
    for (uint32_t i = 0; i < out->n_products && !status; i++) {
        status = told(c, "matrix products", from + (to - from) * done++ / n);
        if (!status)
            status = calibrate_product(c, &out->products[i]);
    }
    for (uint32_t i = 0; i < out->n_attention && !status; i++) {
        status = told(c, "attention", from + (to - from) * done++ / n);
        if (!status)
            status = calibrate_attention(c, &out->attention[i]);
    }
    pacer_take(c->pacer, 0, &pace);
    keep_pace(c, &pace);
    return status;
}

static int measure(struct calibrating *c)
{
    double budget = c->options->thorough ? ROUNDS_THOROUGH_S : ROUNDS_S, last = 0, passed = 0;
    int status = 0;
    uint64_t start = clock_now_ns();
    list_products(c);
    list_attention(c);
    for (int i = 0; i < MOST_ROUNDS && !status && (i < LEAST_ROUNDS || passed + last < budget); i++) {
        double share = fmax(budget, LEAST_ROUNDS * last), before = passed;
        status = measure_round(c, 0.6 * fmin(1, passed / share), 0.6 * fmin(1, (passed + last) / share));
        passed = (double)(clock_now_ns() - start) / 1e9;
        last = passed - before;
    }
    for (uint32_t i = 0; i < c->out->n_products && !status; i++) {
        status = told(c, "products from memory", 0.6 + 0.3 * i / c->out->n_products);
        if (!status)
            status = calibrate_product_overlap(c, &c->out->products[i]);
    }
    for (uint32_t bits = 8; bits <= 16 && !status; bits += 8)
        status = calibrate_attention_overlap(c, bits);
    if (!status)
        status = told(c, "checking", 0.92);
    return status ? status : calibrate_check(c);
}

int calibrate(const struct calibrate_options *options, struct calibration *out, struct error *error)
{
    uint64_t start = clock_now_ns();
    struct peak peak;
    *out = (struct calibration){0};
    struct calibrating c = {.options = options,
                            .out = out,
                            .error = error,
                            .n_threads = options->n_threads ? options->n_threads : cpu_usable_threads()};
    if (!peak_find(options->isa, &peak))
        return error_set(error, ERROR_INVALID, "isa: this machine has no '%.40s'", options->isa);
    snprintf(out->isa, sizeof out->isa, "%s", peak.isa);
    out->n_threads = c.n_threads;
    calibration_key(out->key, options->isa, c.n_threads);
    clock_wall_rfc3339(out->measured, sizeof out->measured);
    int status = trial_pool_open(pace_default_bytes(), false, &c.pool, error);
    struct pace_options pace = {.n_threads = c.n_threads,
                                .isa = options->isa,
                                .pool = c.pool.data,
                                .bytes = c.pool.bytes};
    if (!status)
        status = pacer_open(&pace, &c.pacer, error);
    if (!status)
        status = measure(&c);
    pacer_close(c.pacer);
    trial_pool_close(&c.pool);
    out->duration_s = (double)(clock_now_ns() - start) / 1e9;
    return status;
}
