/* Outliers: what makes trained models hard to compute in few bits, planted into random ones.
 *
 * Three observations about trained transformers, each planted where real ones have it:
 * - A few hidden channels are 100 to 1000 times larger than the others at every token, always with the same
 * sign, and the norm weights bring them back to 10 to 40 times (Dettmers et al. 2022, "LLM.int8()", section
 * 4).
 * - The first token of a text has a handful of "massive activations", thousands of times the median, in one
 * or two channels from the first layers to the last; they act as constant biases (Sun et al. 2024, "Massive
 * Activations in Large Language Models").
 * - Single channels between up_proj and down_proj are much larger than the rest (Yu et al. 2024, "The Super
 *   Weight in Large Language Models").
 *
 * The first two come in through columns of the embedding table, the third through one row of up_proj per
 * layer. The norm weights of all other channels grow by what the outliers add to the root mean square, so
 * that ordinary channels are as large after a norm as without outliers and the model stays alive. Models
 * without a BOS token get the massive first token on the tokens that texts and chats of that family begin
 * with.
 */
#ifndef LLMIND_SYNTH_OUTLIERS_H
#define LLMIND_SYNTH_OUTLIERS_H

#include <stdint.h>

#include "synth/shape.h"

enum { OUTLIER_MAX_CHANNELS = 5, OUTLIER_MAX_MASSIVE = 2, OUTLIER_MAX_TOKENS = 2 };

struct outlier_channel {
    uint32_t channel;
    float value;      /* in the residual stream */
    float after_norm; /* what the norm weights leave of it */
};

struct synth_outliers {
    struct outlier_channel channels[OUTLIER_MAX_CHANNELS]; /* at every token */
    uint32_t n_channels;
    struct outlier_channel massive[OUTLIER_MAX_MASSIVE]; /* at `tokens` only */
    uint32_t n_massive;
    uint32_t tokens[OUTLIER_MAX_TOKENS];
    uint32_t n_tokens;
    float mean_square;            /* what `channels` add to the mean square of a residual row */
    float after_norm_mean_square; /* the same after a norm */
    float massive_mean_square;    /* what both add at `tokens` */
};

/* residual_std: standard deviation of an ordinary channel of the residual stream. */
void outliers_init(struct synth_outliers *outliers, const struct synth_shape *shape, float residual_std);

/* The planted channels of one row of the embedding table: returns how many, fills channel and value. */
uint32_t outliers_of_row(const struct synth_outliers *outliers, uint64_t row,
                         struct outlier_channel out[OUTLIER_MAX_CHANNELS + OUTLIER_MAX_MASSIVE]);

/* Norm weight of a channel where ordinary channels have standard deviation residual_std: what takes the place
 * of 1. */
float outliers_norm_weight(const struct synth_outliers *outliers, uint32_t channel, float residual_std);
/* The same before the output head: planted channels are switched off, because with tied embeddings each would
 * add one constant to every logit, and only noise would be left of that. */
float outliers_last_norm_weight(const struct synth_outliers *outliers, uint32_t channel, float residual_std);

/* How many times larger than the others the loud row of an up_proj with this many rows is. */
float outliers_loud_row(uint32_t rows);

#endif
