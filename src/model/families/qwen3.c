/* Qwen3: RMS norms over each head of queries and keys before the rotation, and no biases unless
 * attention_bias says so.
 *
 * qwen3_moe is the same with routed experts in the layers that decoder_sparse_step and mlp_only_layers leave
 * (all of them in the published models). The router's softmax goes over all experts before the best are
 * taken; norm_topk_prob makes the weights of those sum to 1. mlx-lm 0.32 ignores rope_scaling in this family;
 * transformers and the model cards (yarn for long contexts) do not, and neither do we.
 */
#include "model/families/families.h"

int qwen3_write(struct decoder *decoder)
{
    decoder->qk_norm = QK_NORM_HEADS;
    decoder->mlp_bias = false;
    decoder->window = decoder_qwen_window;
    return decoder_write(decoder);
}
