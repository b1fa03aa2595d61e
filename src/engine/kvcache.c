/* A bitmap with a hint. With a few thousand pages at most a scan of it costs less than keeping a heap in
 * order, and "lowest first" needs no more. */
#include "engine/kvcache.h"

#include <stdlib.h>

#include "backend/backend.h"

enum { WORD_BITS = 64 };

int kvcache_init(struct kvcache *cache, uint32_t n_pages, struct error *error)
{
    *cache = (struct kvcache){.n_pages = n_pages, .n_words = n_pages / WORD_BITS + 1};
    cache->free_bits = calloc(cache->n_words, sizeof *cache->free_bits);
    if (!cache->free_bits)
        return error_memory(error, "the KV page table", (unsigned long long)cache->n_words * 8);
    for (uint32_t page = 0; page < n_pages; page++)
        cache->free_bits[page / WORD_BITS] |= UINT64_C(1) << (page % WORD_BITS);
    return 0;
}

void kvcache_free(struct kvcache *cache)
{
    free(cache->free_bits);
    *cache = (struct kvcache){0};
}

bool kvcache_reserve(struct kvcache *cache, uint32_t n)
{
    if (n > cache->n_pages - cache->n_promised)
        return false;
    cache->n_promised += n;
    return true;
}

uint32_t kvcache_take(struct kvcache *cache)
{
    while (!cache->free_bits[cache->first_word])
        cache->first_word++;
    uint32_t bit = (uint32_t)__builtin_ctzll(cache->free_bits[cache->first_word]);
    cache->free_bits[cache->first_word] &= ~(UINT64_C(1) << bit);
    cache->n_taken++;
    return cache->first_word * WORD_BITS + bit;
}

void kvcache_release(struct kvcache *cache, const uint32_t *pages, uint32_t n_taken, uint32_t n_reserved)
{
    for (uint32_t i = 0; i < n_taken; i++) {
        uint32_t word = pages[i] / WORD_BITS;
        cache->free_bits[word] |= UINT64_C(1) << (pages[i] % WORD_BITS);
        if (word < cache->first_word)
            cache->first_word = word;
    }
    cache->n_taken -= n_taken;
    cache->n_promised -= n_reserved;
}

uint32_t kvcache_pages_for(uint32_t n_tokens)
{
    return n_tokens / BACKEND_PAGE_TOKENS + (n_tokens % BACKEND_PAGE_TOKENS != 0);
}
