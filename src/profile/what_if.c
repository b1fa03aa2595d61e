#include "profile/what_if.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "model/shape.h"
#include "profile/estimate.h"

const uint32_t what_if_sequences[WHAT_IF_SEQUENCES] = {1, 2, 4, 8};
const uint32_t what_if_kv_bits[WHAT_IF_KV] = {16, 8};

enum { GROUP = 64, DEPTH = 1000 };

/* ---- forecasting ---- */

/* The weight with most of the bytes stands for the model's bits. */
static const struct weight *main_weight(const struct plan *plan)
{
    const struct weight *best = NULL;
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        const struct weight *weight = op->kind == PLAN_LINEAR    ? op->linear.weight
                                      : op->kind == PLAN_EXPERTS ? op->experts.up
                                                                 : NULL;
        if (weight && op->layer >= 0 && (!best || weight_bytes(weight) > weight_bytes(best)))
            best = weight;
    }
    return best;
}

static struct plan_step step_of(uint32_t sequences, uint32_t depth, uint32_t kv_bits)
{
    return (struct plan_step){.n_tokens = sequences,
                              .n_outputs = sequences,
                              .n_sequences = sequences,
                              .context = depth,
                              .kv_bits = kv_bits};
}

static void forecast_option(const struct model *model, const struct forecast_machine *machine,
                            uint32_t n_phases, struct what_if_option *out)
{
    const struct plan *plan = model_plan(model);
    struct plan_step one = step_of(1, 0, 16);
    const struct weight *weight = main_weight(plan);
    out->weight_bytes = (double)model_info(model)->file_bytes;
    out->streamed_bytes = plan_step_cost(plan, &one).weight_bytes;
    out->bits = weight ? weight->bits : 0;
    snprintf(out->label, sizeof out->label, "%.47s", model_info(model)->quantization);
    for (int i = 0; i < WHAT_IF_SEQUENCES; i++) {
        struct forecast forecast;
        struct plan_step step = step_of(what_if_sequences[i], DEPTH, 16);
        bool known = forecast_step(machine, plan, n_phases, &step, 0, &forecast);
        out->weights_ms[i] = known ? forecast.products_ms : NAN;
    }
}

static void forecast_common(const struct plan *plan, const struct forecast_machine *machine,
                            uint32_t n_phases, struct what_if *out)
{
    struct forecast at, deeper;
    for (int i = 0; i < WHAT_IF_SEQUENCES; i++) {
        struct plan_step step = step_of(what_if_sequences[i], DEPTH, 16);
        bool known = forecast_step(machine, plan, n_phases, &step, 0, &at);
        out->fixed_ms[i] = known ? at.rows_ms + at.stages_ms + at.sampling_ms : NAN;
    }
    for (int k = 0; k < WHAT_IF_KV; k++) {
        struct plan_step step = step_of(1, DEPTH, what_if_kv_bits[k]),
                         double_step = step_of(1, 2 * DEPTH, what_if_kv_bits[k]);
        bool known = forecast_step(machine, plan, n_phases, &step, 0, &at) &&
                     forecast_step(machine, plan, n_phases, &double_step, 0, &deeper);
        out->attention_ms_per_1k[k] = known ? deeper.attention_ms - at.attention_ms : NAN;
        out->kv_bytes_per_token[k] = (double)plan_kv_bytes_per_token(plan, what_if_kv_bits[k]);
    }
}

static int add_other_bits(const json_t *config, const struct forecast_machine *machine, uint32_t n_phases,
                          struct what_if *out, struct error *error)
{
    static const uint32_t bits[] = {2, 3, 4, 5, 6, 8, 16};
    uint32_t own = out->options[0].bits;
    int status = 0;
    for (size_t i = 0; i < sizeof bits / sizeof *bits && !status; i++) {
        struct model *model = NULL;
        json_t *other = bits[i] == own ? NULL : model_shape_requantize(config, bits[i], GROUP);
        if (!other)
            continue;
        /* rows that groups of 64 do not fill cannot be had with these bits: no option then */
        if (model_shape_compile(other, "what if", &model, error) == 0)
            forecast_option(model, machine, n_phases, &out->options[out->n_options++]);
        else if (error && error->code == ERROR_MEMORY)
            status = ERROR_MEMORY;
        model_close(model);
        json_decref(other);
    }
    return status;
}

int what_if_forecast(const struct model *model, const json_t *config, const struct estimate_machine *machine,
                     const char *isa, struct what_if *out, struct error *error)
{
    struct forecast_machine at = {.calibration = machine->calibrated ? &machine->calibration : NULL,
                                  .pace = &machine->pace};
    struct engine_options options = {.isa = isa, .n_threads = machine->n_threads};
    struct engine_sizes sizes;
    double mid = 1;
    struct error problem = {0};
    *out = (struct what_if){.n_options = 1, .low = NAN, .high = NAN};
    int status = engine_sizes(model_plan(model), model_info(model)->context, &options, &sizes, error);
    if (status)
        return status;
    out->model_context = model_info(model)->context;
    out->other_bytes =
        (double)(sizes.scratch_bytes - sizes.seldom_bytes + estimate_program_bytes(model_plan(model)->vocab));
    forecast_option(model, &at, sizes.n_phases, &out->options[0]);
    out->options[0].current = true;
    forecast_common(model_plan(model), &at, sizes.n_phases, out);
    if (config)
        status = add_other_bits(config, &at, sizes.n_phases, out, &problem);
    if (status)
        return error_set(error, status, "%s", problem.message);
    snprintf(out->source, sizeof out->source, "%s", machine->calibrated ? "calibration" : "bytes");
    if (!machine->calibrated) {
        snprintf(out->reason, sizeof out->reason, "%.200s", machine->calibration_reason);
        return 0;
    }
    estimate_factors(&machine->calibration, false, &out->low, &mid, &out->high);
    for (uint32_t i = 0; i < out->n_options; i++)
        for (int n = 0; n < WHAT_IF_SEQUENCES; n++)
            out->options[i].weights_ms[n] /= mid;
    for (int n = 0; n < WHAT_IF_SEQUENCES; n++)
        out->fixed_ms[n] /= mid;
    for (int k = 0; k < WHAT_IF_KV; k++)
        out->attention_ms_per_1k[k] /= mid;
    out->low /= mid;
    out->high /= mid;
    return 0;
}

double what_if_step_ms(const struct what_if *what_if, uint32_t option, double context,
                       uint32_t sequences_index, uint32_t kv_index)
{
    double sequences = what_if_sequences[sequences_index];
    return what_if->options[option].weights_ms[sequences_index] +
           sequences * context / 1000 * what_if->attention_ms_per_1k[kv_index] +
           what_if->fixed_ms[sequences_index];
}

/* ---- anchoring ---- */

static void scale_all(struct what_if *what_if, double factor)
{
    for (uint32_t i = 0; i < what_if->n_options; i++)
        for (int n = 0; n < WHAT_IF_SEQUENCES; n++)
            what_if->options[i].weights_ms[n] *= factor;
    for (int n = 0; n < WHAT_IF_SEQUENCES; n++)
        what_if->fixed_ms[n] *= factor;
    for (int k = 0; k < WHAT_IF_KV; k++)
        what_if->attention_ms_per_1k[k] *= factor;
}

/* Without a calibration bytes are all there is: every option reads at the same speed, and several sequences
 * share one reading of the weights. */
static void fill_by_bytes(struct what_if *what_if, double gbps, double fixed_ms)
{
    for (uint32_t i = 0; i < what_if->n_options; i++)
        for (int n = 0; n < WHAT_IF_SEQUENCES; n++)
            what_if->options[i].weights_ms[n] =
                n == 0 ? what_if->options[i].streamed_bytes / gbps / 1e6 : NAN;
    for (int n = 0; n < WHAT_IF_SEQUENCES; n++)
        what_if->fixed_ms[n] = n == 0 ? fixed_ms : NAN;
    for (int k = 0; k < WHAT_IF_KV; k++)
        what_if->attention_ms_per_1k[k] = what_if->kv_bytes_per_token[k] * 1000 / gbps / 1e6;
}

static void anchor_by_line(struct what_if *what_if, double gbps, double fixed_ms, uint32_t kv_index)
{
    struct what_if_option *own = &what_if->options[what_if->current];
    double weights = own->streamed_bytes / gbps / 1e6 / own->weights_ms[0];
    double attention = what_if->kv_bytes_per_token[kv_index] * 1000 / gbps / 1e6;
    double deep = attention / what_if->attention_ms_per_1k[kv_index], rest = fixed_ms / what_if->fixed_ms[0];
    for (uint32_t i = 0; i < what_if->n_options; i++)
        for (int n = 0; n < WHAT_IF_SEQUENCES; n++)
            what_if->options[i].weights_ms[n] *= weights;
    for (int n = 0; n < WHAT_IF_SEQUENCES; n++)
        what_if->fixed_ms[n] *= rest;
    for (int k = 0; k < WHAT_IF_KV; k++)
        what_if->attention_ms_per_1k[k] *= deep;
}

void what_if_anchor(struct what_if *what_if, double step_ms, double context, uint32_t kv_bits,
                    double bandwidth_gbps, double fixed_ms)
{
    struct what_if_option *own = &what_if->options[what_if->current];
    uint32_t kv_index = kv_bits == 8;
    bool forecast = own->weights_ms[0] > 0, line = bandwidth_gbps > 0 && fixed_ms >= 0;
    const char *source = what_if->source;
    if (line && forecast) {
        anchor_by_line(what_if, bandwidth_gbps, fixed_ms, kv_index);
        source = "two_term";
    } else if (line) {
        fill_by_bytes(what_if, bandwidth_gbps, fixed_ms);
        source = "two_term";
    } else if (forecast && step_ms > 0) {
        scale_all(what_if, step_ms / what_if_step_ms(what_if, what_if->current, context, 0, kv_index));
        source = "measured";
    } else if (step_ms > 0) {
        double bytes = own->streamed_bytes + context * what_if->kv_bytes_per_token[kv_index];
        fill_by_bytes(what_if, bytes / step_ms / 1e6, 0);
        source = "measured";
    }
    memmove(what_if->source, source, strlen(source) + 1);
    if (!forecast) /* formats read at different speeds, and how different was never measured here */
        what_if->low = what_if->high = NAN;
}
