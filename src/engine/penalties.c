/* A dense index over the vocabulary and a list of the tokens seen: adding is O(1), applying touches only what
 * was seen. The index is zeroed memory of which only the touched pages become resident. */
#include "engine/penalties.h"

#include <float.h>
#include <stddef.h>

int penalties_init(struct penalties *penalties, const struct engine_sampling *sampling, struct arena *arena,
                   uint32_t vocab, uint32_t max_tokens, struct error *error)
{
    *penalties = (struct penalties){.repetition = sampling->repetition_penalty,
                                    .presence = sampling->presence_penalty,
                                    .frequency = sampling->frequency_penalty};
    if (penalties->repetition == 1.0f && penalties->presence == 0.0f && penalties->frequency == 0.0f)
        return 0;
    penalties->capacity = max_tokens < vocab ? max_tokens : vocab;
    penalties->entries = arena_alloc(arena, penalties->capacity, sizeof *penalties->entries);
    penalties->entry_of = arena_alloc(arena, vocab, sizeof *penalties->entry_of);
    if (!penalties->entries || !penalties->entry_of)
        return error_memory(error, "the penalties of a request", (unsigned long long)vocab * 4);
    return 0;
}

void penalties_add(struct penalties *penalties, int32_t token, bool in_answer)
{
    if (!penalties_on(penalties))
        return;
    uint32_t *entry = &penalties->entry_of[token];
    if (!*entry) {
        if (penalties->n_entries == penalties->capacity)
            return;
        penalties->entries[penalties->n_entries++] = (struct penalty_entry){.token = token};
        *entry = penalties->n_entries;
    }
    penalties->entries[*entry - 1].in_answer += in_answer;
}

static float keep_finite(float x)
{
    return x > FLT_MAX ? FLT_MAX : x < -FLT_MAX ? -FLT_MAX : x;
}

void penalties_apply(const struct penalties *penalties, float *logits)
{
    for (uint32_t i = 0; i < penalties->n_entries; i++) {
        const struct penalty_entry *entry = &penalties->entries[i];
        float x = logits[entry->token];
        x = x > 0 ? x / penalties->repetition : x * penalties->repetition;
        if (entry->in_answer)
            x -= (float)entry->in_answer * penalties->frequency + penalties->presence;
        logits[entry->token] = keep_finite(x);
    }
}
