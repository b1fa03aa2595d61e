#include "profile/calibration.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/cpu/peak.h"
#include "base/version.h"
#include "platform/cpu.h"
#include "profile/json_get.h"
#include "profile/json_put.h"

const uint32_t calibration_rows[CALIBRATION_ROWS] = {1, 2, 4, 8, 16, 32, 128, 512};

void calibration_key(char out[CALIBRATION_KEY], const char *isa, uint32_t n_threads)
{
    const struct cpu_info *cpu = cpu_info();
    const char *commit = version_commit();
    struct peak peak = {.isa = "none"};
    (void)peak_find(isa, &peak);
    snprintf(out, CALIBRATION_KEY, "%s, %u of %u cores, quota %.2f, %u threads, %s, %s %s, method %d",
             cpu->name, (unsigned)cpu->cores_allowed, (unsigned)cpu->cores_online, cpu->quota_cores,
             (unsigned)(n_threads ? n_threads : cpu_usable_threads()), peak.isa, version_number(),
             commit ? commit : "", CALIBRATION_METHOD);
}

/* ---- looking up ---- */

const struct calibration_product *calibration_product(const struct calibration *calibration,
                                                      struct trial_format format, bool *exact)
{
    const struct calibration_product *best = NULL;
    for (uint32_t i = 0; i < calibration->n_products; i++) {
        const struct calibration_product *item = &calibration->products[i];
        if (item->format.format != format.format || item->format.bits != format.bits)
            continue;
        double far = fabs(log((double)item->format.group_size + 1) - log((double)format.group_size + 1));
        if (!best ||
            far < fabs(log((double)best->format.group_size + 1) - log((double)format.group_size + 1)))
            best = item;
    }
    if (exact)
        *exact = best && best->format.group_size == format.group_size;
    return best;
}

const struct calibration_attention *calibration_attention(const struct calibration *calibration,
                                                          uint32_t head_dim, uint32_t heads_per_kv,
                                                          uint32_t kv_bits)
{
    const struct calibration_attention *best = NULL;
    double least = INFINITY;
    for (uint32_t i = 0; i < calibration->n_attention; i++) {
        const struct calibration_attention *item = &calibration->attention[i];
        double far = fabs(log((double)item->head_dim / head_dim)) +
                     fabs(log((double)item->heads_per_kv / heads_per_kv));
        if (item->kv_bits == kv_bits && far < least) {
            least = far;
            best = item;
        }
    }
    return best;
}

/* By logarithms between the rows that were measured; beyond the last the time grows with the rows. */
double calibration_product_ns(const struct calibration_product *product, double rows)
{
    if (rows <= 1)
        return product->ns[0] * rows;
    int i = 1;
    while (i < CALIBRATION_ROWS - 1 && calibration_rows[i] < rows)
        i++;
    if (rows > calibration_rows[CALIBRATION_ROWS - 1])
        return product->ns[CALIBRATION_ROWS - 1] * rows / calibration_rows[CALIBRATION_ROWS - 1];
    double from = log(calibration_rows[i - 1]), to = log(calibration_rows[i]);
    double share = (log(rows) - from) / (to - from);
    return exp((1 - share) * log(product->ns[i - 1]) + share * log(product->ns[i]));
}

const char *calibration_format_name(enum weight_format format)
{
    static const char *const names[] = {"dense", "affine", "mxfp4", "mxfp8", "nvfp4"};
    return names[format];
}

/* ---- JSON ---- */

static json_t *product_json(const struct calibration_product *product)
{
    json_t *o = json_object();
    json_put_string(o, "format", calibration_format_name(product->format.format), "");
    json_put_integer(o, "bits", product->format.bits);
    json_put_integer(o, "group_size", product->format.group_size);
    json_put_number(o, "efficiency", product->efficiency, "not measured");
    json_put_number(o, "overlap", product->p, "");
    json_t *list = json_put_array(o, "ns");
    for (int i = 0; i < CALIBRATION_ROWS; i++)
        json_array_append_new(list, json_put_real(product->ns[i]));
    return o;
}

static json_t *attention_json(const struct calibration_attention *item)
{
    json_t *o = json_object();
    json_put_integer(o, "head_dim", item->head_dim);
    json_put_integer(o, "heads_per_kv", item->heads_per_kv);
    json_put_integer(o, "kv_bits", item->kv_bits);
    json_put_number(o, "decode_ns", item->decode_ns, "");
    json_put_number(o, "prefill_ns", item->prefill_ns, "");
    json_put_number(o, "overlap", item->p, "");
    return o;
}

json_t *calibration_json(const struct calibration *calibration)
{
    json_t *o = json_object();
    json_put_string(o, "key", calibration->key, "");
    json_put_string(o, "measured", calibration->measured, "");
    json_put_string(o, "isa", calibration->isa, "");
    json_put_integer(o, "n_threads", calibration->n_threads);
    json_put_number(o, "duration_s", calibration->duration_s, "");
    json_t *products = json_put_array(o, "products"), *attention = json_put_array(o, "attention");
    for (uint32_t i = 0; i < calibration->n_products; i++)
        json_array_append_new(products, product_json(&calibration->products[i]));
    for (uint32_t i = 0; i < calibration->n_attention; i++)
        json_array_append_new(attention, attention_json(&calibration->attention[i]));
    json_t *rows = json_put_object(o, "rows");
    for (int i = 0; i < PLAN_OP_KINDS; i++)
        if (calibration->rows_ns[i] > 0) {
            json_t *kind = json_put_object(rows, plan_op_kind_name((enum plan_op_kind)i));
            json_put_number(kind, "one_ns", calibration->row_ns[i], "");
            json_put_number(kind, "many_ns", calibration->rows_ns[i], "");
        }
    json_put_number(o, "stage_us", calibration->stage_us, "");
    json_put_number(o, "sample_ns", calibration->sample_ns, "");
    json_object_set_new(o, "pace", pace_json(&calibration->pace));
    json_put_number(o, "decode_spread", calibration->decode_spread, "");
    json_put_number(o, "decode_bias", calibration->decode_bias, "");
    json_put_number(o, "prefill_spread", calibration->prefill_spread, "");
    json_put_number(o, "prefill_bias", calibration->prefill_bias, "");
    return o;
}

/* A number within bounds that no machine leaves; sets *fine to false otherwise. */
static double bounded(const json_t *json, const char *path, double low, double high, bool *fine)
{
    double value = json_get_number(json, path);
    if (!(value >= low && value <= high))
        *fine = false;
    return value;
}

static bool format_from(const json_t *json, enum weight_format *out)
{
    for (int i = WEIGHT_DENSE; i <= WEIGHT_NVFP4; i++)
        if (json_get_is(json, "format", calibration_format_name((enum weight_format)i))) {
            *out = (enum weight_format)i;
            return true;
        }
    return false;
}

static bool product_from(const json_t *json, struct calibration_product *out)
{
    bool fine = true;
    *out = (struct calibration_product){.p = bounded(json, "overlap", 0.5, 16, &fine),
                                        .efficiency = json_get_number(json, "efficiency")};
    out->format.bits = (uint32_t)json_get_integer(json, "bits", 1, 32, 0);
    out->format.group_size = (uint32_t)json_get_integer(json, "group_size", 0, 1024, 0);
    fine = fine && out->format.bits && format_from(json, &out->format.format);
    fine = fine && json_get_numbers(json, "ns", "", out->ns, CALIBRATION_ROWS) == CALIBRATION_ROWS;
    for (int i = 0; fine && i < CALIBRATION_ROWS; i++)
        fine = out->ns[i] > 1e-9 && out->ns[i] < 1e6;
    return fine;
}

static bool attention_from(const json_t *json, struct calibration_attention *out)
{
    bool fine = true;
    *out = (struct calibration_attention){
        .head_dim = (uint32_t)json_get_integer(json, "head_dim", 1, 4096, 0),
        .heads_per_kv = (uint32_t)json_get_integer(json, "heads_per_kv", 1, 1024, 0),
        .kv_bits = (uint32_t)json_get_integer(json, "kv_bits", 8, 32, 0),
        .decode_ns = bounded(json, "decode_ns", 1e-6, 1e9, &fine),
        .prefill_ns = bounded(json, "prefill_ns", 1e-9, 1e9, &fine),
        .p = bounded(json, "overlap", 0.5, 16, &fine)};
    return fine && out->head_dim && out->heads_per_kv && out->kv_bits;
}

static bool rows_from(const json_t *json, struct calibration *out)
{
    bool fine = true;
    const json_t *rows = json_get_object(json, "rows");
    for (int i = 0; i < PLAN_OP_KINDS; i++) {
        const json_t *kind = json_get_object(rows, plan_op_kind_name((enum plan_op_kind)i));
        if (!kind)
            continue;
        out->row_ns[i] = bounded(kind, "one_ns", 0, 1e6, &fine);
        out->rows_ns[i] = bounded(kind, "many_ns", 1e-9, 1e6, &fine);
    }
    return fine && out->rows_ns[PLAN_NORM] > 0 && out->rows_ns[PLAN_ADD] > 0;
}

bool calibration_from_json(const json_t *json, struct calibration *out)
{
    bool fine = true;
    *out = (struct calibration){.n_threads = (uint32_t)json_get_integer(json, "n_threads", 1, 1024, 0)};
    const char *key = json_get_string(json, "key"), *isa = json_get_string(json, "isa"),
               *measured = json_get_string(json, "measured");
    size_t products = json_get_count(json, "products"), attention = json_get_count(json, "attention");
    if (!key || strlen(key) >= sizeof out->key || !isa || strlen(isa) >= sizeof out->isa || !measured ||
        strlen(measured) >= sizeof out->measured || out->n_threads == 0 || products == 0 ||
        products > CALIBRATION_MAX_PRODUCTS || attention == 0 || attention > CALIBRATION_MAX_ATTENTION)
        return false;
    snprintf(out->key, sizeof out->key, "%s", key);
    snprintf(out->isa, sizeof out->isa, "%s", isa);
    snprintf(out->measured, sizeof out->measured, "%s", measured);
    const json_t *list = json_get_array(json, "products");
    for (size_t i = 0; fine && i < products; i++)
        fine = product_from(json_get_item(list, i), &out->products[out->n_products++]);
    list = json_get_array(json, "attention");
    for (size_t i = 0; fine && i < attention; i++)
        fine = attention_from(json_get_item(list, i), &out->attention[out->n_attention++]);
    out->duration_s = bounded(json, "duration_s", 0, 1e6, &fine);
    out->stage_us = bounded(json, "stage_us", 0, 1e6, &fine);
    out->sample_ns = bounded(json, "sample_ns", 0, 1e6, &fine);
    out->decode_spread = bounded(json, "decode_spread", 0, 2, &fine);
    out->decode_bias = bounded(json, "decode_bias", -2, 2, &fine);
    out->prefill_spread = bounded(json, "prefill_spread", 0, 2, &fine);
    out->prefill_bias = bounded(json, "prefill_bias", -2, 2, &fine);
    return fine && rows_from(json, out) && pace_from_json(json_get_object(json, "pace"), &out->pace);
}
