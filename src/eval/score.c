/* Everything is measured on log-probabilities, which do not change when all logits of a position move
 * together. The relative error is of the logits themselves, as the golden tests use it. */
#include "eval/score.h"

#include <math.h>

static uint32_t argmax(const float *logits, uint32_t vocab)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* ln of the sum of exponentials, without overflow. */
static double log_sum_exp(const float *logits, uint32_t vocab, float largest)
{
    double sum = 0;
    for (uint32_t i = 0; i < vocab; i++)
        sum += (double)expf(logits[i] - largest);
    return (double)largest + log(fmax(sum, 1)); /* the largest alone adds 1 */
}

void score_next(struct score *score, const float *logits, uint32_t vocab, uint32_t next)
{
    uint32_t best = argmax(logits, vocab);
    score->positions++;
    score->correct += best == next;
    score->nll += log_sum_exp(logits, vocab, logits[best]) - (double)logits[next];
}

void score_compare(struct score *score, const float *logits, const float *reference, uint32_t vocab)
{
    uint32_t best = argmax(logits, vocab), best_reference = argmax(reference, vocab);
    double normal = log_sum_exp(logits, vocab, logits[best]);
    double normal_reference = log_sum_exp(reference, vocab, reference[best_reference]);
    double kl = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        double here = (double)logits[i] - normal, there = (double)reference[i] - normal_reference;
        double difference = (double)logits[i] - (double)reference[i];
        kl += exp(there) * (there - here);
        score->difference_square += difference * difference;
        score->reference_square += (double)reference[i] * (double)reference[i];
    }
    score->compared++;
    score->agreed += best == best_reference;
    score->kl += kl;
    score->kl_max = fmax(score->kl_max, kl);
}

double score_perplexity(const struct score *score)
{
    return score->positions ? exp(score->nll / (double)score->positions) : 0;
}

double score_relative_error(const struct score *score)
{
    return score->reference_square > 0 ? sqrt(score->difference_square / score->reference_square) : 0;
}
