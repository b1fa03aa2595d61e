/* Mistral: Llama with a sliding window in every layer (Mistral 7B v0.1; later ones set it to null), or in
 * those that layer_types name. Ministral 3 is Llama whose queries grow beyond the trained context. Mixtral is
 * Mistral with routed experts.
 *
 * mlx-lm 0.32 runs Mistral as Llama and so drops the window where layer_types are absent; transformers and
 * the model's paper (arXiv 2310.06825) keep it, and so do we. The two differ from position sliding_window on.
 */
#include "model/families/families.h"

static uint32_t window(const struct model_spec *spec, uint32_t layer)
{
    return !spec->layer_types || spec->layer_types[layer] == LAYER_SLIDING ? spec->sliding_window : 0;
}

int mistral_write(struct decoder *decoder)
{
    decoder->window = window;
    return decoder_write(decoder);
}

/* Llama 4's temperature of queries. */
void ministral3_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec)
{
    (void)arena;
    struct json_fields rope = {.object = json_fields_object(fields, "rope_parameters"),
                               .where = "config.json: rope_parameters",
                               .error = fields->error};
    spec->query_grow_beta = (float)json_fields_number(&rope, "llama_4_scaling_beta", 0, 0, 100);
    if (spec->query_grow_beta > 0)
        spec->query_grow_from = json_fields_count(&rope, "original_max_position_embeddings",
                                                  JSON_REQUIRED_COUNT, 1, SPEC_MAX_CONTEXT);
    if (spec->query_grow_from && spec->rope.partial != 1)
        json_fields_fail(fields, ERROR_UNSUPPORTED, "partial_rotary_factor",
                         "other than 1 does not go together with llama_4_scaling_beta");
    if (rope.status)
        fields->status = rope.status;
}

int mixtral_write(struct decoder *decoder)
{
    decoder->experts.router = "block_sparse_moe.gate";
    decoder->experts.stack = "block_sparse_moe.switch_mlp";
    decoder->experts.single = "block_sparse_moe.experts.0.w1";
    decoder->window = window;
    return decoder_write(decoder);
}
