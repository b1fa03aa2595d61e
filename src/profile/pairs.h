/* The one rule for "different", everywhere in LLMind: the 95 % confidence interval of the mean of the paired
 * log-ratios lies wholly outside +-2 %. Pure.
 *
 * Ratios, because a change of speed is one; logs, because the mean of logs does not care which of the two is
 * called the first. The margin, because a difference that is real and smaller than what a user could notice
 * is none to act upon. How often the rule is wrong is simulated in tests/unit/test_profile_pairs.c.
 */
#ifndef LLMIND_PROFILE_PAIRS_H
#define LLMIND_PROFILE_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

#define PAIRS_MARGIN 0.02
#define PAIRS_CLEAR_WIDTH 0.20
/* By how much the mean of a session is off from that of other sessions of the same thing on the same machine
 * (standard deviation, log units), where nobody has measured it: neighbours, heat, where memory came to lie.
 */
#define PAIRS_SESSION_SD 0.02

enum pairs_verdict {
    PAIRS_UNKNOWN, /* fewer than 3 pairs; unpaired: fewer than 2 of one side */
    PAIRS_SAME,    /* not shown to be outside the margin: no real difference, if pairs_clear */
    PAIRS_HIGHER,  /* b is really higher than a */
    PAIRS_LOWER
};

struct pairs {
    size_t n;         /* unpaired: of the smaller side */
    double change;    /* geometric mean of b / a, minus 1; NaN without pairs */
    double low, high; /* its 95 % interval (Student's t on the logs), minus 1; NaN when n < 2 */
    enum pairs_verdict verdict;
};

/* a[i] and b[i] were measured beside each other. Pairs with a value that is not finite and positive are left
 * out. */
void pairs_compare(const double *a, const double *b, size_t n, struct pairs *out);
/* Of two samples that were not taken in turn (stored runs): Welch's interval of the difference of the mean
 * logs, widened by the drift between sessions, `session_sd` (log units; of each of the two). 0 says that
 * there was none, which only one session can claim; PAIRS_SESSION_SD where it is not known. Spread within a
 * run says nothing about it: three repeats in a row agree far better than three mornings do. */
void pairs_compare_unpaired(const double *a, size_t n_a, const double *b, size_t n_b, double session_sd,
                            struct pairs *out);
/* The same from what a database keeps of each side. */
struct pairs_side {
    size_t n;
    double mean, sd; /* of the logs; NaN for n = 0, and n < 2 */
};
void pairs_side_compute(const double *values, size_t n, struct pairs_side *out);
void pairs_compare_sides(const struct pairs_side *a, const struct pairs_side *b, double session_sd,
                         struct pairs *out);
const char *
pairs_verdict_name(enum pairs_verdict verdict); /* "unknown", "no_real_difference", "higher", "lower" */
/* Whether the interval is narrow enough (PAIRS_CLEAR_WIDTH) that "no real difference" follows from its not
 * being outside the margin. From -40 % to +40 % follows nothing: that is unclear, neither sameness nor a
 * failure. Looks at low and high only; what is not known is not clear. */
bool pairs_clear(const struct pairs *pairs);
/* "+31 % [+27, +35]", "no real difference (+0.4 % [-1.1, +1.9])" or "unclear (+4.0 % [-21, +36])" into out.
 */
void pairs_text(const struct pairs *pairs, char *out, size_t capacity);

#endif
