/* Qwen3: RMS norms over each head of queries and keys before the rotation, and no biases unless
 * attention_bias says so. */
#include "model/families/families.h"

int qwen3_write(struct decoder *decoder)
{
    decoder->qk_norm = QK_NORM_HEADS;
    decoder->mlp_bias = false;
    decoder->window = decoder_qwen_window;
    return decoder_write(decoder);
}
