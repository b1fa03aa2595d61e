/* What a model would need and how fast it would be here, before a byte of it is downloaded: from its shape,
 * the measured read bandwidth and the memory that is there. Pure.
 *
 *   weights         = parameters x (bits + 32 / group) / 8
 *   bytes per token = active parameters without an untied embedding table, at the same bits, + KV read
 *   tokens/s        = efficiency x read bandwidth / bytes per token
 *
 * Both factors are intervals. The bandwidth is what the ceilings' samples say: lower quartile, median and
 * best, which are nearly the same on a quiet machine and far apart on a shared one. The efficiency is 0.60,
 * 0.80 and 0.95: what decoding of dense 4-bit models was measured to get of the probe beside it with this
 * program (8 B on two Zen 4 cores: 0.78 to 0.95; smaller models less, because fixed costs per step weigh
 * more). It is no promise for other backends.
 */
#ifndef LLMIND_PROFILE_ESTIMATE_H
#define LLMIND_PROFILE_ESTIMATE_H

#include <stddef.h>
#include <stdint.h>

#include "profile/guide.h"

#define ESTIMATE_LOW 0.60
#define ESTIMATE_MID 0.80
#define ESTIMATE_HIGH 0.95

enum { ESTIMATE_GROUP = 64, ESTIMATE_CONTEXT = 8192, ESTIMATE_KV_BITS = 16 };

/* Numbers of the models' own config.json files. */
struct estimate_shape {
    const char *name; /* without bits: "Llama-3.1-8B-Instruct" */
    const char *use_case;
    double parameters, active; /* active: used for one token; the same for dense models */
    double embedding; /* parameters of an untied embedding table, of which one row is read; 0: tied */
    uint32_t layers, kv_heads, head_dim;
    uint32_t context; /* the model's own */
};

size_t estimate_shape_count(void);
const struct estimate_shape *estimate_shape_at(size_t i);

struct estimate {
    double weight_bytes, kv_bytes_per_token, kv_bytes, scratch_bytes;
    double total_bytes;    /* all of it, at `context` tokens */
    double token_bytes;    /* read for one token at half of the context */
    double low, mid, high; /* tokens/s at an empty context; NaN: the bandwidth is not known */
};

struct estimate_bandwidth {
    double low, mid, high; /* GB/s; NaN or 0: not known */
};
/* Of the report's "ceilings", or NULL. */
struct estimate_bandwidth estimate_bandwidth_of(const json_t *ceilings);

/* bits: of the weights, 2 to 16 (16: not quantized). */
void estimate_compute(const struct estimate_shape *shape, uint32_t bits, uint32_t context,
                      const struct estimate_bandwidth *bandwidth, struct estimate *out);

#endif
