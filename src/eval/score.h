/* How good predictions are: sums over positions, in double precision. Embedded, owned by whoever scores; one
 * thread. */
#ifndef LLMIND_EVAL_SCORE_H
#define LLMIND_EVAL_SCORE_H

#include <stdint.h>

struct score {
    uint64_t positions; /* with a known next token */
    uint64_t correct;   /* the most likely token was the right one */
    double nll;         /* sum of -ln p(next token), nats */
    /* against reference logits of the same positions, when score_compare was called */
    uint64_t compared, agreed; /* agreed: both think the same token most likely */
    double kl, kl_max;         /* sum and largest of KL(reference || these), nats */
    double difference_square, reference_square;
};

/* logits: [vocab] of one position; next: the token that really follows, 0 .. vocab - 1. */
void score_next(struct score *score, const float *logits, uint32_t vocab, uint32_t next);
void score_compare(struct score *score, const float *logits, const float *reference, uint32_t vocab);

double score_perplexity(const struct score *score);     /* exp of the mean nll; 0 when there is none */
double score_relative_error(const struct score *score); /* norm of the difference / norm of the reference */

#endif
