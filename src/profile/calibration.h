/* What operations cost on this machine, in units that another plan can be priced with. Measured by
 * calibrate.h, kept in <cache>/calibration.json, used by forecast.h.
 *
 * A product of a weight matrix and n rows takes, where its weights lie in the core's own cache, `ns[n]` per
 * number of the matrix (all threads together); and where they have to come from further away,
 *
 *     t = (computing ^ p + reading ^ p) ^ (1 / p),    reading = bytes / read bandwidth
 *
 * between the larger of the two (p large: they overlap) and their sum (p = 1), with p measured per format
 * over more weights than the caches hold. So the same few numbers price a model in memory and one in the
 * cache, on a quiet machine and beside somebody else. Attention likewise.
 *
 * Every time is taken beside passes of pure computing (pace.h) and stated for a machine that computes
 * CALIBRATION_GOPS: a host that gave others half of its cores meanwhile spoils neither the entry nor what is
 * predicted with it, as long as the pace is taken anew. Each is the median of several rounds.
 */
#ifndef LLMIND_PROFILE_CALIBRATION_H
#define LLMIND_PROFILE_CALIBRATION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "plan/plan.h"
#include "profile/pace.h"
#include "profile/trial.h"

enum {
    CALIBRATION_ROWS = 8,
    CALIBRATION_MAX_PRODUCTS = 32,
    CALIBRATION_MAX_ATTENTION = 48,
    CALIBRATION_KEY = 512,
    CALIBRATION_GOPS = 1000, /* int8 operations a second, in 1e9, that all times are stated for */
    CALIBRATION_METHOD = 2   /* of measuring: another one's files are ignored */
};

/* Rows for which products are measured: 1, 2, 4, 8, 16, 32, 128, 512. */
extern const uint32_t calibration_rows[CALIBRATION_ROWS];

struct calibration_product {
    struct trial_format format;
    double ns[CALIBRATION_ROWS]; /* per number of the weight, of all threads, weights in the cache */
    double p;                    /* how computing and reading overlap */
    double efficiency;           /* bytes / time / read bandwidth beside it, one row: for people */
};

struct calibration_attention {
    uint32_t head_dim, heads_per_kv, kv_bits;
    double decode_ns;  /* per position and key head, one token, keys in the cache */
    double prefill_ns; /* per query head and key met */
    double p;
};

struct calibration {
    char key[CALIBRATION_KEY];
    char measured[32]; /* RFC 3339 */
    char isa[24];
    uint32_t n_threads;
    double duration_s;
    struct calibration_product products[CALIBRATION_MAX_PRODUCTS];
    uint32_t n_products;
    struct calibration_attention attention[CALIBRATION_MAX_ATTENTION];
    uint32_t n_attention;
    /* Operations on rows alone: ns per column of a row, of one thread, for a single row and for many. 0: the
     * kind is not one of them. */
    double row_ns[PLAN_OP_KINDS], rows_ns[PLAN_OP_KINDS];
    double stage_us;  /* handing one stage of a step on to the next */
    double sample_ns; /* per entry of the vocabulary: looking for the next token */
    struct pace pace; /* of the last round */
    /* How far predictions for whole small models, made with these numbers, were from their measured times:
     * standard deviation of the logarithm, and its mean. */
    double decode_spread, decode_bias, prefill_spread, prefill_bias;
};

/* What a calibration depends on: processor, cores, quota, threads, ISA, program version, method. isa NULL:
 * the best here; n_threads 0: as the engine would. */
void calibration_key(char out[CALIBRATION_KEY], const char *isa, uint32_t n_threads);

/* The one for this machine, or false with why there is none: never measured, or for another machine, version
 * or number of threads, or a file that cannot be used. */
bool calibration_load(const char *isa, uint32_t n_threads, struct calibration *out, char *reason,
                      size_t capacity);
/* Keeps it beside those with other keys. Errors: ERROR_IO, ERROR_NOT_FOUND (no cache folder). */
int calibration_save(const struct calibration *calibration, struct error *error);

/* A new reference; and back: false when it is not one, whatever else it may be. */
json_t *calibration_json(const struct calibration *calibration);
bool calibration_from_json(const json_t *json, struct calibration *out);

/* The entry of a format; of the same format and bits with the nearest group where there is no other (*exact
 * false). NULL: none. */
const struct calibration_product *calibration_product(const struct calibration *calibration,
                                                      struct trial_format format, bool *exact);
/* The nearest. NULL: none of these kv_bits. */
const struct calibration_attention *calibration_attention(const struct calibration *calibration,
                                                          uint32_t head_dim, uint32_t heads_per_kv,
                                                          uint32_t kv_bits);
/* ns per number at any number of rows. */
double calibration_product_ns(const struct calibration_product *product, double rows);

/* "affine", "bf16" ...: as mlx's "mode", dense by its scalar type. */
const char *calibration_format_name(enum weight_format format);

#endif
