/* Mistral: Llama with a sliding window in every layer (Mistral 7B v0.1; later ones set it to null), or in
 * those that layer_types name.
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
    decoder->qkv_bias = decoder->output_bias = decoder->spec->attention_bias;
    decoder->mlp_bias = decoder->spec->mlp_bias;
    decoder->window = window;
    return decoder_write(decoder);
}
