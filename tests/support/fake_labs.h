/* Labs without processes, for tests of what is done with labs: each has a speed, every run is written down,
 * and a clock that only runs when something is measured.
 *
 *     struct fake_labs fake;
 *     fake_labs_init(&fake);
 *     ... configurations_measure(&(struct configuration_world){.labs = &fake.labs, ...}, ...)
 */
#ifndef LLMIND_TESTS_FAKE_LABS_H
#define LLMIND_TESTS_FAKE_LABS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/sweep.h"

struct lab { /* of lab.h; here it is this */
    struct engine_options engine;
    struct engine_info info;
    char name;
    bool dead;
};

enum { FAKE_MAX_RUNS = 4096, FAKE_MAX_LABS = 256 };

struct fake_run {
    char lab;
    struct lab_run run;
};

struct fake_labs {
    struct sweep_labs labs;
    struct fake_run runs[FAKE_MAX_RUNS];
    size_t n_runs;
    struct lab *all[FAKE_MAX_LABS];
    size_t n_opened, n_open, most_open;
    double now_s;
    double decode_tps, prefill_tps; /* of a lab with nothing special */
    double noise;                   /* every other run is so much faster */
    /* may be NULL: how much faster this run is (1: as usual); *outcome and message may be changed */
    double (*factor)(void *context, const struct lab *lab, const struct lab_run *run, struct sample *sample);
    /* may be NULL: why a lab does not open */
    int (*refuse)(void *context, const struct engine_options *engine, struct error *error);
    void *context;
    int die_at; /* the run of this number ends its lab; -1: none */
};

static inline int fake_open(void *context, const struct lab_options *options, struct lab **out,
                            struct error *error)
{
    struct fake_labs *fake = context;
    int status = fake->refuse ? fake->refuse(fake->context, &options->engine, error) : 0;
    if (status)
        return status;
    struct lab *lab = calloc(1, sizeof *lab);
    if (!lab || fake->n_opened == FAKE_MAX_LABS)
        abort();
    lab->engine = options->engine;
    lab->name = (char)('a' + fake->n_opened);
    lab->info = (struct engine_info){
        .model_name = "fake",
        .model_path = options->engine.model,
        .quantization = "affine 4-bit",
        .backend = "cpu",
        .isa = options->engine.isa ? options->engine.isa : "avx512",
        .n_threads = options->engine.n_threads ? options->engine.n_threads : 2,
        .context = options->engine.context ? options->engine.context : 2048,
        .max_sequences = options->engine.max_sequences ? options->engine.max_sequences : 1,
        .prefill_chunk = options->engine.prefill_chunk ? options->engine.prefill_chunk : 512,
        .kv_bits = options->engine.kv_bits ? options->engine.kv_bits : 16,
        .weight_bytes = 1000000,
        .load_ms = 100};
    fake->all[fake->n_opened++] = lab;
    fake->n_open++;
    if (fake->n_open > fake->most_open)
        fake->most_open = fake->n_open;
    *out = lab;
    return 0;
}

/* Kept until fake_labs_free: what ran in it may be looked at later. */
static inline void fake_close(void *context, struct lab *lab)
{
    struct fake_labs *fake = context;
    if (lab)
        fake->n_open--;
}

static inline int fake_do(void *context, struct lab *lab, const struct lab_run *run, struct lab_result *out,
                          struct error *error)
{
    struct fake_labs *fake = context;
    if (fake->n_runs == FAKE_MAX_RUNS)
        abort();
    fake->runs[fake->n_runs++] = (struct fake_run){lab->name, *run};
    memset(out, 0, sizeof *out);
    if ((int)fake->n_runs - 1 == fake->die_at || lab->dead) {
        lab->dead = true;
        return error_set(error, ERROR_IO, "the lab was killed by signal 9");
    }
    struct sample *sample = &out->sample;
    double factor = fake->n_runs % 2 ? 1 : 1 + fake->noise;
    for (int i = 0; i < METRICS; i++)
        sample->value[i] = NAN;
    sample->prompt_tokens = run->scenario.prompt_tokens;
    sample->generated_tokens = run->scenario.max_tokens;
    sample->cached_tokens = run->warm ? run->scenario.prompt_tokens / 2 : 0;
    if (fake->factor)
        factor *= fake->factor(fake->context, lab, run, sample);
    double prefill_s = (sample->prompt_tokens - sample->cached_tokens) / (fake->prefill_tps * factor);
    double decode_s = (sample->generated_tokens - 1) / (fake->decode_tps * factor);
    sample->value[METRIC_PREFILL_TPS] = fake->prefill_tps * factor;
    if (run->scenario.max_tokens > 1)
        sample->value[METRIC_DECODE_TPS] = fake->decode_tps * factor;
    sample->value[METRIC_TTFT_MS] = prefill_s * 1e3;
    sample->value[METRIC_RESPONSE_MS] = (prefill_s + decode_s) * 1e3;
    sample->value[METRIC_TOKENS_PER_SECOND] = sample->generated_tokens / (prefill_s + decode_s);
    out->aggregate_decode_tps =
        run->n_sequences > 1 ? sample->value[METRIC_DECODE_TPS] * sqrt(run->n_sequences) : NAN;
    out->memory.known = true;
    out->memory.footprint_peak_bytes = 5000000;
    fake->now_s += prefill_s + decode_s;
    return 0;
}

static inline const struct engine_info *fake_info(void *context, const struct lab *lab)
{
    (void)context;
    return &lab->info;
}

static inline double fake_now(void *context)
{
    return ((struct fake_labs *)context)->now_s;
}

static inline void fake_labs_init(struct fake_labs *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->labs = (struct sweep_labs){.open = fake_open,
                                     .close = fake_close,
                                     .run = fake_do,
                                     .info = fake_info,
                                     .now_s = fake_now,
                                     .context = fake};
    fake->decode_tps = 200;
    fake->prefill_tps = 2000;
    fake->noise = 0.002;
    fake->die_at = -1;
}

static inline void fake_labs_free(struct fake_labs *fake)
{
    for (size_t i = 0; i < fake->n_opened; i++)
        free(fake->all[i]);
}

#endif
