/* Who has which KV page. The backend owns the bytes, this owns the numbers.
 *
 * Pages are promised before they are named: a request that is admitted reserves all it may ever need, so it
 * can never be stopped half way by others, and takes a page only when a token is about to be stored in it.
 * Numbers are handed out lowest first, because the backend's memory becomes resident page by page as it is
 * touched: short answers to long promises keep the resident set small.
 *
 * A page is free, used (by one owner or several that share it) or idle: nobody's, but full and its text known
 * (prefix.h), kept for the next prompt that begins like it. Idle pages count as available; when no page is
 * free the one idle for longest is forgotten. Always: used + promised <= all pages.
 *
 * Owners hold chains: whoever uses a page uses all pages before it in its text. They give chains back last
 * page first, so an idle page has been idle for less time than any that follows it, and what is forgotten is
 * always the end of a chain: no known page ever follows one that is not.
 *
 * Touched by the engine's thread only. Nothing is allocated after init.
 */
#ifndef LLMIND_ENGINE_KVCACHE_H
#define LLMIND_ENGINE_KVCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/prefix.h"

struct kvcache_page {
    uint32_t n_users;
    uint32_t newer, older; /* neighbours among the idle ones, PREFIX_NONE at the ends */
};

struct kvcache {
    uint64_t *free_bits;          /* bit p % 64 of word p / 64: page p is free */
    uint32_t n_words, first_word; /* no word below first_word has a free page */
    struct kvcache_page *pages;   /* [n_pages] */
    uint32_t oldest, newest;      /* idle pages */
    uint32_t n_pages, n_used, n_idle;
    uint32_t n_promised; /* and not yet taken */
    struct prefix prefix;
};

int kvcache_init(struct kvcache *cache, uint32_t n_pages, struct error *error);
void kvcache_free(struct kvcache *cache);

/* Pages that can be promised: neither used nor promised to anybody. */
uint32_t kvcache_available(const struct kvcache *cache);
/* Promises n pages, of which the first n_shared (a chain from kvcache_find) are used at once. Those that
 * others use already cost nothing. Returns false, and changes nothing, when too few are available. */
bool kvcache_reserve(struct kvcache *cache, const uint32_t *shared, uint32_t n_shared, uint32_t n);
/* A page to write to: the lowest free one, or else the one idle for longest. Takes one of the caller's
 * promises. */
uint32_t kvcache_take(struct kvcache *cache);
/* Gives back a chain's pages and promises that were not taken. Pages whose text is known stay, idle. */
void kvcache_release(struct kvcache *cache, const uint32_t *pages, uint32_t n, uint32_t n_promised);

/* The longest known chain of tokens[0..n * BACKEND_PAGE_TOKENS) after the page parent (or PREFIX_NONE), at
 * most n pages, into pages. Returns its length. The pages are not the caller's yet. */
uint32_t kvcache_find(const struct kvcache *cache, uint32_t parent, const int32_t *tokens, uint32_t n,
                      uint32_t *pages);
/* Uses such pages, each in exchange for one of the caller's promises. */
void kvcache_share(struct kvcache *cache, const uint32_t *pages, uint32_t n);
/* The caller's page is full and will not be written again: it holds these tokens after parent, a page of the
 * caller's that is known. Returns the page to go on with: this one, or, when another holds the same text
 * already, that one in its place. */
uint32_t kvcache_keep(struct kvcache *cache, uint32_t page, uint32_t parent, const int32_t *tokens);

/* Pages that n tokens fill. */
uint32_t kvcache_pages_for(uint32_t n_tokens);

#endif
