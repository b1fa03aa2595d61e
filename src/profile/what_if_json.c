/* The table and its coefficients as JSON, and back. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/what_if.h"

static const uint32_t contexts[] = {0, 1024, 4096, 8192, 16384, 32768, 65536, 131072};

static const char *why(const struct what_if *what_if)
{
    return what_if->reason[0] ? what_if->reason : "not known for this combination";
}

static json_t *numbers(const double *values, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_put_real(values[i]));
    return list;
}

/* Speeds of one row of a table. */
static void put_speed(json_t *o, const struct what_if *what_if, double step_ms, double sequences)
{
    double rate = 1000 / step_ms;
    json_put_number(o, "step_ms", step_ms, why(what_if));
    json_put_number(o, "decode_tokens_per_second", rate, why(what_if));
    json_put_interval(o, "interval", rate * what_if->low, rate * what_if->high,
                      "how well this predicts was not measured: llmind system --calibrate does it");
    json_put_number(o, "decode_tokens_per_second_all", rate * sequences, why(what_if));
}

static json_t *coefficients_json(const struct what_if *what_if)
{
    json_t *o = json_object(), *sequences = json_put_array(o, "sequences"),
           *kv = json_put_array(o, "kv_bits");
    for (int i = 0; i < WHAT_IF_SEQUENCES; i++)
        json_array_append_new(sequences, json_integer(what_if_sequences[i]));
    for (int i = 0; i < WHAT_IF_KV; i++)
        json_array_append_new(kv, json_integer(what_if_kv_bits[i]));
    json_object_set_new(o, "kv_bytes_per_token", numbers(what_if->kv_bytes_per_token, WHAT_IF_KV));
    json_object_set_new(o, "attention_ms_per_1k", numbers(what_if->attention_ms_per_1k, WHAT_IF_KV));
    json_object_set_new(o, "fixed_ms", numbers(what_if->fixed_ms, WHAT_IF_SEQUENCES));
    json_put_number(o, "low", what_if->low, why(what_if));
    json_put_number(o, "high", what_if->high, why(what_if));
    json_put_number(o, "other_bytes", what_if->other_bytes, "not known");
    json_put_integer(o, "model_context", what_if->model_context);
    return o;
}

static json_t *bits_json(const struct what_if *what_if, uint32_t context, uint32_t kv)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < what_if->n_options; i++) {
        const struct what_if_option *option = &what_if->options[i];
        json_t *o = json_object();
        json_put_integer(o, "bits", option->bits);
        json_put_string(o, "label", option->label, "not known");
        json_put_bool(o, "current", option->current);
        json_put_number(o, "weight_bytes", option->weight_bytes, "");
        json_put_number(o, "streamed_bytes", option->streamed_bytes, "");
        json_object_set_new(o, "weights_ms", numbers(option->weights_ms, WHAT_IF_SEQUENCES));
        json_put_number(o, "total_bytes",
                        option->weight_bytes + what_if->other_bytes +
                            context * what_if->kv_bytes_per_token[kv],
                        "not known");
        put_speed(o, what_if, what_if_step_ms(what_if, i, context, 0, kv), 1);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *contexts_json(const struct what_if *what_if, uint32_t kv)
{
    json_t *list = json_array();
    double weights = what_if->options[what_if->current].weight_bytes;
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
        if (what_if->model_context && contexts[i] > what_if->model_context)
            break;
        double kv_bytes = contexts[i] * what_if->kv_bytes_per_token[kv];
        json_t *o = json_object();
        json_put_integer(o, "context", contexts[i]);
        json_put_number(o, "kv_bytes", kv_bytes, "not known");
        json_put_number(o, "total_bytes", weights + what_if->other_bytes + kv_bytes, "not known");
        put_speed(o, what_if, what_if_step_ms(what_if, what_if->current, contexts[i], 0, kv), 1);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *concurrency_json(const struct what_if *what_if, uint32_t context, uint32_t kv)
{
    json_t *list = json_array();
    double weights = what_if->options[what_if->current].weight_bytes;
    for (uint32_t i = 0; i < WHAT_IF_SEQUENCES; i++) {
        double kv_bytes = (double)what_if_sequences[i] * context * what_if->kv_bytes_per_token[kv];
        json_t *o = json_object();
        json_put_integer(o, "concurrency", what_if_sequences[i]);
        json_put_number(o, "kv_bytes", kv_bytes, "not known");
        json_put_number(o, "total_bytes", weights + what_if->other_bytes + kv_bytes, "not known");
        put_speed(o, what_if, what_if_step_ms(what_if, what_if->current, context, i, kv),
                  what_if_sequences[i]);
        json_array_append_new(list, o);
    }
    return list;
}

json_t *what_if_json(const struct what_if *what_if, uint32_t context, uint32_t kv_bits)
{
    uint32_t kv = kv_bits == 8;
    json_t *o = json_object();
    json_put_string(o, "source", what_if->source, "");
    json_put_string(o, "formula",
                    "step_ms = bits.weights_ms[sequences] + sequences * context / 1000 * "
                    "attention_ms_per_1k[kv_bits] + fixed_ms[sequences]",
                    "");
    json_put_integer(o, "context", context);
    json_put_integer(o, "kv_bits", kv_bits == 8 ? 8 : 16);
    json_object_set_new(o, "coefficients", coefficients_json(what_if));
    json_object_set_new(o, "bits", bits_json(what_if, context, kv));
    json_object_set_new(o, "contexts", contexts_json(what_if, kv));
    json_object_set_new(o, "concurrency", concurrency_json(what_if, context, kv));
    if (json_object_size(o) >= 8)
        return o;
    json_decref(o);
    return NULL;
}

/* ---- back ---- */

/* Elements in their places; null is NaN. False: another length. */
static bool read_numbers(const json_t *json, const char *path, double *out, size_t n)
{
    const json_t *list = json_get_array(json, path);
    if (json_get_count(list, "") != n)
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = json_get_positive(json_get_item(list, i), "");
    return true;
}

static bool read_option(const json_t *json, struct what_if_option *out)
{
    *out = (struct what_if_option){.bits = (uint32_t)json_get_integer(json, "bits", 0, 64, 0),
                                   .current = json_get_bool(json, "current", false),
                                   .weight_bytes = json_get_positive(json, "weight_bytes"),
                                   .streamed_bytes = json_get_positive(json, "streamed_bytes")};
    snprintf(out->label, sizeof out->label, "%.47s", json_get_text(json, "label", ""));
    return out->weight_bytes > 0 && out->streamed_bytes > 0 &&
           read_numbers(json, "weights_ms", out->weights_ms, WHAT_IF_SEQUENCES);
}

bool what_if_from_json(const json_t *json, struct what_if *out)
{
    const json_t *list = json_get_array(json, "bits"), *from = json_get_object(json, "coefficients");
    size_t n = json_get_count(list, "");
    *out =
        (struct what_if){.low = json_get_positive(from, "low"),
                         .high = json_get_positive(from, "high"),
                         .other_bytes = json_get_positive(from, "other_bytes"),
                         .model_context = (uint32_t)json_get_integer(from, "model_context", 0, INT32_MAX, 0)};
    if (n == 0 || n > WHAT_IF_OPTIONS ||
        !read_numbers(from, "kv_bytes_per_token", out->kv_bytes_per_token, WHAT_IF_KV) ||
        !read_numbers(from, "attention_ms_per_1k", out->attention_ms_per_1k, WHAT_IF_KV) ||
        !read_numbers(from, "fixed_ms", out->fixed_ms, WHAT_IF_SEQUENCES))
        return false;
    snprintf(out->source, sizeof out->source, "%.15s", json_get_text(json, "source", "bytes"));
    snprintf(out->reason, sizeof out->reason, "%.200s", json_get_text(from, "low_reason", ""));
    for (size_t i = 0; i < n; i++) {
        if (!read_option(json_get_item(list, i), &out->options[out->n_options++]))
            return false;
        if (out->options[i].current)
            out->current = (uint32_t)i;
    }
    return true;
}
