#include "cli/sampling.h"

#include <math.h>

#include "model/model.h"

void sampling_none(struct sampling_wishes *wishes)
{
    *wishes = (struct sampling_wishes){
        .temperature = NAN, .top_p = NAN, .min_p = NAN, .repetition = NAN, .top_k = UINT32_MAX};
}

void sampling_option(struct cli_parser *parser, int id, struct sampling_wishes *wishes)
{
    switch (id) {
    case SAMPLING_TEMP:
        cli_float(parser, 0, 100, &wishes->temperature);
        break;
    case SAMPLING_TOP_K:
        cli_u32(parser, 0, 1 << 24, &wishes->top_k);
        break;
    case SAMPLING_TOP_P:
        cli_float(parser, 0, 1, &wishes->top_p);
        break;
    case SAMPLING_MIN_P:
        cli_float(parser, 0, 1, &wishes->min_p);
        break;
    case SAMPLING_REPETITION:
        cli_float(parser, MODEL_MIN_REPETITION_PENALTY, MODEL_MAX_REPETITION_PENALTY, &wishes->repetition);
        break;
    case SAMPLING_SEED:
        cli_u64(parser, &wishes->seed);
        break;
    default:
        break;
    }
}

struct engine_sampling sampling_make(const struct engine *engine, const struct sampling_wishes *wishes)
{
    struct engine_sampling sampling = engine_sampling_default(engine);
    sampling.seed = wishes->seed;
    if (!isnan(wishes->temperature))
        sampling.temperature = wishes->temperature;
    if (!isnan(wishes->top_p))
        sampling.top_p = wishes->top_p;
    if (!isnan(wishes->min_p))
        sampling.min_p = wishes->min_p;
    if (!isnan(wishes->repetition))
        sampling.repetition_penalty = wishes->repetition;
    if (wishes->top_k != UINT32_MAX)
        sampling.top_k = wishes->top_k;
    return sampling;
}
