/* Llama 2, 3, 3.1, 3.2 and the many models that took over its model_type.
 *
 * Windows exist only where config.json lists layer_types (mlx-lm, transformers); a bare sliding_window is
 * ignored.
 */
#include "model/families/families.h"

static uint32_t window(const struct model_spec *spec, uint32_t layer)
{
    return spec->layer_types && spec->layer_types[layer] == LAYER_SLIDING ? spec->sliding_window : 0;
}

int llama_write(struct decoder *decoder)
{
    decoder->qkv_bias = decoder->output_bias = decoder->spec->attention_bias;
    decoder->mlp_bias = decoder->spec->mlp_bias;
    decoder->window = window;
    return decoder_write(decoder);
}
