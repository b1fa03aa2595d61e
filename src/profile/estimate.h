/* What a model would need here and how fast it would be, before a byte of its weights is there: its plan's
 * own costs (plan/cost.c), priced with this machine's calibration at its pace (forecast.h).
 *
 * Without a calibration the speed of decoding is the read bandwidth divided by the bytes of a token, times
 * 0.60, 0.80 and 0.95: what decoding of dense 4-bit models was measured to get of the probe beside it with
 * this program; and there is no figure for prefill. The answer says which of the two it is.
 *
 * docs/estimates.md has the method and how well it does.
 */
#ifndef LLMIND_PROFILE_ESTIMATE_H
#define LLMIND_PROFILE_ESTIMATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/model.h"
#include "profile/estimate_machine.h"
#include "profile/forecast.h"

#define ESTIMATE_LOW 0.60
#define ESTIMATE_MID 0.80
#define ESTIMATE_HIGH 0.95

enum { ESTIMATE_PROMPT = 512, ESTIMATE_CONTEXT = 8192 };

struct estimate_options {
    uint32_t context;       /* tokens of one sequence; 0: as the engine would */
    uint32_t concurrency;   /* sequences at once; 0: 1 */
    uint32_t kv_bits;       /* 8, 16, 32; 0: 16 */
    uint32_t prefill_chunk; /* 0: as the engine would */
    const char *isa;
};

struct estimate_interval {
    double low, mid, high; /* NaN: not known */
};

enum estimate_fit { ESTIMATE_FITS, ESTIMATE_TIGHT, ESTIMATE_DOES_NOT_FIT, ESTIMATE_FIT_UNKNOWN };

struct estimate {
    uint32_t context, concurrency, kv_bits, prefill_chunk, prompt, n_phases, model_context, page_tokens;
    bool shapes_only;

    /* memory, when all sequences are as long as they may be */
    uint64_t weight_bytes, kv_bytes_per_token, kv_bytes, scratch_bytes, program_bytes, total_bytes;
    uint64_t embedding_bytes; /* of weight_bytes: a table of which only the rows of the tokens are read */
    enum estimate_fit fit;
    uint32_t max_context, max_concurrency; /* that fit, each with the other as chosen; 0: none */

    /* speed */
    bool calibrated;
    char reason[ESTIMATE_REASON];            /* why a speed is NaN, or why the interval is wide */
    struct estimate_interval decode;         /* tokens/s of one sequence, `prompt` tokens deep */
    struct estimate_interval decode_all;     /* of all sequences together */
    struct estimate_interval decode_deepest; /* of one sequence, at the end of its context */
    struct estimate_interval prefill;        /* tokens/s of a prompt of `prompt` tokens */
    struct estimate_interval ttft_ms;        /* of it; mid by mid of prefill */
    struct forecast step, prompt_step;       /* where the time goes; zero when not calibrated */
    double streamed_bytes, kv_read_bytes;    /* of one decode step at that depth */
    double read_gbps;                        /* assumed */
};

/* model: opened, or of a configuration alone. Errors: ERROR_LIMIT (a context beyond the model's),
 * ERROR_INVALID, ERROR_UNSUPPORTED (the backend). */
int estimate_model(const struct model *model, const struct estimate_options *options,
                   const struct estimate_machine *machine, struct estimate *out, struct error *error);

/* How wide a prediction is, as factors on a speed: from the spread of the calibration's own check. */
void estimate_factors(const struct calibration *calibration, bool prefill, double *low, double *mid,
                      double *high);

/* Program, libraries, tokenizer and the tables of a vocabulary of this size: what processes were measured to
 * take beside weights, KV cache and scratch. */
uint64_t estimate_program_bytes(uint32_t vocab);

/* What the process is expected to have resident after prompts and answers of at most `longest` tokens, `rows`
 * tokens in all: of an untied embedding table only what was looked up is there. */
double estimate_resident_bytes(const struct estimate *estimate, double longest, double rows);

const char *estimate_fit_name(enum estimate_fit fit); /* "fits", "tight", "does_not_fit", "unknown" */

/* {"context", "concurrency", ... } as docs/openapi_schemas.json's Estimate has it, without "what_if". A new
 * reference; NULL: memory. */
json_t *estimate_json(const struct estimate *estimate, const struct model *model, const char *name,
                      const struct estimate_machine *machine);

/* The whole answer: `path` is a folder (with or without weights) or a config.json; unsupported architectures
 * are an answer too ("supported": false with what they need). *out: a new reference. Errors: ERROR_NOT_FOUND,
 * ERROR_INVALID and others of reading the file; those of estimate_model. */
int estimate_path(const char *path, const char *name, const struct estimate_options *options,
                  uint32_t n_threads, enum estimate_pace how, json_t **out, struct error *error);

/* For a list: {"fit": {"verdict", "total_bytes", "available_bytes"}, "decode_tokens_per_second": {"low",
 * "mid", "high"} | null with reason, "calibrated"}, with the engine's own context and one sequence. Costs a
 * plan, which is kept per file and time. A new reference; NULL: memory. */
json_t *estimate_badge(const char *path, const struct estimate_machine *machine);

/* ---- well-known models (guide) ---- */

size_t estimate_shape_count(void);
const char *estimate_shape_name(size_t i);
/* The plan of a well-known model with so many bits (16: not quantized), of its configuration alone. */
int estimate_shape_model(size_t i, uint32_t bits, struct model **out, struct error *error);

#endif
