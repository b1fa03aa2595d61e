/* Llama 2, 3, 3.1, 3.2 and the many models that took over its model_type; and two that are Llama but for
 * something in their configuration.
 *
 * Windows exist only where config.json lists layer_types (mlx-lm, transformers); a bare sliding_window is
 * ignored.
 */
#include "model/families/families.h"

int llama_write(struct decoder *decoder)
{
    decoder->window = decoder_typed_window;
    return decoder_write(decoder);
}

/* SmolLM3: some layers turn nothing (NoPE, arXiv 2305.19466). no_rope_layers has a 1 where a layer does turn,
 * in spite of its name; without the list it is every layer but each no_rope_layer_interval-th. */
void smollm3_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec)
{
    const json_t *list = json_fields_array(fields, "no_rope_layers", SPEC_MAX_LAYERS);
    uint32_t interval = json_fields_count(fields, "no_rope_layer_interval", 4, 1, SPEC_MAX_LAYERS);
    if (list && json_array_size(list) != spec->n_layers)
        json_fields_fail(fields, ERROR_INVALID, "no_rope_layers", "must have one entry per layer");
    if (fields->status)
        return;
    bool *no_rope = arena_alloc(arena, spec->n_layers, sizeof *no_rope);
    if (!no_rope) {
        fields->status = error_memory(fields->error, "layers without rotation", spec->n_layers);
        return;
    }
    for (uint32_t i = 0; i < spec->n_layers; i++) {
        const json_t *turns = json_array_get(list, i);
        if (list && !json_is_integer(turns))
            json_fields_fail(fields, ERROR_INVALID, "no_rope_layers", "must be a list of 0 and 1");
        no_rope[i] = list ? json_integer_value(turns) == 0 : (i + 1) % interval == 0;
    }
    spec->no_rope = no_rope;
}

/* Granite 3: four factors that other models have grown into their weights (maximal update parametrization).
 */
void granite_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec)
{
    (void)arena;
    const double least = 1e-6, most = 1e6;
    spec->embedding_scale = (float)json_fields_number(fields, "embedding_multiplier", 1, least, most);
    spec->residual_scale = (float)json_fields_number(fields, "residual_multiplier", 1, least, most);
    spec->attention_scale = (float)json_fields_number(fields, "attention_multiplier", 1, least, most);
    spec->logits_scale = (float)(1 / json_fields_number(fields, "logits_scaling", 1, least, most));
}
