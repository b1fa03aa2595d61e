/* All kinds but one come down to a table of frequencies, computed here once in double precision; "linear"
 * too, since scaling positions by 1/factor is scaling frequencies by 1/factor. Dynamic scaling depends on the
 * position and stays a formula (plan.h).
 */
#include "model/rope.h"

#include <math.h>
#include <string.h>

#include "model/json_file.h"

static const double PI = 3.14159265358979323846;

static int read_kind(struct json_fields *scaling, struct rope_spec *out)
{
    static const struct {
        const char *name;
        enum rope_kind kind;
    } kinds[] = {{"default", ROPE_DEFAULT}, {"linear", ROPE_LINEAR}, {"dynamic", ROPE_DYNAMIC},
                 {"llama3", ROPE_LLAMA3},   {"yarn", ROPE_YARN},     {"longrope", ROPE_LONG},
                 {"su", ROPE_LONG}};
    const char *name = json_fields_string(scaling, "rope_type", "default");
    name = json_fields_string(scaling, "type", name); /* the older spelling wins, as in mlx-lm */
    if (scaling->status)
        return scaling->status;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, kinds[i].name) == 0) {
            out->kind = kinds[i].kind;
            return 0;
        }
    return scaling->status = error_set(
               scaling->error, ERROR_UNSUPPORTED,
               "%s: rope type %.40s is not supported (default, linear, dynamic, llama3, yarn, longrope are)",
               scaling->where, name);
}

static void read_llama3(struct json_fields *scaling, struct rope_spec *out)
{
    out->original_positions =
        json_fields_count(scaling, "original_max_position_embeddings", 8192, 1, 1u << 27);
    out->low_freq_factor = json_fields_number(scaling, "low_freq_factor", 1, 1e-3, 1e6);
    out->high_freq_factor = json_fields_number(scaling, "high_freq_factor", 4, 1e-3, 1e6);
    if (!(out->high_freq_factor > out->low_freq_factor))
        json_fields_fail(scaling, ERROR_INVALID, "high_freq_factor", "must be above low_freq_factor");
}

static void read_yarn(struct json_fields *scaling, struct rope_spec *out)
{
    out->original_positions =
        json_fields_count(scaling, "original_max_position_embeddings", 4096, 1, 1u << 27);
    out->beta_fast = json_fields_number(scaling, "beta_fast", 32, 1e-6, 1e6);
    out->beta_slow = json_fields_number(scaling, "beta_slow", 1, 1e-6, 1e6);
    out->mscale = json_fields_number(scaling, "mscale", 1, 0, 1e3);
    out->mscale_all_dim = json_fields_number(scaling, "mscale_all_dim", 0, 0, 1e3);
    out->attention_factor = json_fields_number(scaling, "attention_factor", 0, 0, 1e3);
    out->truncate = json_fields_bool(scaling, "truncate", true);
}

/* mlx-lm turns by the long factors whatever the length; transformers by the short ones up to
 * original_positions, so that what is in its cache changes meaning on the way. The long ones serve both. */
static void read_long(struct json_fields *scaling, struct json_fields *top, struct arena *arena,
                      struct rope_spec *out)
{
    uint32_t original = json_fields_count(top, "original_max_position_embeddings", 4096, 2, 1u << 27);
    out->original_positions =
        json_fields_count(scaling, "original_max_position_embeddings", original, 2, 1u << 27);
    out->attention_factor = json_fields_number(scaling, "attention_factor", 0, 0, 1e3);
    const json_t *list = json_fields_array(scaling, "long_factor", 1 << 16);
    if (!list || json_array_size(list) == 0) {
        json_fields_fail(scaling, ERROR_INVALID, "long_factor", "must be a list of numbers");
        return;
    }
    double *factors = arena_alloc(arena, json_array_size(list), sizeof *factors);
    if (!factors) {
        scaling->status = error_memory(scaling->error, "rotary factors", json_array_size(list));
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        factors[i] = json_number_value(json_array_get(list, i));
        if (!(factors[i] >= 1e-3 && factors[i] <= 1e6))
            json_fields_fail(scaling, ERROR_INVALID, "long_factor", "must be numbers above 0");
    }
    out->long_factor = factors;
    out->n_factors = (uint32_t)json_array_size(list);
}

/* "rope_parameters", or where it has one for each kind of layer, that of full attention. */
static const json_t *read_parameters(struct json_fields *top)
{
    const json_t *parameters = json_fields_object(top, "rope_parameters");
    const json_t *full = json_object_get(parameters, "full_attention");
    return json_is_object(full) ? full : parameters;
}

int rope_spec_read(const json_t *config, double default_theta, double default_partial, uint32_t max_positions,
                   struct arena *arena, struct rope_spec *out, struct error *error)
{
    struct json_fields top = {.object = config, .where = "config.json", .error = error};
    const json_t *parameters = read_parameters(&top);
    const json_t *chosen = json_fields_object(&top, "rope_scaling");
    struct json_fields nested = {
        .object = parameters, .where = "config.json: rope_parameters", .error = error};
    struct json_fields scaling = {.object = chosen ? chosen : parameters,
                                  .where =
                                      chosen ? "config.json: rope_scaling" : "config.json: rope_parameters",
                                  .error = error};
    if (json_fields_get(&nested, "rope_theta")) /* transformers 5 keeps it here; the older place wins */
        default_theta = json_fields_number(&nested, "rope_theta", default_theta, 1.0 + 1e-6, 1e15);
    if (nested.status)
        return nested.status;
    out->theta = json_fields_number(&top, "rope_theta", default_theta, 1.0 + 1e-6, 1e15);
    out->interleaved = json_fields_bool(&top, "rope_traditional", false);
    double partial = json_fields_number(&scaling, "partial_rotary_factor", default_partial, 0, 1);
    partial = json_fields_number(&nested, "partial_rotary_factor", partial, 0, 1);
    out->partial = json_fields_number(&top, "partial_rotary_factor", partial, 0, 1);
    if (nested.status || scaling.status)
        return nested.status ? nested.status : scaling.status;
    if (top.status)
        return top.status;
    out->max_positions = max_positions;
    if (read_kind(&scaling, out))
        return scaling.status;
    out->factor = out->kind == ROPE_DEFAULT || out->kind == ROPE_LONG
                      ? 1
                      : json_fields_number(&scaling, "factor", JSON_REQUIRED_NUMBER, 1e-3, 1e6);
    if (out->kind == ROPE_LLAMA3)
        read_llama3(&scaling, out);
    if (out->kind == ROPE_YARN)
        read_yarn(&scaling, out);
    if (out->kind == ROPE_LONG)
        read_long(&scaling, &top, arena, out);
    return top.status ? top.status : scaling.status;
}

uint32_t rope_dims(const struct rope_spec *spec, uint32_t head_dim)
{
    uint32_t dims = (uint32_t)(head_dim * spec->partial);
    bool fits = dims >= 2 && dims % 2 == 0 && (spec->kind != ROPE_LONG || spec->n_factors == dims / 2) &&
                (spec->kind != ROPE_DYNAMIC || dims > 2);
    return fits ? dims : 0;
}

uint32_t rope_context(const struct rope_spec *spec)
{
    double context = spec->max_positions;
    if (spec->kind == ROPE_LINEAR || spec->kind == ROPE_DYNAMIC)
        context *= fmax(spec->factor, 1);
    if (spec->kind == ROPE_YARN)
        context = fmax(context, spec->original_positions * spec->factor);
    return context < (double)(1u << 27) ? (uint32_t)context : 1u << 27;
}

/* Long wavelengths are stretched by the factor, short ones kept, those between blended (Llama 3.1). */
static double llama3_frequency(const struct rope_spec *spec, double frequency)
{
    double wavelength = 2 * PI / frequency, original = spec->original_positions;
    if (wavelength > original / spec->low_freq_factor)
        return frequency / spec->factor;
    if (wavelength <= original / spec->high_freq_factor)
        return frequency;
    double keep =
        (original / wavelength - spec->low_freq_factor) / (spec->high_freq_factor - spec->low_freq_factor);
    return frequency * ((1 - keep) / spec->factor + keep);
}

/* The (fractional) pair that turns this many times within the original context. */
static double yarn_pair(const struct rope_spec *spec, uint32_t dims, double rotations)
{
    return dims * log(spec->original_positions / (rotations * 2 * PI)) / (2 * log(spec->theta));
}

static double yarn_frequency(const struct rope_spec *spec, uint32_t dims, uint32_t pair, double frequency)
{
    double low = yarn_pair(spec, dims, spec->beta_fast), high = yarn_pair(spec, dims, spec->beta_slow);
    if (spec->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, dims - 1.0);
    if (high == low)
        high += 0.001;
    double stretched = fmin(fmax((pair - low) / (high - low), 0), 1);
    return frequency * (stretched / spec->factor + (1 - stretched));
}

static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

/* Attention over more positions than were trained is made sharper by this (LongRoPE, arXiv 2402.13753). */
static double long_scale(const struct rope_spec *spec)
{
    double factor = (double)spec->max_positions / spec->original_positions;
    return factor <= 1 ? 1 : sqrt(1 + log(factor) / log(spec->original_positions));
}

const struct plan_rope *rope_build(const struct rope_spec *spec, uint32_t dims, struct arena *arena)
{
    struct plan_rope *rope = arena_alloc(arena, 1, sizeof *rope);
    float *inv_freq = arena_alloc(arena, dims / 2, sizeof *inv_freq);
    if (!rope || !inv_freq)
        return NULL;
    for (uint32_t i = 0; i < dims / 2; i++) {
        double frequency = pow(spec->theta, -2.0 * i / dims);
        if (spec->kind == ROPE_LINEAR)
            frequency /= spec->factor;
        if (spec->kind == ROPE_LLAMA3)
            frequency = llama3_frequency(spec, frequency);
        if (spec->kind == ROPE_YARN)
            frequency = yarn_frequency(spec, dims, i, frequency);
        if (spec->kind == ROPE_LONG)
            frequency /= spec->long_factor[i];
        inv_freq[i] = (float)frequency;
    }
    *rope =
        (struct plan_rope){.dims = dims, .interleaved = spec->interleaved, .scale = 1, .inv_freq = inv_freq};
    if (spec->kind == ROPE_DYNAMIC) {
        rope->dynamic_from = spec->max_positions;
        rope->base = (float)spec->theta;
        rope->factor = (float)spec->factor;
    }
    if (spec->kind == ROPE_YARN)
        rope->scale =
            (float)(spec->attention_factor > 0 ? spec->attention_factor
                                               : yarn_mscale(spec->factor, spec->mscale) /
                                                     yarn_mscale(spec->factor, spec->mscale_all_dim));
    if (spec->kind == ROPE_LONG)
        rope->scale = (float)(spec->attention_factor > 0 ? spec->attention_factor : long_scale(spec));
    return rope;
}
