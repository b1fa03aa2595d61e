/* The text is searched once, from its end, on every step that may guess: some microseconds for 10,000 tokens,
 * beside a step of milliseconds. */
#include "engine/lookup.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST_MATCH = 4, SHORTEST_MATCH = 2, REST_STEPS = 8 };

/* How far a guess moves the share of right ones, and the share below which guessing pauses: a further row
 * costs a fifth of a step or so where a step is bound by memory. */
static const float LEARNING = 0.15f, WORTH_IT = 0.25f;

int lookup_init(struct lookup *lookup, uint32_t most, const int32_t *prompt, uint32_t n_prompt,
                uint32_t n_answer, struct arena *arena, struct error *error)
{
    *lookup = (struct lookup){.n = n_prompt, .most = most, .right = 0.5f};
    size_t capacity = (size_t)n_prompt + n_answer;
    lookup->text = arena_alloc(arena, capacity, sizeof *lookup->text);
    if (!lookup->text)
        return error_memory(error, "the text to look up", capacity * sizeof *lookup->text);
    memcpy(lookup->text, prompt, n_prompt * sizeof *prompt);
    return 0;
}

void lookup_add(struct lookup *lookup, int32_t token)
{
    if (lookup->text)
        lookup->text[lookup->n++] = token;
}

/* Where the text goes on behind an earlier occurrence of its last tokens: of as many of them as possible, and
 * of those the latest. 0: there is none. */
static uint32_t find(const struct lookup *lookup)
{
    const int32_t *text = lookup->text;
    uint32_t end = lookup->n, start = 0, longest = SHORTEST_MATCH - 1;
    for (uint32_t at = end; longest < LONGEST_MATCH && at-- > SHORTEST_MATCH;) {
        uint32_t same = 0;
        while (same < LONGEST_MATCH && same < at && text[at - 1 - same] == text[end - 1 - same])
            same++;
        if (same > longest) {
            longest = same;
            start = at;
        }
    }
    return start;
}

/* How many tokens are worth a guess in this step. One that is seldom right is tried with a single token now
 * and then. */
static uint32_t length(struct lookup *lookup)
{
    if (lookup->right >= 0.8f)
        return lookup->most;
    if (lookup->right >= 0.5f)
        return (lookup->most + 1) / 2;
    if (lookup->right >= WORTH_IT)
        return lookup->most < 2 ? lookup->most : 2;
    if (!lookup->rest)
        return 1;
    lookup->rest--;
    return 0;
}

void lookup_guess(struct lookup *lookup, uint32_t room)
{
    lookup->n_guess = 0;
    uint32_t n = lookup->text && room ? length(lookup) : 0;
    uint32_t start = n ? find(lookup) : 0;
    if (!start)
        return;
    uint32_t there = lookup->n - start;
    n = n < room ? n : room;
    lookup->n_guess = n < there ? n : there;
    memcpy(lookup->guess, lookup->text + start, lookup->n_guess * sizeof *lookup->guess);
    if (lookup->right < WORTH_IT)
        lookup->rest = REST_STEPS;
}

void lookup_learn(struct lookup *lookup, uint32_t n_right)
{
    /* the first wrong one says something, those behind it nothing */
    for (uint32_t i = 0; i < lookup->n_guess && i <= n_right; i++)
        lookup->right += LEARNING * ((i < n_right ? 1.0f : 0.0f) - lookup->right);
}
