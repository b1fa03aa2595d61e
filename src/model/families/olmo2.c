/* OLMo 2 (arXiv 2501.00656): norms after each half of a layer instead of before it, and over all queries and
 * all keys before the rotation. */
#include "model/families/families.h"

int olmo2_write(struct decoder *decoder)
{
    decoder->qk_norm = QK_NORM_WHOLE;
    decoder->norms.attention_in = decoder->norms.mlp_in = NULL;
    decoder->norms.attention_out = "post_attention_layernorm";
    decoder->norms.mlp_out = "post_feedforward_layernorm";
    return decoder_write(decoder);
}
