/* Which page holds which part of which text: the table that lets prompts with the same beginning share pages.
 *
 * An entry says: this page holds the keys and values of these tokens (one page full), right after what the
 * page `parent` holds. A page's keys and values depend on everything before them, so a chain of entries from
 * PREFIX_NONE on is a text, and a page stands for exactly one text. Hashes only find candidates; what counts
 * is the comparison of parent and tokens, so no collision can ever mix two texts.
 *
 * The table knows nothing of owners: whoever removes a page removes those that name it as their parent
 * before (kvcache.c does, by the order in which it forgets). Nothing is allocated after init. One thread.
 */
#ifndef LLMIND_ENGINE_PREFIX_H
#define LLMIND_ENGINE_PREFIX_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/error.h"

#define PREFIX_NONE UINT32_MAX /* the parent of a text's first page; no page */

struct prefix_entry {
    bool known;
    uint32_t parent, next; /* next of the same bucket */
    int32_t tokens[BACKEND_PAGE_TOKENS];
};

struct prefix {
    struct prefix_entry *entries; /* [n_pages] the entry of each page */
    uint32_t *buckets;            /* [bucket_mask + 1] */
    uint32_t bucket_mask;
    uint64_t seed; /* nobody outside can choose tokens that all fall into one bucket */
};

int prefix_init(struct prefix *prefix, uint32_t n_pages, struct error *error);
void prefix_free(struct prefix *prefix);

/* The page that holds tokens[0..BACKEND_PAGE_TOKENS) after parent, or PREFIX_NONE. */
uint32_t prefix_find(const struct prefix *prefix, uint32_t parent, const int32_t *tokens);
/* The page is not known, and prefix_find finds none for this text. */
void prefix_insert(struct prefix *prefix, uint32_t page, uint32_t parent, const int32_t *tokens);
void prefix_remove(struct prefix *prefix, uint32_t page); /* a known one */
bool prefix_knows(const struct prefix *prefix, uint32_t page);

#endif
