/* The single measurements. Each opens a trial, times it, and takes away what other entries already stand for:
 * stages and operations on rows.
 */
#include <math.h>
#include <stdlib.h>

#include "engine/sampler.h"
#include "platform/clock.h"
#include "profile/calibrate_internal.h"

enum { WIDTH = 2048, STAGES = 100, ROW_OPS = 64, MANY = 512, SAMPLE_VOCAB = 131072 };

#define SHORT_S 0.012 /* of one figure in one round */

static int open_trial(struct calibrating *c, struct plan *plan, uint32_t kv_bits, uint32_t tokens,
                      uint32_t context, struct trial **out)
{
    int status = trial_lend(plan, &c->pool, c->error);
    struct trial_options options = {.isa = c->options->isa,
                                    .n_threads = c->n_threads,
                                    .kv_bits = kv_bits,
                                    .max_tokens = tokens,
                                    .max_sequences = 1,
                                    .context = context};
    *out = NULL;
    return status ? status : trial_open(plan, &options, out, c->error);
}

static double threads_for(const struct calibrating *c, double rows)
{
    return fmax(1, fmin(rows, c->n_threads));
}

/* ---- rows and stages ---- */

static int time_rows(struct calibrating *c, enum plan_op_kind kind)
{
    struct arena arena;
    struct plan plan;
    struct trial *trial = NULL;
    struct trial_rows shape = {.kind = kind, .width = WIDTH, .count = ROW_OPS};
    arena_init(&arena);
    int status = trial_rows(&shape, &arena, &plan, c->error);
    if (!status)
        status = open_trial(c, &plan, 16, MANY, MANY, &trial);
    for (int many = 0; many < 2 && !status; many++) {
        uint32_t rows = many ? MANY : 1;
        struct trial_step step = {.n_sequences = 1, .tokens_each = rows, .outputs_each = 1};
        double ms = calibrate_step_ms(c, trial, &step, SHORT_S);
        if (isnan(ms))
            status = ERROR_INTERNAL;
        else
            calibrate_keep(c, many ? &c->out->rows_ns[kind] : &c->out->row_ns[kind],
                           ms * 1e6 * threads_for(c, rows) / ((double)rows * WIDTH * ROW_OPS));
    }
    trial_close(trial);
    arena_free(&arena);
    return status;
}

static int time_stages(struct calibrating *c)
{
    struct arena arena;
    struct plan plan;
    struct trial *trial = NULL;
    struct trial_rows shape = {.kind = PLAN_NORM, .width = 64, .count = STAGES, .apart = true};
    arena_init(&arena);
    int status = trial_rows(&shape, &arena, &plan, c->error);
    if (!status)
        status = open_trial(c, &plan, 16, 1, 64, &trial);
    struct trial_step step = {.n_sequences = 1, .tokens_each = 1, .outputs_each = 1};
    double ms = status ? NAN : calibrate_step_ms(c, trial, &step, SHORT_S);
    if (!status && isnan(ms))
        status = ERROR_INTERNAL;
    if (!status)
        calibrate_keep(c, &c->out->stage_us, ms * 1e3 / (2 * STAGES));
    trial_close(trial);
    arena_free(&arena);
    return status;
}

/* What the sampler takes to find the next token greedily, as timed scenarios do. */
static int time_sampling(struct calibrating *c)
{
    struct sampler sampler;
    struct penalties penalties = {0};
    struct engine_sampling settings = {.top_p = 1, .repetition_penalty = 1};
    float *logits = malloc(SAMPLE_VOCAB * sizeof *logits);
    int32_t token;
    double slower = calibrate_slower(c), least = 0;
    if (!logits)
        return error_memory(c->error, "logits", SAMPLE_VOCAB * sizeof *logits);
    int status = sampler_init(&sampler, SAMPLE_VOCAB, c->error);
    for (uint32_t i = 0; i < SAMPLE_VOCAB; i++)
        logits[i] = (float)((i * 2654435761u) >> 8) * 1e-6f;
    for (int i = 0; i < 20 && !status; i++) {
        uint64_t start = clock_now_ns();
        status = sampler_draw(&sampler, &settings, &penalties, NULL, 0, logits, &token, c->error);
        double ns = (double)(clock_now_ns() - start);
        least = i == 0 || ns < least ? ns : least;
    }
    calibrate_keep(c, &c->out->sample_ns, least / slower / SAMPLE_VOCAB);
    sampler_free(&sampler);
    free(logits);
    return status;
}

int calibrate_rows(struct calibrating *c)
{
    static const enum plan_op_kind kinds[] = {PLAN_NORM, PLAN_ROPE, PLAN_ACT_MUL, PLAN_ADD};
    int status = time_stages(c);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !status; i++)
        status = time_rows(c, kinds[i]);
    return status ? status : time_sampling(c);
}

/* ---- products ---- */

static double bytes_per_number(struct trial_format format)
{
    double scales = format.format == WEIGHT_AFFINE ? 4 : 1;
    return format.bits / 8.0 + (format.group_size ? scales / format.group_size : 0);
}

/* What the norms and the stages of a trial take, by the entries that are there. */
static double other_ms(const struct calibrating *c, const struct trial_products *shape, double rows)
{
    double ns = rows > 8 ? c->out->rows_ns[PLAN_NORM] : c->out->row_ns[PLAN_NORM];
    double columns = (double)shape->layers * (shape->hidden + shape->ffn);
    return columns * rows * ns / threads_for(c, rows) / 1e6 + shape->layers * 4 * c->out->stage_us / 1e3;
}

static int time_products(struct calibrating *c, struct calibration_product *item,
                         const struct trial_products *shape, int from, int to)
{
    struct arena arena;
    struct plan plan;
    struct trial *trial = NULL;
    double numbers = 2.0 * shape->hidden * shape->ffn * shape->layers;
    arena_init(&arena);
    int status = trial_products(shape, &arena, &plan, c->error);
    if (!status)
        status = open_trial(c, &plan, 16, calibration_rows[to - 1], calibration_rows[to - 1], &trial);
    for (int i = from; i < to && !status; i++) {
        uint32_t rows = calibration_rows[i];
        struct trial_step step = {.n_sequences = 1, .tokens_each = rows, .outputs_each = 1};
        double ms = calibrate_step_ms(c, trial, &step, SHORT_S);
        if (isnan(ms))
            status = ERROR_INTERNAL;
        else
            calibrate_keep(c, &item->ns[i], fmax(ms - other_ms(c, shape, rows), 0.2 * ms) * 1e6 / numbers);
    }
    trial_close(trial);
    arena_free(&arena);
    return status;
}

/* Few rows: matrices that fit into the level 2 caches. Many rows: matrices of a real size, which are computed
 * with for so long that it does not matter where they lie. */
int calibrate_product(struct calibrating *c, struct calibration_product *item)
{
    enum { FEW = 6, HIDDEN = 1024, STEP = 256 };
    double fits = 1.25e6 * c->n_threads / (2.0 * HIDDEN * bytes_per_number(item->format));
    uint32_t ffn = (uint32_t)fmin(fmax(fits, STEP), 4096) / STEP * STEP;
    struct trial_products small = {item->format, HIDDEN, ffn, 1}, large = {item->format, 2048, 4096, 1};
    int status = time_products(c, item, &small, 0, FEW);
    return status ? status : time_products(c, item, &large, FEW, CALIBRATION_ROWS);
}

/* (x^p + 1)^(1/p) = y by bisection: y falls from 1 + x at p = 1 to max(x, 1). */
static double solve_overlap(double x, double y)
{
    double low = 0.5, high = 16;
    for (int i = 0; i < 60; i++) {
        double p = (low + high) / 2;
        if (pow(pow(x, p) + 1, 1 / p) > y)
            low = p;
        else
            high = p;
    }
    return (low + high) / 2;
}

enum { PAIRS = 7 };

/* Steps and readings of as many bytes in turn. *y: the step's time in units of reading; *x: what its
 * computing alone would take, in the same unit. */
static int time_pairs(struct calibrating *c, struct trial *trial, const struct trial_step *step, double bytes,
                      double computing_ms, double other, double *x, double *y)
{
    double step_ms = 0, reading_ns = 0, slower = 0;
    int status = trial_run(trial, step, NULL, c->error);
    for (int i = 0; i < PAIRS && !status; i++) {
        double ms;
        slower += calibrate_slower(c) / PAIRS;
        reading_ns += pacer_read_ns(c->pacer, (uint64_t)bytes) / 2;
        status = trial_run(trial, step, &ms, c->error);
        step_ms += ms;
        reading_ns += pacer_read_ns(c->pacer, (uint64_t)bytes) / 2;
    }
    double reading_ms = reading_ns / PAIRS / 1e6;
    *x = computing_ms * slower / reading_ms;
    *y = (step_ms / PAIRS - other * slower) / reading_ms;
    return status;
}

int calibrate_product_overlap(struct calibrating *c, struct calibration_product *item)
{
    struct trial_products shape = {item->format, 2048, 8192, 1};
    double each = 2.0 * shape.hidden * shape.ffn * bytes_per_number(item->format);
    double x, y, numbers;
    /* a format that computes far slower than memory reads says nothing about reading */
    double rate = bytes_per_number(item->format) / item->ns[0];
    item->p = 2;
    item->efficiency = rate / pace_gbps(&c->out->pace, (double)c->pool.bytes, 0);
    if (item->efficiency < 0.2)
        return 0;
    shape.layers = (uint32_t)fmax(1, (double)c->pool.bytes / each);
    numbers = 2.0 * shape.hidden * shape.ffn * shape.layers;
    struct arena arena;
    struct plan plan;
    struct trial *trial = NULL;
    arena_init(&arena);
    int status = trial_products(&shape, &arena, &plan, c->error);
    if (!status)
        status = open_trial(c, &plan, 16, 1, 64, &trial);
    struct trial_step step = {.n_sequences = 1, .tokens_each = 1, .outputs_each = 1};
    if (!status)
        status = time_pairs(c, trial, &step, each * shape.layers, numbers * item->ns[0] / 1e6,
                            other_ms(c, &shape, 1), &x, &y);
    if (!status) {
        item->p = solve_overlap(x, y);
        item->efficiency = 1 / y;
    }
    trial_close(trial);
    arena_free(&arena);
    return status;
}

/* ---- attention ---- */

static int open_attention(struct calibrating *c, const struct trial_attention *shape, uint32_t kv_bits,
                          uint32_t tokens, uint32_t context, struct arena *arena, struct plan *plan,
                          struct trial **out)
{
    *out = NULL;
    int status = trial_attention(shape, arena, plan, c->error);
    return status ? status : open_trial(c, plan, kv_bits, tokens, context, out);
}

static int fill(struct calibrating *c, struct trial *trial, uint32_t tokens, uint32_t depth)
{
    int status = 0;
    for (uint32_t done = 0; done < depth && !status; done += tokens) {
        struct trial_step step = {.n_sequences = 1, .tokens_each = tokens, .depth = done};
        status = trial_run(trial, &step, NULL, c->error);
    }
    return status;
}

static int time_attention(struct calibrating *c, struct trial *trial, const struct trial_attention *shape,
                          struct calibration_attention *item)
{
    enum { DEPTH = 512, CHUNK = 128 };
    int status = fill(c, trial, CHUNK, DEPTH);
    struct trial_step one = {.n_sequences = 1, .tokens_each = 1, .depth = DEPTH, .outputs_each = 1},
                      many = {.n_sequences = 1,
                              .tokens_each = CHUNK,
                              .depth = DEPTH - CHUNK,
                              .outputs_each = CHUNK},
                      store = many;
    store.outputs_each = 0;
    if (status)
        return status;
    double one_ms = calibrate_step_ms(c, trial, &one, SHORT_S),
           many_ms = calibrate_step_ms(c, trial, &many, SHORT_S);
    double store_ms = calibrate_step_ms(c, trial, &store, SHORT_S / 2);
    if (isnan(one_ms) || isnan(many_ms) || isnan(store_ms))
        return ERROR_INTERNAL;
    double other = 2.0 * shape->layers * c->out->stage_us / 1e3;
    double met = (double)CHUNK * (DEPTH - CHUNK) + CHUNK * (CHUNK + 1) / 2.0;
    calibrate_keep(c, &item->decode_ns,
                   fmax(one_ms - other, 0.2 * one_ms) * 1e6 /
                       ((DEPTH + 1.0) * shape->kv_heads * shape->layers));
    calibrate_keep(c, &item->prefill_ns,
                   fmax(many_ms - store_ms, 0.2 * many_ms) * 1e6 / (met * shape->heads * shape->layers));
    double columns = 2.0 * shape->kv_heads * shape->head_dim * CHUNK * shape->layers;
    double stored_ns = store_ms * 1e6 * threads_for(c, CHUNK) / columns;
    calibrate_keep(c, &c->out->rows_ns[PLAN_KV_STORE], stored_ns);
    c->out->row_ns[PLAN_KV_STORE] = c->out->rows_ns[PLAN_KV_STORE];
    return 0;
}

int calibrate_attention(struct calibrating *c, struct calibration_attention *item)
{
    struct trial_attention shape = {.kv_heads = 2 * c->n_threads, .head_dim = item->head_dim, .layers = 2};
    struct arena arena;
    struct plan plan;
    struct trial *trial;
    shape.heads = shape.kv_heads * item->heads_per_kv;
    arena_init(&arena);
    int status = open_attention(c, &shape, item->kv_bits, 128, 640, &arena, &plan, &trial);
    if (!status)
        status = time_attention(c, trial, &shape, item);
    trial_close(trial);
    arena_free(&arena);
    return status;
}

int calibrate_attention_overlap(struct calibrating *c, uint32_t kv_bits)
{
    enum { DEPTH = 4096, CHUNK = 512, PER_KV = 4, DIM = 128 };
    struct trial_attention shape = {.kv_heads = 2 * c->n_threads, .head_dim = DIM};
    double each = 2.0 * shape.kv_heads * DEPTH * (double)plan_kv_vector_bytes(DIM, kv_bits);
    const struct calibration_attention *entry = calibration_attention(c->out, DIM, PER_KV, kv_bits);
    struct arena arena;
    struct plan plan;
    struct trial *trial;
    double x, y, p = 2;
    shape.heads = shape.kv_heads * PER_KV;
    shape.layers = (uint32_t)fmax(2, fmin(256e6, (double)c->pool.bytes) / each);
    arena_init(&arena);
    int status = open_attention(c, &shape, kv_bits, CHUNK, DEPTH + CHUNK, &arena, &plan, &trial);
    if (!status)
        status = fill(c, trial, CHUNK, DEPTH);
    struct trial_step step = {.n_sequences = 1, .tokens_each = 1, .depth = DEPTH, .outputs_each = 1};
    double computing_ms = entry->decode_ns * (DEPTH + 1.0) * shape.kv_heads * shape.layers / 1e6;
    if (!status)
        status = time_pairs(c, trial, &step, each * shape.layers, computing_ms,
                            2.0 * shape.layers * c->out->stage_us / 1e3, &x, &y);
    if (!status)
        p = solve_overlap(x, y);
    for (uint32_t i = 0; i < c->out->n_attention; i++)
        if (c->out->attention[i].kv_bits == kv_bits)
            c->out->attention[i].p = p;
    trial_close(trial);
    arena_free(&arena);
    return status;
}
