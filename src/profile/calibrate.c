#include "profile/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/peak.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "profile/calibrate_internal.h"

/* Rounds go on for as long as this, and there are two at least. */
#define ROUNDS_S 25.0
#define ROUNDS_THOROUGH_S 150.0

enum { LEAST_ROUNDS = 2, MOST_ROUNDS = CALIBRATE_ROUNDS, LEAST_STEPS = 3, MOST_STEPS = 256 };

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

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void calibrate_keep(struct calibrating *c, double *figure, double value)
{
    double sorted[CALIBRATE_ROUNDS];
    uint32_t i = 0;
    while (i < c->n_collected && c->collected[i].figure != figure)
        i++;
    if (i == CALIBRATE_FIGURES || !(value > 0))
        return;
    struct calibrate_collected *all = &c->collected[i];
    if (i == c->n_collected)
        c->n_collected++;
    all->figure = figure;
    all->values[all->n++ % CALIBRATE_ROUNDS] = value;
    uint32_t n = all->n < CALIBRATE_ROUNDS ? all->n : CALIBRATE_ROUNDS;
    memcpy(sorted, all->values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    *figure = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double calibrate_slower(struct calibrating *c)
{
    return CALIBRATION_GOPS * pacer_compute_ns(c->pacer) / pacer_compute_ops(c->pacer);
}

/* Steps and passes of computing in turn, about as long as each other, so that what disturbs hits both. */
double calibrate_step_ms(struct calibrating *c, struct trial *trial, const struct trial_step *step,
                         double seconds)
{
    double sum = 0, computing_ns = 0, ms, since = 0;
    int n = 0, passes = 0;
    uint64_t start = clock_now_ns();
    if (trial_run(trial, step, NULL, c->error)) /* warms up */
        return NAN;
    while (n < LEAST_STEPS || (n < MOST_STEPS && (double)(clock_now_ns() - start) < seconds * 1e9)) {
        if (since <= 0) {
            double ns = pacer_compute_ns(c->pacer);
            computing_ns += ns;
            passes++;
            since = ns / 1e6;
            (void)trial_run(trial, step, NULL, c->error); /* its threads were asleep */
        }
        if (trial_run(trial, step, &ms, c->error))
            return NAN;
        sum += ms;
        since -= ms;
        n++;
    }
    double gops = pacer_compute_ops(c->pacer) * passes / computing_ns;
    return sum / n * gops / CALIBRATION_GOPS;
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

static int told(struct calibrating *c, const char *what, double done)
{
    if (c->options->on_progress)
        c->options->on_progress(c->options->context, what, done);
    return calibrating_cancelled(c) ? error_set(c->error, ERROR_CANCELLED, "cancelled") : 0;
}

static int measure_round(struct calibrating *c, double from, double to)
{
    struct calibration *out = c->out;
    uint32_t n = out->n_products + out->n_attention, done = 0;
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
    pacer_take(c->pacer, 0, &out->pace);
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
    c.collected = calloc(CALIBRATE_FIGURES, sizeof *c.collected);
    if (!c.collected)
        return error_memory(error, "a calibration", CALIBRATE_FIGURES * sizeof *c.collected);
    int status = trial_pool_open(pace_default_bytes(), false, &c.pool, error);
    struct pace_options pace = {
        .n_threads = c.n_threads, .isa = options->isa, .pool = c.pool.data, .bytes = c.pool.bytes};
    if (!status)
        status = pacer_open(&pace, &c.pacer, error);
    if (!status)
        status = measure(&c);
    pacer_close(c.pacer);
    trial_pool_close(&c.pool);
    free(c.collected);
    out->duration_s = (double)(clock_now_ns() - start) / 1e9;
    return status;
}
