/* gpt-oss (arXiv 2508.10925): routed experts with biases and a clipped activation, a sink for each head of
 * attention, windows in every other layer. */
#include "model/families/families.h"

void gpt_oss_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec)
{
    (void)arena;
    spec->activation = ACTIVATION_SWIGLU_OAI;
    spec->sliding_pattern = 2;
    double limit = json_fields_number(fields, "swiglu_limit", (double)PLAN_SWIGLU_OAI_LIMIT, 0, 1e6);
    if (limit != (double)PLAN_SWIGLU_OAI_LIMIT)
        json_fields_fail(fields, ERROR_UNSUPPORTED, "swiglu_limit", "other than 7 is not supported");
}

int gpt_oss_write(struct decoder *decoder)
{
    decoder->qkv_bias = decoder->output_bias = true;
    decoder->sinks = true;
    decoder->experts.router = "mlp.router";
    decoder->experts.stack = "mlp.experts";
    decoder->experts.single = NULL;
    decoder->experts.bias = true;
    decoder->window = decoder_pattern_window;
    return decoder_write(decoder);
}
