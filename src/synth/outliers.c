/* Where the numbers come from: channel values are spaced evenly in the logarithm over the factors of
 * LLM.int8() (100 to 1000); a massive activation is 4000 times the ordinary, the order that Sun et al. report
 * for Llama-2-7B (median 0.2, largest above 2000, from the second layer on). What is left after a norm is at
 * most 40 times the ordinary for a hidden size of 2048 and scales with the root of the hidden size, so that
 * the share of a linear layer's output that comes from outliers does not depend on the shape. */
#include "synth/outliers.h"

#include <math.h>

static const float FACTOR_MIN = 100, FACTOR_MAX = 1000, MASSIVE_FACTOR = 4000;
static const float AFTER_NORM = 40, AFTER_NORM_HIDDEN = 2048;
static const float LOUD_SHARE = 0.44f; /* of down_proj's output variance, against all other channels' 1 */

/* One channel for every 256 of the hidden size: no two in one quantization group. */
static void place_channels(struct synth_outliers *outliers, uint32_t hidden)
{
    uint32_t n = hidden / 256, total;
    outliers->n_massive = n > 8 ? OUTLIER_MAX_MASSIVE : 1;
    n = n > outliers->n_massive ? n - outliers->n_massive : 1;
    outliers->n_channels = n < OUTLIER_MAX_CHANNELS ? n : OUTLIER_MAX_CHANNELS;
    total = outliers->n_channels + outliers->n_massive;
    for (uint32_t i = 0; i < total; i++) {
        uint32_t channel = (uint32_t)((uint64_t)hidden * i / total) + 13 * i % 29 + 5;
        if (i < outliers->n_channels)
            outliers->channels[i].channel = channel;
        else
            outliers->massive[i - outliers->n_channels].channel = channel;
    }
}

void outliers_init(struct synth_outliers *outliers, const struct synth_shape *shape, float residual_std)
{
    *outliers = (struct synth_outliers){0};
    place_channels(outliers, shape->hidden);
    float after_norm = AFTER_NORM * sqrtf((float)shape->hidden / AFTER_NORM_HIDDEN);
    float squares = 0, after_squares = 0;
    for (uint32_t i = 0; i < outliers->n_channels; i++) {
        float step = outliers->n_channels > 1 ? (float)i / (float)(outliers->n_channels - 1) : 1;
        float factor = FACTOR_MIN * powf(FACTOR_MAX / FACTOR_MIN, step);
        struct outlier_channel *channel = &outliers->channels[i];
        channel->value = (i & 1 ? -1.0f : 1.0f) * factor * residual_std;
        channel->after_norm = after_norm * sqrtf(factor / FACTOR_MAX);
        squares += channel->value * channel->value;
        after_squares += channel->after_norm * channel->after_norm;
    }
    outliers->after_norm_mean_square = after_squares / (float)shape->hidden;
    outliers->mean_square = squares / (float)shape->hidden;
    for (uint32_t i = 0; i < outliers->n_massive; i++) {
        struct outlier_channel *channel = &outliers->massive[i];
        channel->value = (i & 1 ? -0.6f : 1.0f) * MASSIVE_FACTOR * residual_std;
        channel->after_norm = after_norm;
        squares += channel->value * channel->value;
    }
    outliers->massive_mean_square = squares / (float)shape->hidden;
    /* <|begin_of_text|>, or <|endoftext|> and <|im_start|>: see vocabulary.c */
    outliers->tokens[outliers->n_tokens++] = shape->first_special;
    if (!synth_family_has_bos(shape->family))
        outliers->tokens[outliers->n_tokens++] = shape->first_special + 1;
}

uint32_t outliers_of_row(const struct synth_outliers *outliers, uint64_t row,
                         struct outlier_channel out[OUTLIER_MAX_CHANNELS + OUTLIER_MAX_MASSIVE])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < outliers->n_channels; i++)
        out[n++] = outliers->channels[i];
    for (uint32_t t = 0; t < outliers->n_tokens; t++)
        for (uint32_t i = 0; outliers->tokens[t] == row && i < outliers->n_massive; i++)
            out[n++] = outliers->massive[i];
    return n;
}

float outliers_norm_weight(const struct synth_outliers *outliers, uint32_t channel, float residual_std)
{
    float ordinary = residual_std * residual_std;
    for (uint32_t i = 0; i < outliers->n_channels; i++) {
        const struct outlier_channel *planted = &outliers->channels[i];
        if (planted->channel == channel)
            return planted->after_norm * sqrtf(ordinary + outliers->mean_square) / fabsf(planted->value);
    }
    for (uint32_t i = 0; i < outliers->n_massive; i++) {
        const struct outlier_channel *planted = &outliers->massive[i];
        if (planted->channel == channel)
            return planted->after_norm * sqrtf(ordinary + outliers->massive_mean_square) /
                   fabsf(planted->value);
    }
    return sqrtf(ordinary + outliers->mean_square) / residual_std;
}

float outliers_last_norm_weight(const struct synth_outliers *outliers, uint32_t channel, float residual_std)
{
    for (uint32_t i = 0; i < outliers->n_channels; i++)
        if (outliers->channels[i].channel == channel)
            return 0;
    for (uint32_t i = 0; i < outliers->n_massive; i++)
        if (outliers->massive[i].channel == channel)
            return 0;
    return outliers_norm_weight(outliers, channel, residual_std);
}

float outliers_loud_row(uint32_t rows)
{
    return sqrtf(LOUD_SHARE * (float)rows);
}
