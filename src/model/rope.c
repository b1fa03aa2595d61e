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
    } kinds[] = {{"default", ROPE_DEFAULT},
                 {"linear", ROPE_LINEAR},
                 {"dynamic", ROPE_DYNAMIC},
                 {"llama3", ROPE_LLAMA3},
                 {"yarn", ROPE_YARN}};
    const char *name = json_fields_string(scaling, "rope_type", "default");
    name = json_fields_string(scaling, "type", name); /* the older spelling wins, as in mlx-lm */
    if (scaling->status)
        return scaling->status;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, kinds[i].name) == 0) {
            out->kind = kinds[i].kind;
            return 0;
        }
    return scaling->status =
               error_set(scaling->error, ERROR_UNSUPPORTED,
                         "%s: rope type %.40s is not supported (default, linear, dynamic, llama3, yarn are)",
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

int rope_spec_read(const json_t *config, double default_theta, uint32_t max_positions, struct rope_spec *out,
                   struct error *error)
{
    struct json_fields top = {.object = config, .where = "config.json", .error = error};
    const json_t *parameters = json_fields_object(&top, "rope_parameters");
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
    if (json_fields_number(&top, "partial_rotary_factor", 1, 0, 1) != 1)
        json_fields_fail(&top, ERROR_UNSUPPORTED, "partial_rotary_factor", "other than 1 is not supported");
    if (top.status)
        return top.status;
    out->max_positions = max_positions;
    if (read_kind(&scaling, out))
        return scaling.status;
    if (json_fields_number(&scaling, "partial_rotary_factor", 1, 0, 1) != 1)
        json_fields_fail(&scaling, ERROR_UNSUPPORTED, "partial_rotary_factor",
                         "other than 1 is not supported");
    out->factor = out->kind == ROPE_DEFAULT
                      ? 1
                      : json_fields_number(&scaling, "factor", JSON_REQUIRED_NUMBER, 1e-3, 1e6);
    if (out->kind == ROPE_LLAMA3)
        read_llama3(&scaling, out);
    if (out->kind == ROPE_YARN)
        read_yarn(&scaling, out);
    return scaling.status;
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
    return rope;
}
