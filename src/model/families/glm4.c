/* GLM-4 of 2025 (9B and 32B, model_type glm4): norms around each half of a layer, gate and up in one matrix,
 * half of every head turned, in neighbouring pairs. */
#include "model/families/families.h"

int glm4_write(struct decoder *decoder)
{
    decoder->fused_gate_up = true;
    decoder->output_bias = decoder->mlp_bias = false;
    decoder->norms.attention_out = "post_self_attn_layernorm";
    decoder->norms.mlp_out = "post_mlp_layernorm";
    return decoder_write(decoder);
}
