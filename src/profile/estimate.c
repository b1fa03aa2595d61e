/* Shapes of models that this program runs and people ask for, and the arithmetic of estimate.h. */
#include "profile/estimate.h"

#include <math.h>
#include <stdio.h>

#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/stats.h"

#define SCRATCH_BYTES 300e6 /* activations, tokenizer, program: what 8 B models were seen to need */
#define MEMORY_SHARE 0.85   /* of the memory: the rest is the system's */
#define READING_TPS 5.0     /* slower than people read */

/* clang-format off */
static const struct estimate_shape shapes[] = {
    /* parameters, active, untied embedding | layers, kv heads, head dim | context */
    {"Qwen3-0.6B", "quick drafts, classification, trying things out",
     0.596e9, 0.596e9, 0, 28, 8, 128, 40960},
    {"Llama-3.2-1B-Instruct", "short answers, rewriting, small machines",
     1.236e9, 1.236e9, 0, 16, 8, 64, 131072},
    {"Qwen3-1.7B", "short answers with thinking, tools",
     1.721e9, 1.721e9, 0, 28, 8, 128, 40960},
    {"Llama-3.2-3B-Instruct", "everyday chat and summaries",
     3.213e9, 3.213e9, 0, 28, 8, 128, 131072},
    {"Qwen3-4B", "everyday chat, tools, thinking",
     4.022e9, 4.022e9, 0, 36, 8, 128, 40960},
    {"Mistral-7B-Instruct-v0.3", "general chat",
     7.248e9, 7.248e9, 0.134e9, 32, 8, 128, 32768},
    {"Qwen2.5-7B-Instruct", "general chat, long texts with little KV cache",
     7.616e9, 7.616e9, 0.545e9, 28, 4, 128, 32768},
    {"Llama-3.1-8B-Instruct", "general chat, the usual yardstick",
     8.030e9, 8.030e9, 0.525e9, 32, 8, 128, 131072},
    {"Qwen3-8B", "reasoning, code, tools",
     8.191e9, 8.191e9, 0.622e9, 36, 8, 128, 40960},
    {"Qwen3-14B", "harder reasoning and code",
     14.768e9, 14.768e9, 0.778e9, 40, 8, 128, 40960},
    {"Qwen3-30B-A3B", "much knowledge at the speed of a small model",
     30.532e9, 3.345e9, 0.311e9, 48, 4, 128, 40960},
    {"Qwen3-32B", "the best answers of one dense model of this size",
     32.762e9, 32.762e9, 0.778e9, 64, 8, 128, 40960},
    {"Llama-3.3-70B-Instruct", "large dense model, wide knowledge",
     70.554e9, 70.554e9, 1.051e9, 80, 8, 128, 131072},
    {"Qwen3-235B-A22B", "the largest here; for machines with much memory",
     235.09e9, 22.2e9, 0.622e9, 94, 4, 128, 40960},
};
/* clang-format on */

enum { N_SHAPES = sizeof shapes / sizeof *shapes };

size_t estimate_shape_count(void)
{
    return N_SHAPES;
}

const struct estimate_shape *estimate_shape_at(size_t i)
{
    return i < N_SHAPES ? &shapes[i] : NULL;
}

struct estimate_bandwidth estimate_bandwidth_of(const json_t *ceilings)
{
    double samples[64], value = json_get_positive(ceilings, "memory_read.value");
    size_t n = json_get_numbers(ceilings, "memory_read.samples", "", samples, 64);
    struct stats stats;
    if (!(value > 0) || n < 2 || !stats_compute(samples, n, &stats) || !(stats.min > 0))
        return (struct estimate_bandwidth){value, value, value};
    return (struct estimate_bandwidth){stats.q1, stats.median, fmax(value, stats.max)};
}

/* NaN: not known. */
static double speed(double efficiency, double gbps, double bytes)
{
    return gbps > 0 && isfinite(gbps) ? efficiency * gbps * 1e9 / bytes : NAN;
}

void estimate_compute(const struct estimate_shape *shape, uint32_t bits, uint32_t context,
                      const struct estimate_bandwidth *bandwidth, struct estimate *out)
{
    double bits_each = bits >= 16 ? bits : bits + 32.0 / ESTIMATE_GROUP; /* scale and bias of a group */
    double bytes_each = bits_each / 8;
    if (context > shape->context)
        context = shape->context;
    out->weight_bytes = shape->parameters * bytes_each;
    out->kv_bytes_per_token = 2.0 * shape->layers * shape->kv_heads * shape->head_dim * ESTIMATE_KV_BITS / 8;
    out->kv_bytes = out->kv_bytes_per_token * context;
    out->scratch_bytes = SCRATCH_BYTES;
    out->total_bytes = out->weight_bytes + out->kv_bytes + out->scratch_bytes;
    double streamed = (shape->active - shape->embedding) * bytes_each;
    out->token_bytes = streamed + out->kv_bytes / 2;
    out->low = speed(ESTIMATE_LOW, bandwidth->low, streamed);
    out->mid = speed(ESTIMATE_MID, bandwidth->mid, streamed);
    out->high = speed(ESTIMATE_HIGH, bandwidth->high, streamed);
}

/* ---- the list ---- */

static json_t *model_json(const struct estimate_shape *shape, uint32_t bits, const struct estimate *estimate)
{
    char name[96], size[48], text[96], a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    const char *unmeasured = "the read bandwidth of this machine was not measured yet";
    snprintf(name, sizeof name, "mlx-community/%s-%ubit", shape->name, bits);
    snprintf(size, sizeof size, "~%s", format_bytes(a, estimate->total_bytes));
    json_t *o = json_object();
    json_put_string(o, "model", name, "");
    json_put_string(o, "size", size, "");
    json_put_integer(o, "bytes", (uint64_t)estimate->total_bytes);
    json_put_integer(o, "weight_bytes", (uint64_t)estimate->weight_bytes);
    json_put_integer(o, "kv_bytes", (uint64_t)estimate->kv_bytes);
    json_put_integer(o, "context", shape->context < ESTIMATE_CONTEXT ? shape->context : ESTIMATE_CONTEXT);
    if (isnan(estimate->mid)) {
        json_put_null(o, "performance", unmeasured);
        json_put_null(o, "decode_tokens_per_second", unmeasured);
    } else {
        snprintf(text, sizeof text, "%s tok/s (%s-%s)", format_number(a, estimate->mid),
                 format_number(b, estimate->low), format_number(c, estimate->high));
        json_put_string(o, "performance", text, "");
        json_t *speed = json_object();
        json_put_number(speed, "low", estimate->low, "");
        json_put_number(speed, "mid", estimate->mid, "");
        json_put_number(speed, "high", estimate->high, "");
        json_object_set_new(o, "decode_tokens_per_second", speed);
    }
    bool slow = estimate->mid < READING_TPS;
    snprintf(text, sizeof text, "%s%s", shape->use_case, slow ? " (slower than one reads, here)" : "");
    json_put_string(o, "use_case", text, "");
    return o;
}

/* Largest first, those that are fast enough to talk with before the others: the first is the one to take. */
json_t *estimate_models(const json_t *ceilings, uint64_t memory_bytes)
{
    struct estimate_bandwidth bandwidth = estimate_bandwidth_of(ceilings);
    json_t *list = json_array();
    for (int slow = 0; list && slow < 2; slow++)
        for (size_t i = N_SHAPES; i-- > 0;)
            for (uint32_t bits = 8; bits >= 4; bits -= 4) {
                struct estimate estimate;
                estimate_compute(&shapes[i], bits, ESTIMATE_CONTEXT, &bandwidth, &estimate);
                bool is_slow = estimate.mid < READING_TPS; /* not known: not slow */
                if (is_slow != (slow == 1) || estimate.total_bytes > MEMORY_SHARE * (double)memory_bytes)
                    continue;
                json_t *o = model_json(&shapes[i], bits, &estimate);
                if (json_array_append_new(list, o)) {
                    json_decref(list);
                    return NULL;
                }
            }
    return list;
}
