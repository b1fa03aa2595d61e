/* Well-known models: their shapes as their own config.json files have them, compiled like any other
 * configuration, and the guide's list of those that suit this machine. */
#include <math.h>
#include <stdio.h>

#include "model/shape.h"
#include "platform/cpu.h"
#include "profile/estimate.h"
#include "profile/format.h"
#include "profile/guide.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/stats.h"

#define MEMORY_SHARE 0.85 /* of the memory: the rest is the system's */
#define READING_TPS 5.0   /* slower than people read */

enum { GROUP = 64 };

struct shape {
    const char *name; /* without bits: "Llama-3.1-8B-Instruct" */
    const char *use_case, *model_type;
    uint32_t hidden, layers, ffn, heads, kv_heads, head_dim, vocab, context;
    bool tied;
    uint32_t experts, active, expert_ffn;
};

/* clang-format off */
static const struct shape shapes[] = {
    {"Qwen3-0.6B", "quick drafts, classification, trying things out", "qwen3",
     1024, 28, 3072, 16, 8, 128, 151936, 40960, true, 0, 0, 0},
    {"Llama-3.2-1B-Instruct", "short answers, rewriting, small machines", "llama",
     2048, 16, 8192, 32, 8, 64, 128256, 131072, true, 0, 0, 0},
    {"Qwen3-1.7B", "short answers with thinking, tools", "qwen3",
     2048, 28, 6144, 16, 8, 128, 151936, 40960, true, 0, 0, 0},
    {"Llama-3.2-3B-Instruct", "everyday chat and summaries", "llama",
     3072, 28, 8192, 24, 8, 128, 128256, 131072, true, 0, 0, 0},
    {"Qwen3-4B", "everyday chat, tools, thinking", "qwen3",
     2560, 36, 9728, 32, 8, 128, 151936, 40960, true, 0, 0, 0},
    {"Mistral-7B-Instruct-v0.3", "general chat", "mistral",
     4096, 32, 14336, 32, 8, 128, 32768, 32768, false, 0, 0, 0},
    {"Qwen2.5-7B-Instruct", "general chat, long texts with little KV cache", "qwen2",
     3584, 28, 18944, 28, 4, 128, 152064, 32768, false, 0, 0, 0},
    {"Llama-3.1-8B-Instruct", "general chat, the usual yardstick", "llama",
     4096, 32, 14336, 32, 8, 128, 128256, 131072, false, 0, 0, 0},
    {"Qwen3-8B", "reasoning, code, tools", "qwen3",
     4096, 36, 12288, 32, 8, 128, 151936, 40960, false, 0, 0, 0},
    {"Qwen3-14B", "harder reasoning and code", "qwen3",
     5120, 40, 17408, 40, 8, 128, 151936, 40960, false, 0, 0, 0},
    {"Qwen3-30B-A3B", "much knowledge at the speed of a small model", "qwen3_moe",
     2048, 48, 6144, 32, 4, 128, 151936, 40960, false, 128, 8, 768},
    {"Qwen3-32B", "the best answers of one dense model of this size", "qwen3",
     5120, 64, 25600, 64, 8, 128, 151936, 40960, false, 0, 0, 0},
    {"Llama-3.3-70B-Instruct", "large dense model, wide knowledge", "llama",
     8192, 80, 28672, 64, 8, 128, 128256, 131072, false, 0, 0, 0},
    {"Qwen3-235B-A22B", "the largest here; for machines with much memory", "qwen3_moe",
     4096, 94, 12288, 64, 4, 128, 151936, 40960, false, 128, 8, 1536},
};
/* clang-format on */

enum { N_SHAPES = sizeof shapes / sizeof *shapes };

size_t estimate_shape_count(void)
{
    return N_SHAPES;
}

const char *estimate_shape_name(size_t i)
{
    return i < N_SHAPES ? shapes[i].name : NULL;
}

static json_t *shape_config(const struct shape *shape, uint32_t bits)
{
    json_t *config = json_pack(
        "{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:b}", "model_type", shape->model_type,
        "hidden_size", (int)shape->hidden, "num_hidden_layers", (int)shape->layers, "intermediate_size",
        (int)shape->ffn, "num_attention_heads", (int)shape->heads, "num_key_value_heads",
        (int)shape->kv_heads, "head_dim", (int)shape->head_dim, "vocab_size", (int)shape->vocab,
        "max_position_embeddings", (int)shape->context, "rope_theta", 1e6, "rms_norm_eps", 1e-6,
        "tie_word_embeddings", (int)shape->tied);
    if (shape->experts)
        json_object_update_new(config,
                               json_pack("{s:i, s:i, s:i, s:b, s:i, s:[]}", "num_experts",
                                         (int)shape->experts, "num_experts_per_tok", (int)shape->active,
                                         "moe_intermediate_size", (int)shape->expert_ffn, "norm_topk_prob", 1,
                                         "decoder_sparse_step", 1, "mlp_only_layers"));
    json_t *out = config ? model_shape_requantize(config, bits, GROUP) : NULL;
    json_decref(config);
    return out;
}

int estimate_shape_model(size_t i, uint32_t bits, struct model **out, struct error *error)
{
    *out = NULL;
    if (i >= N_SHAPES)
        return error_set(error, ERROR_NOT_FOUND, "there is no such shape");
    json_t *config = shape_config(&shapes[i], bits);
    if (!config)
        return error_memory(error, "a configuration", 0);
    int status = model_shape_compile(config, shapes[i].name, out, error);
    json_decref(config);
    return status;
}

/* ---- the list ---- */

/* Of the report's "ceilings": the pace that they stand for. Their samples are from memory, of any amount. */
static bool pace_of(const json_t *ceilings, struct pace *out)
{
    double samples[64], value = json_get_positive(ceilings, "memory_read.value");
    size_t n = json_get_numbers(ceilings, "memory_read.samples", "", samples, 64);
    struct stats stats = {.q1 = value, .median = value, .max = value};
    *out = (struct pace){.n_points = 1};
    if (!(value > 0))
        return false;
    if (n >= 2 && (!stats_compute(samples, n, &stats) || !(stats.min > 0)))
        stats = (struct stats){.q1 = value, .median = value, .max = value};
    out->points[0] = (struct pace_point){
        .bytes = 1, .gbps = stats.median, .low = stats.q1, .high = fmax(value, stats.max)};
    return true;
}

/* Ceilings of this machine go with its calibration, those of another one do not. */
static void read_machine(const json_t *ceilings, bool own, struct estimate_machine *out)
{
    *out = (struct estimate_machine){.available_bytes = UINT64_MAX, .n_threads = cpu_usable_threads()};
    out->paced = pace_of(ceilings, &out->pace);
    snprintf(out->pace_reason, sizeof out->pace_reason,
             "the read bandwidth of this machine was not measured yet");
    if (!own || !out->paced)
        return;
    out->calibrated =
        calibration_load(NULL, 0, &out->calibration, out->calibration_reason, sizeof out->calibration_reason);
    out->pace.gops = out->calibration.pace.gops;
    out->pace.gops_low = out->calibration.pace.gops_low;
    out->pace.gops_high = out->calibration.pace.gops_high;
}

static json_t *model_json(const struct shape *shape, uint32_t bits, const struct estimate *estimate)
{
    char name[96], size[48], text[96], a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    const char *reason = estimate->reason[0] ? estimate->reason : "not known";
    snprintf(name, sizeof name, "mlx-community/%s-%ubit", shape->name, bits);
    snprintf(size, sizeof size, "~%s", format_bytes(a, (double)estimate->total_bytes));
    json_t *o = json_object();
    json_put_string(o, "model", name, "");
    json_put_string(o, "size", size, "");
    json_put_integer(o, "bytes", estimate->total_bytes);
    json_put_integer(o, "weight_bytes", estimate->weight_bytes);
    json_put_integer(o, "kv_bytes", estimate->kv_bytes);
    json_put_integer(o, "context", estimate->context);
    if (isnan(estimate->decode.mid)) {
        json_put_null(o, "performance", reason);
        json_put_null(o, "decode_tokens_per_second", reason);
    } else {
        snprintf(text, sizeof text, "%s tok/s (%s-%s)", format_number(a, estimate->decode.mid),
                 format_number(b, estimate->decode.low), format_number(c, estimate->decode.high));
        json_put_string(o, "performance", text, "");
        json_t *speed = json_put_object(o, "decode_tokens_per_second");
        json_put_number(speed, "low", estimate->decode.low, "");
        json_put_number(speed, "mid", estimate->decode.mid, "");
        json_put_number(speed, "high", estimate->decode.high, "");
    }
    bool slow = estimate->decode.mid < READING_TPS;
    snprintf(text, sizeof text, "%s%s", shape->use_case, slow ? " (slower than one reads, here)" : "");
    json_put_string(o, "use_case", text, "");
    return o;
}

/* New reference; NULL: it cannot be had, which no shape here is. *slow: slower than one reads. */
static json_t *one_model(size_t i, uint32_t bits, const struct estimate_machine *machine,
                         uint64_t memory_bytes, bool *slow)
{
    struct model *model;
    struct estimate estimate;
    json_t *o = NULL;
    if (estimate_shape_model(i, bits, &model, NULL))
        return NULL;
    if (estimate_model(model, &(struct estimate_options){.context = ESTIMATE_CONTEXT}, machine, &estimate,
                       NULL) == 0 &&
        (double)estimate.total_bytes <= MEMORY_SHARE * (double)memory_bytes)
        o = model_json(&shapes[i], bits, &estimate);
    *slow = estimate.decode.mid < READING_TPS; /* not known: not slow */
    model_close(model);
    return o;
}

/* Largest first, those that are fast enough to talk with before the others: the first is the one to take. */
json_t *estimate_models(const json_t *ceilings, bool own, uint64_t memory_bytes)
{
    struct estimate_machine machine;
    json_t *fast = json_array(), *slow = json_array();
    read_machine(ceilings, own, &machine);
    for (size_t i = N_SHAPES; i-- > 0;)
        for (uint32_t bits = 8; bits >= 4; bits -= 4) {
            bool is_slow;
            json_t *o = one_model(i, bits, &machine, memory_bytes, &is_slow);
            if (o)
                json_array_append_new(is_slow ? slow : fast, o);
        }
    if (json_array_extend(fast, slow)) {
        json_decref(fast);
        fast = NULL;
    }
    json_decref(slow);
    return fast;
}
