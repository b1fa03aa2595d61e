/* Gemma 2 (arXiv 2408.00118) and Gemma 3 (arXiv 2503.19786): norms before and after each half of a layer,
 * whose weights are stored as their distance from 1; embeddings made longer; windows in most layers.
 *
 * mlx-lm 0.32 runs Gemma 2 without its windows; transformers and the paper have one of 4,096 tokens in every
 * other layer, and so do we. The two differ from position sliding_window on.
 */
#include <math.h>

#include "base/float16.h"
#include "model/families/families.h"

/* The square root of the width, as the published models have it: rounded to bfloat16. */
static float embedding_scale(uint32_t hidden)
{
    return float_from_bf16(float_to_bf16((float)sqrt(hidden)));
}

static void read_common(struct json_fields *fields, double query_scalar, uint32_t pattern,
                        struct model_spec *spec)
{
    double scalar = json_fields_number(fields, "query_pre_attn_scalar", query_scalar, 1e-3, 1e6);
    spec->attention_scale = (float)(1 / sqrt(scalar));
    spec->embedding_scale = embedding_scale(spec->hidden);
    spec->sliding_pattern = json_fields_count(fields, "sliding_window_pattern", pattern, 1, SPEC_MAX_LAYERS);
}

/* null says that there is none; what is not there has the default. */
static float read_softcap(struct json_fields *fields, const char *name, double otherwise)
{
    bool none = json_is_null(json_object_get(fields->object, name));
    return none ? 0 : (float)json_fields_number(fields, name, otherwise, 0, 1e6);
}

void gemma2_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec)
{
    (void)arena;
    read_common(fields, 256, 2, spec);
    spec->attention_softcap = read_softcap(fields, "attn_logit_softcapping", 50);
    spec->logits_softcap = read_softcap(fields, "final_logit_softcapping", 30);
}

int gemma2_write(struct decoder *decoder)
{
    decoder->norm_base = 1;
    decoder->norms.attention_out = "post_attention_layernorm";
    decoder->norms.mlp_in = "pre_feedforward_layernorm";
    decoder->norms.mlp_out = "post_feedforward_layernorm";
    decoder->window = decoder_pattern_window;
    return decoder_write(decoder);
}

/* Layers with a window turn by a base of their own, unscaled. max_position_embeddings is the stretched
 * context already. */
void gemma3_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec)
{
    (void)arena;
    read_common(fields, 256, 6, spec);
    spec->attention_softcap = read_softcap(fields, "attn_logit_softcapping", 0);
    spec->logits_softcap = read_softcap(fields, "final_logit_softcapping", 0);
    const json_t *parameters = json_fields_object(fields, "rope_parameters");
    struct json_fields sliding = {.object = json_object_get(parameters, "sliding_attention"),
                                  .where = "config.json: rope_parameters: sliding_attention",
                                  .error = fields->error};
    double theta = json_fields_number(fields, "rope_local_base_freq", 10000, 1.0 + 1e-6, 1e15);
    spec->rope_local = (struct rope_spec){
        .kind = ROPE_DEFAULT,
        .theta = json_fields_number(&sliding, "rope_theta", theta, 1.0 + 1e-6, 1e15),
        .factor = 1,
        .partial = 1,
        .max_positions = spec->rope.max_positions,
    };
    spec->context = spec->rope.max_positions;
    spec->tied_without_tensors = spec->tied != TIED_NO;
    spec->tied =
        TIED_UNKNOWN; /* mlx-lm's checkpoints have a head of their own where there is one, whatever is said */
    if (sliding.status)
        fields->status = sliding.status;
}

int gemma3_write(struct decoder *decoder)
{
    decoder->qk_norm = QK_NORM_HEADS;
    return gemma2_write(decoder);
}
