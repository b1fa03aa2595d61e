/* Chained hashing over arrays as long as the number of pages. There are at least as many buckets as pages, so
 * a chain has one or two entries and finding a page costs a hash of its tokens and one comparison. */
#include "engine/prefix.h"

#include <stdlib.h>
#include <string.h>

#include "engine/random.h"
#include "platform/clock.h"

_Static_assert(BACKEND_PAGE_TOKENS % 2 == 0, "tokens are hashed in pairs");

int prefix_init(struct prefix *prefix, uint32_t n_pages, struct error *error)
{
    uint64_t n_buckets = 1;
    while (n_buckets < n_pages)
        n_buckets *= 2;
    *prefix = (struct prefix){.bucket_mask = (uint32_t)(n_buckets - 1)};
    prefix->entries = calloc((size_t)n_pages + 1, sizeof *prefix->entries);
    prefix->buckets = malloc(n_buckets * sizeof *prefix->buckets);
    if (!prefix->entries || !prefix->buckets)
        return error_memory(error, "the table of shared pages",
                            (unsigned long long)n_pages * sizeof *prefix->entries + n_buckets * 4);
    for (uint64_t i = 0; i < n_buckets; i++)
        prefix->buckets[i] = PREFIX_NONE;
    prefix->seed = random_mix(clock_now_ns() ^ (uint64_t)(uintptr_t)prefix->entries);
    return 0;
}

void prefix_free(struct prefix *prefix)
{
    free(prefix->buckets);
    free(prefix->entries);
    *prefix = (struct prefix){0};
}

static uint32_t *bucket_of(const struct prefix *prefix, uint32_t parent, const int32_t *tokens)
{
    const uint64_t odd = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t hash = prefix->seed ^ parent;
    for (uint32_t i = 0; i < BACKEND_PAGE_TOKENS; i += 2) {
        hash ^= (uint64_t)(uint32_t)tokens[i] << 32 | (uint32_t)tokens[i + 1];
        hash *= odd;
        hash ^= hash >> 29;
    }
    return &prefix->buckets[(uint32_t)random_mix(hash) & prefix->bucket_mask];
}

uint32_t prefix_find(const struct prefix *prefix, uint32_t parent, const int32_t *tokens)
{
    uint32_t page = *bucket_of(prefix, parent, tokens);
    while (page != PREFIX_NONE) {
        const struct prefix_entry *entry = &prefix->entries[page];
        if (entry->parent == parent && !memcmp(entry->tokens, tokens, sizeof entry->tokens))
            return page;
        page = entry->next;
    }
    return PREFIX_NONE;
}

void prefix_insert(struct prefix *prefix, uint32_t page, uint32_t parent, const int32_t *tokens)
{
    struct prefix_entry *entry = &prefix->entries[page];
    uint32_t *bucket = bucket_of(prefix, parent, tokens);
    entry->known = true;
    entry->parent = parent;
    memcpy(entry->tokens, tokens, sizeof entry->tokens);
    entry->next = *bucket;
    *bucket = page;
}

void prefix_remove(struct prefix *prefix, uint32_t page)
{
    struct prefix_entry *entry = &prefix->entries[page];
    uint32_t *link = bucket_of(prefix, entry->parent, entry->tokens);
    while (*link != page)
        link = &prefix->entries[*link].next;
    *link = entry->next;
    entry->known = false;
}

bool prefix_knows(const struct prefix *prefix, uint32_t page)
{
    return prefix->entries[page].known;
}
