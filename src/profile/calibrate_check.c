/* Whole small models that were not used for anything else: predicted and timed in turn. What a real model has
 * and no entry stands for (how stages follow each other, matrices of odd shapes) shows here.
 */
#include <math.h>
#include <stdio.h>

#include "model/shape.h"
#include "profile/calibrate_internal.h"
#include "profile/forecast.h"
#include "profile/stats.h"

enum { PROMPT = 256, CONTEXT = 512, PAIRS = 5, MODELS = 4 };

static const char *const configurations[MODELS] = {
    "{\"model_type\":\"llama\",\"hidden_size\":2048,\"num_hidden_layers\":8,\"intermediate_size\":5632,"
    "\"num_attention_heads\":32,\"num_key_value_heads\":4,\"vocab_size\":32000,\"rms_norm_eps\":1e-5,"
    "\"max_position_embeddings\":4096,\"rope_theta\":10000,\"tie_word_embeddings\":false,"
    "\"quantization\":{\"bits\":4,\"group_size\":64}}",
    "{\"model_type\":\"qwen3\",\"hidden_size\":1280,\"num_hidden_layers\":6,\"intermediate_size\":3584,"
    "\"num_attention_heads\":16,\"num_key_value_heads\":8,\"head_dim\":128,\"vocab_size\":24000,"
    "\"rms_norm_eps\":1e-6,\"max_position_embeddings\":4096,\"rope_theta\":1000000,"
    "\"tie_word_embeddings\":true,\"quantization\":{\"bits\":6,\"group_size\":64}}",
    "{\"model_type\":\"qwen2\",\"hidden_size\":1536,\"num_hidden_layers\":10,\"intermediate_size\":8960,"
    "\"num_attention_heads\":12,\"num_key_value_heads\":2,\"vocab_size\":48000,\"rms_norm_eps\":1e-6,"
    "\"max_position_embeddings\":4096,\"rope_theta\":1000000,\"tie_word_embeddings\":true,"
    "\"quantization\":{\"bits\":8,\"group_size\":64}}",
    "{\"model_type\":\"llama\",\"hidden_size\":3072,\"num_hidden_layers\":3,\"intermediate_size\":8192,"
    "\"num_attention_heads\":24,\"num_key_value_heads\":8,\"head_dim\":128,\"vocab_size\":32000,"
    "\"rms_norm_eps\":1e-5,\"max_position_embeddings\":4096,\"rope_theta\":500000,"
    "\"tie_word_embeddings\":true,\"quantization\":{\"bits\":3,\"group_size\":64}}",
};

struct errors {
    double decode[MODELS], prefill[MODELS]; /* logarithms of measured / predicted, medians of the pairs */
};

static int time_pair(struct calibrating *c, struct plan *plan, struct trial *trial, uint32_t n_phases,
                     double *decode, double *prefill)
{
    struct trial_step prompt = {.n_sequences = 1, .tokens_each = PROMPT, .outputs_each = 1},
                      token = {.n_sequences = 1, .tokens_each = 1, .depth = PROMPT, .outputs_each = 1};
    struct plan_step cost = {
        .n_tokens = 1, .n_outputs = 1, .n_sequences = 1, .context = PROMPT, .kv_bits = 16};
    struct pace pace;
    struct forecast forecast;
    struct forecast_machine machine = {.calibration = c->out, .pace = &pace};
    double ms[5], prompt_ms;
    struct stats stats;
    pacer_take(c->pacer, 0, &pace);
    int status = trial_run(trial, &prompt, &prompt_ms, c->error);
    for (int i = 0; i < 5 && !status; i++)
        status = trial_run(trial, &token, &ms[i], c->error);
    if (status || !stats_compute(ms, 5, &stats))
        return status;
    bool known = forecast_step(&machine, plan, n_phases, &cost, 0, &forecast);
    *decode = known ? log(stats.median / (forecast.total_ms - forecast.sampling_ms)) : NAN;
    known = forecast_prefill(&machine, plan, n_phases, PROMPT, PROMPT, 16, &forecast);
    *prefill = known ? log(prompt_ms / (forecast.total_ms - forecast.sampling_ms)) : NAN;
    return 0;
}

static int check_model(struct calibrating *c, struct plan *plan, double *decode, double *prefill)
{
    struct trial_options options = {.isa = c->options->isa,
                                    .n_threads = c->n_threads,
                                    .kv_bits = 16,
                                    .max_tokens = PROMPT,
                                    .max_sequences = 1,
                                    .context = CONTEXT};
    struct backend_options backend = {.isa = c->options->isa,
                                      .n_threads = c->n_threads,
                                      .kv_bits = 16,
                                      .max_step_tokens = PROMPT,
                                      .max_step_outputs = 1,
                                      .max_sequences = 1,
                                      .n_pages = 1};
    struct trial *trial = NULL;
    uint32_t n_phases = 0;
    double decodes[PAIRS], prefills[PAIRS];
    struct stats stats;
    int status = trial_lend(plan, &c->pool, c->error);
    if (!status)
        status = backend_phases(plan, &backend, &n_phases, c->error);
    if (!status)
        status = trial_open(plan, &options, &trial, c->error);
    for (int i = 0; i < PAIRS && !status; i++)
        status = time_pair(c, plan, trial, n_phases, &decodes[i], &prefills[i]);
    if (!status && stats_compute(decodes, PAIRS, &stats))
        *decode = stats.median;
    if (!status && stats_compute(prefills, PAIRS, &stats))
        *prefill = stats.median;
    trial_close(trial);
    return status;
}

static void summarize(const double *errors, double *spread, double *bias)
{
    struct stats stats;
    *spread = *bias = 0;
    if (!stats_compute(errors, MODELS, &stats))
        return;
    *bias = stats.mean;
    *spread = stats.sd;
}

int calibrate_check(struct calibrating *c)
{
    struct errors errors = {0};
    int status = 0;
    for (int i = 0; i < MODELS && !status; i++) {
        json_t *config = json_loads(configurations[i], 0, NULL);
        struct model *model = NULL;
        status = model_shape_compile(config, "check", &model, c->error);
        if (!status) {
            struct plan plan = *model_plan(model);
            status = check_model(c, &plan, &errors.decode[i], &errors.prefill[i]);
        }
        model_close(model);
        json_decref(config);
    }
    if (!status) {
        summarize(errors.decode, &c->out->decode_spread, &c->out->decode_bias);
        summarize(errors.prefill, &c->out->prefill_spread, &c->out->prefill_bias);
    }
    return status;
}
