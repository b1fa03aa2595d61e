/* Qwen2 and Qwen2.5: Llama with biases on queries, keys and values. */
#include "model/families/families.h"

int qwen2_write(struct decoder *decoder)
{
    decoder->qkv_bias = true;
    decoder->output_bias = decoder->mlp_bias = false;
    decoder->window = decoder_qwen_window;
    return decoder_write(decoder);
}
