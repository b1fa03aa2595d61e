/* Which KV pages are free. The backend owns the bytes, this owns the numbers.
 *
 * Pages are promised before they are named: a request that is admitted reserves all it may ever need, so it
 * can never be stopped half way by others, and takes a page only when a token is about to be stored in it.
 * Numbers are handed out lowest first, because the backend's memory becomes resident page by page as it is
 * touched: short answers to long promises keep the resident set small.
 *
 * Touched by the engine's thread only.
 */
#ifndef LLMIND_ENGINE_KVCACHE_H
#define LLMIND_ENGINE_KVCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct kvcache {
    uint64_t *free_bits;          /* bit p % 64 of word p / 64: page p is free */
    uint32_t n_words, first_word; /* no word below first_word has a free page */
    uint32_t n_pages, n_taken;
    uint32_t n_promised; /* reserved, taken ones included */
};

int kvcache_init(struct kvcache *cache, uint32_t n_pages, struct error *error);
void kvcache_free(struct kvcache *cache);

/* Promises n pages, or returns false when fewer are left. */
bool kvcache_reserve(struct kvcache *cache, uint32_t n);
/* The lowest free page. The caller has an untaken promise. */
uint32_t kvcache_take(struct kvcache *cache);
/* Gives back n_taken pages and the promise of n_reserved (>= n_taken). */
void kvcache_release(struct kvcache *cache, const uint32_t *pages, uint32_t n_taken, uint32_t n_reserved);

/* Pages that n tokens fill. */
uint32_t kvcache_pages_for(uint32_t n_tokens);

#endif
