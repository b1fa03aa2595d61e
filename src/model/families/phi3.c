/* Phi-3, Phi-3.5 and Phi-4 (arXiv 2404.14219, 2412.08905): Llama with one matrix for queries, keys and values
 * and one for gate and up.
 *
 * Phi-3-mini-4k's sliding_window of 2,047 is kept as transformers has it; mlx-lm 0.32 drops it.
 */
#include "model/families/families.h"

static uint32_t window(const struct model_spec *spec, uint32_t layer)
{
    (void)layer;
    return spec->sliding_window;
}

int phi3_write(struct decoder *decoder)
{
    decoder->fused_qkv = decoder->fused_gate_up = true;
    decoder->qkv_bias = decoder->output_bias = decoder->mlp_bias = false;
    decoder->window = window;
    return decoder_write(decoder);
}
