/* Sampling for vocabularies of 128k and more: nothing is ever sorted.
 *
 * Two devices keep it near one pass over the logits. Only the head of the distribution is gathered: tokens
 * within some distance of the best logit, the distance growing until the head provably holds all that top-k
 * or top-p can keep (it holds k tokens, or p of the whole mass). In that head the cut is found by a
 * quickselect that goes by count for top-k and by probability for top-p.
 */
#include "engine/sampler.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/float16.h"
#include "engine/random.h"
#include "model/model.h"

int sampler_init(struct sampler *sampler, uint32_t vocab, struct error *error)
{
    *sampler = (struct sampler){.vocab = vocab};
    sampler->adjusted = calloc(vocab, sizeof *sampler->adjusted);
    sampler->candidates = calloc(vocab, sizeof *sampler->candidates);
    if (!sampler->adjusted || !sampler->candidates) {
        sampler_free(sampler);
        return error_memory(error, "the sampler", (unsigned long long)vocab * sizeof *sampler->candidates);
    }
    return 0;
}

void sampler_free(struct sampler *sampler)
{
    free(sampler->adjusted);
    free(sampler->candidates);
    *sampler = (struct sampler){0};
}

static bool all_finite(const float *x, uint32_t n)
{
    const uint32_t exponent = 0x7F800000u;
    uint32_t bad = 0;
    for (uint32_t i = 0; i < n; i++)
        bad |= (float_to_bits(x[i]) & exponent) == exponent;
    return !bad;
}

/* The largest of n >= 1 finite numbers. Eight running maxima, so that the compiler can keep them in a vector.
 */
static float largest(const float *x, uint32_t n)
{
    float lane[8];
    for (int j = 0; j < 8; j++)
        lane[j] = x[0];
    uint32_t i = 0;
    for (; n - i >= 8; i += 8)
        for (int j = 0; j < 8; j++)
            lane[j] = x[i + (uint32_t)j] > lane[j] ? x[i + (uint32_t)j] : lane[j];
    for (; i < n; i++)
        lane[0] = x[i] > lane[0] ? x[i] : lane[0];
    for (int j = 1; j < 8; j++)
        lane[0] = lane[j] > lane[0] ? lane[j] : lane[0];
    return lane[0];
}

static int32_t first_of(const float *x, uint32_t n, float value)
{
    for (uint32_t i = 0; i < n; i++)
        if (x[i] == value)
            return (int32_t)i;
    return 0;
}

static const float *adjust(struct sampler *sampler, const struct engine_sampling *settings,
                           const struct penalties *penalties, const uint32_t *allowed, const float *logits)
{
    if (!settings->n_logit_bias && !penalties_on(penalties) && !allowed)
        return logits;
    memcpy(sampler->adjusted, logits, sampler->vocab * sizeof *logits);
    for (uint32_t i = 0; i < settings->n_logit_bias; i++) {
        float *x = &sampler->adjusted[settings->logit_bias[i].token];
        float sum = *x + settings->logit_bias[i].bias;
        *x = sum > FLT_MAX ? FLT_MAX : sum < -FLT_MAX ? -FLT_MAX : sum;
    }
    penalties_apply(penalties, sampler->adjusted);
    for (uint32_t i = 0; allowed && i < sampler->vocab; i++)
        if (!(allowed[i / 32] >> (i % 32) & 1))
            sampler->adjusted[i] = -INFINITY;
    return sampler->adjusted;
}

/* ---- the head of the distribution ---- */

/* What a head is measured by: how many candidates it has, or their weight. */
enum measure { BY_COUNT, BY_WEIGHT };

static double measured(const struct sampler_candidate *candidate, enum measure measure)
{
    return measure == BY_COUNT ? 1.0 : (double)candidate->weight;
}

static float weight_of(float logit, float best, float temperature)
{
    return expf((logit - best) / temperature);
}

/* Gathers the tokens whose logit is at most `depth` temperatures below the best, in order of id. Returns
 * their number and measures them. */
static uint32_t gather(struct sampler *sampler, const float *logits, float best, float temperature,
                       float depth, enum measure measure, double *total)
{
    /* every logit is finite but those of tokens that are not allowed: these never get in */
    float floor_logit = fmaxf(best - depth * temperature, -FLT_MAX);
    uint32_t n = 0;
    *total = 0;
    for (uint32_t i = 0; i < sampler->vocab; i++) {
        if (logits[i] < floor_logit)
            continue;
        struct sampler_candidate *candidate = &sampler->candidates[n++];
        candidate->logit = logits[i];
        candidate->weight = weight_of(logits[i], best, temperature);
        candidate->token = (int32_t)i;
        *total += measured(candidate, measure);
    }
    return n;
}

/* Gathers a head that measures at least `need`. */
static uint32_t gather_enough(struct sampler *sampler, const float *logits, float best, float temperature,
                              enum measure measure, double need)
{
    static const float depths[] = {8, 24, 72, INFINITY};
    double total = 0;
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof depths / sizeof *depths && (i == 0 || total < need); i++)
        n = gather(sampler, logits, best, temperature, depths[i], measure, &total);
    return n;
}

static bool ranks_before(const struct sampler_candidate *a, const struct sampler_candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

static void swap(struct sampler_candidate *a, struct sampler_candidate *b)
{
    struct sampler_candidate old = *a;
    *a = *b;
    *b = old;
}

/* Moves the candidates of [low, high) that rank before a pivot to the front, the pivot behind them, and
 * returns its place. The pivot's place is drawn, so that no order of logits makes selection quadratic. */
static uint32_t partition(struct sampler_candidate *candidates, uint32_t low, uint32_t high)
{
    uint32_t pivot = low + (uint32_t)(random_u64(low, high) % (high - low));
    swap(&candidates[pivot], &candidates[high - 1]);
    uint32_t place = low;
    for (uint32_t i = low; i < high - 1; i++)
        if (ranks_before(&candidates[i], &candidates[high - 1]))
            swap(&candidates[i], &candidates[place++]);
    swap(&candidates[place], &candidates[high - 1]);
    return place;
}

/* Moves the smallest head that measures at least `need` to the front and returns its size: at least 1, all n
 * when they measure less. */
static uint32_t select_head(struct sampler_candidate *candidates, uint32_t n, enum measure measure,
                            double need)
{
    uint32_t low = 0, high = n; /* the head ends behind low and not behind high */
    double before = 0;          /* measure of [0, low): below need, or low is 0 */
    while (high - low > 1) {
        uint32_t pivot = partition(candidates, low, high);
        double left = before;
        for (uint32_t i = low; i < pivot; i++)
            left += measured(&candidates[i], measure);
        double with_pivot = left + measured(&candidates[pivot], measure);
        if (pivot > low && left >= need) {
            high = pivot;
        } else if (with_pivot >= need) {
            return pivot + 1;
        } else {
            low = pivot + 1;
            before = with_pivot;
        }
    }
    return high;
}

static double total_weight(const struct sampler_candidate *candidates, uint32_t n)
{
    double total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += (double)candidates[i].weight;
    return total;
}

static uint32_t drop_below(struct sampler_candidate *candidates, uint32_t n, float min_weight)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (candidates[i].weight >= min_weight)
            candidates[kept++] = candidates[i];
    return kept;
}

/* Leaves the tokens that top-k, top-p and min-p keep in sampler->candidates and returns their number. */
static uint32_t keep(struct sampler *sampler, const struct engine_sampling *settings, const float *logits,
                     float best)
{
    struct sampler_candidate *candidates = sampler->candidates;
    float t = settings->temperature;
    bool cut_k = settings->top_k && settings->top_k < sampler->vocab, cut_p = settings->top_p < 1;
    uint32_t n;
    if (cut_k) {
        n = gather_enough(sampler, logits, best, t, BY_COUNT, settings->top_k);
        n = select_head(candidates, n, BY_COUNT, settings->top_k);
        if (cut_p)
            n = select_head(candidates, n, BY_WEIGHT, (double)settings->top_p * total_weight(candidates, n));
    } else if (cut_p) {
        double total = 0;
        for (uint32_t i = 0; i < sampler->vocab; i++)
            total += (double)weight_of(logits[i], best, t);
        n = gather_enough(sampler, logits, best, t, BY_WEIGHT, (double)settings->top_p * total);
        n = select_head(candidates, n, BY_WEIGHT, (double)settings->top_p * total);
    } else {
        /* a little deeper than min-p reaches; exactness is drop_below's */
        float depth = settings->min_p > 0 ? 0.01f - 1.001f * logf(settings->min_p) : INFINITY;
        double total;
        n = gather(sampler, logits, best, t, depth, BY_COUNT, &total);
    }
    return settings->min_p > 0 ? drop_below(candidates, n, settings->min_p) : n;
}

int sampler_draw(struct sampler *sampler, const struct engine_sampling *settings,
                 const struct penalties *penalties, const uint32_t *allowed, uint32_t index,
                 const float *logits, int32_t *token, struct error *error)
{
    if (!all_finite(logits, sampler->vocab))
        return error_set(
            error, ERROR_INTERNAL,
            "the model computed logits that are not finite (NaN or infinite) for token %u of the "
            "answer: its weights are damaged or its numbers overflow",
            index + 1);
    const float *x = adjust(sampler, settings, penalties, allowed, logits);
    float best = largest(x, sampler->vocab);
    if (settings->temperature == 0.0f) {
        *token = first_of(x, sampler->vocab, best);
        return 0;
    }
    uint32_t n = keep(sampler, settings, x, best);
    double rest = random_unit(settings->seed, index) * total_weight(sampler->candidates, n);
    uint32_t i = 0;
    while (i + 1 < n && rest >= (double)sampler->candidates[i].weight)
        rest -= (double)sampler->candidates[i++].weight;
    *token = sampler->candidates[i].token;
    return 0;
}

/* ---- log probabilities ---- */

static void insert_top(struct engine_logprob *top, uint32_t *n, uint32_t capacity, int32_t token, float logit)
{
    uint32_t place = *n < capacity ? (*n)++ : capacity - 1;
    for (; place > 0 && top[place - 1].logprob < logit; place--)
        top[place] = top[place - 1];
    top[place] = (struct engine_logprob){.token = token, .logprob = logit};
}

void sampler_logprobs(const float *logits, uint32_t vocab, int32_t token, uint32_t n_top, float *logprob,
                      struct engine_logprob *top)
{
    float best = largest(logits, vocab);
    double sum = 0;
    uint32_t i = 0;
    do
        sum += (double)expf(logits[i] - best); /* at least 1: the best one's own */
    while (++i < vocab);
    double log_total = (double)best + log(sum);
    *logprob = (float)((double)logits[token] - log_total);
    if (!n_top)
        return;
    uint32_t n = 0;
    for (i = 0; i < vocab; i++) /* ids ascend, so of equal logits the lower id stays in front */
        if (n < n_top || logits[i] > top[n - 1].logprob)
            insert_top(top, &n, n_top, (int32_t)i, logits[i]);
    for (i = 0; i < n; i++)
        top[i].logprob = (float)((double)top[i].logprob - log_total);
}

/* ---- settings ---- */

static int out_of_range(struct error *error, const char *field, float value, const char *range)
{
    return error_set(error, ERROR_INVALID, "sampling.%s is %g: it must be %s", field, (double)value, range);
}

int sampler_check(const struct engine_sampling *s, uint32_t vocab, struct error *error)
{
    /* every comparison is written so that NaN fails it */
    if (!(s->temperature >= 0 && s->temperature <= 100))
        return out_of_range(error, "temperature", s->temperature, "0 (greedy) to 100");
    if (!(s->top_p >= 0 && s->top_p <= 1))
        return out_of_range(error, "top_p", s->top_p, "0 to 1 (1: off)");
    if (!(s->min_p >= 0 && s->min_p <= 1))
        return out_of_range(error, "min_p", s->min_p, "0 (off) to 1");
    if (!(s->repetition_penalty >= (float)MODEL_MIN_REPETITION_PENALTY &&
          s->repetition_penalty <= (float)MODEL_MAX_REPETITION_PENALTY))
        return error_set(
            error, ERROR_INVALID, "sampling.repetition_penalty is %g: it must be %g to %g (1: off)",
            (double)s->repetition_penalty, MODEL_MIN_REPETITION_PENALTY, MODEL_MAX_REPETITION_PENALTY);
    if (!(s->presence_penalty >= -100 && s->presence_penalty <= 100))
        return out_of_range(error, "presence_penalty", s->presence_penalty, "-100 to 100 (0: off)");
    if (!(s->frequency_penalty >= -100 && s->frequency_penalty <= 100))
        return out_of_range(error, "frequency_penalty", s->frequency_penalty, "-100 to 100 (0: off)");
    if (s->n_logit_bias && !s->logit_bias)
        return error_set(error, ERROR_INVALID, "sampling.logit_bias is missing, and n_logit_bias is %u",
                         s->n_logit_bias);
    for (uint32_t i = 0; i < s->n_logit_bias; i++) {
        const struct engine_logit_bias *bias = &s->logit_bias[i];
        if (bias->token < 0 || (uint32_t)bias->token >= vocab)
            return error_set(error, ERROR_INVALID,
                             "sampling.logit_bias[%u]: token %d is outside the model's vocabulary of %u", i,
                             bias->token, vocab);
        if (!(fabsf(bias->bias) <= 1e6f))
            return error_set(error, ERROR_INVALID, "sampling.logit_bias[%u]: a bias must be -1e6 to 1e6", i);
    }
    return 0;
}
