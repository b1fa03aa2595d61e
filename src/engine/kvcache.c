/* Free pages are a bitmap with a hint: with a few thousand pages a scan of it costs less than keeping a heap
 * in order, and "lowest first" needs no more. Idle pages are a list through the page table, so every change
 * of a page's state takes the same short time. */
#include "engine/kvcache.h"

#include <stdlib.h>

#include "backend/backend.h"

enum { WORD_BITS = 64 };

int kvcache_init(struct kvcache *cache, uint32_t n_pages, struct error *error)
{
    *cache = (struct kvcache){
        .n_pages = n_pages, .n_words = n_pages / WORD_BITS + 1, .oldest = PREFIX_NONE, .newest = PREFIX_NONE};
    cache->free_bits = calloc(cache->n_words, sizeof *cache->free_bits);
    cache->pages = calloc((size_t)n_pages + 1, sizeof *cache->pages);
    if (!cache->free_bits || !cache->pages)
        return error_memory(error, "the KV page table", (unsigned long long)n_pages * sizeof *cache->pages);
    for (uint32_t page = 0; page < n_pages; page++)
        cache->free_bits[page / WORD_BITS] |= UINT64_C(1) << (page % WORD_BITS);
    return prefix_init(&cache->prefix, n_pages, error);
}

void kvcache_free(struct kvcache *cache)
{
    prefix_free(&cache->prefix);
    free(cache->pages);
    free(cache->free_bits);
    *cache = (struct kvcache){0};
}

/* ---- idle pages ---- */

static void idle_add(struct kvcache *cache, uint32_t page)
{
    cache->pages[page] = (struct kvcache_page){.newer = PREFIX_NONE, .older = cache->newest};
    *(cache->newest == PREFIX_NONE ? &cache->oldest : &cache->pages[cache->newest].newer) = page;
    cache->newest = page;
    cache->n_idle++;
}

static void idle_remove(struct kvcache *cache, uint32_t page)
{
    const struct kvcache_page *entry = &cache->pages[page];
    *(entry->older == PREFIX_NONE ? &cache->oldest : &cache->pages[entry->older].newer) = entry->newer;
    *(entry->newer == PREFIX_NONE ? &cache->newest : &cache->pages[entry->newer].older) = entry->older;
    cache->n_idle--;
}

/* ---- one page changes hands ---- */

static void use(struct kvcache *cache, uint32_t page)
{
    if (!cache->pages[page].n_users++) {
        idle_remove(cache, page);
        cache->n_used++;
    }
}

static void let_go(struct kvcache *cache, uint32_t page)
{
    if (--cache->pages[page].n_users)
        return;
    cache->n_used--;
    if (prefix_knows(&cache->prefix, page)) {
        idle_add(cache, page);
        return;
    }
    uint32_t word = page / WORD_BITS;
    cache->free_bits[word] |= UINT64_C(1) << (page % WORD_BITS);
    if (word < cache->first_word)
        cache->first_word = word;
}

static uint32_t lowest_free(struct kvcache *cache)
{
    while (!cache->free_bits[cache->first_word])
        cache->first_word++;
    uint32_t bit = (uint32_t)__builtin_ctzll(cache->free_bits[cache->first_word]);
    cache->free_bits[cache->first_word] &= ~(UINT64_C(1) << bit);
    return cache->first_word * WORD_BITS + bit;
}

static uint32_t forget_oldest(struct kvcache *cache)
{
    uint32_t page = cache->oldest;
    idle_remove(cache, page);
    prefix_remove(&cache->prefix, page);
    return page;
}

/* ---- promises ---- */

uint32_t kvcache_available(const struct kvcache *cache)
{
    return cache->n_pages - cache->n_used - cache->n_promised;
}

bool kvcache_reserve(struct kvcache *cache, const uint32_t *shared, uint32_t n_shared, uint32_t n)
{
    uint32_t others = 0; /* already used, so they take nothing from anybody */
    for (uint32_t i = 0; i < n_shared; i++)
        others += cache->pages[shared[i]].n_users != 0;
    if (n - others > kvcache_available(cache))
        return false;
    for (uint32_t i = 0; i < n_shared; i++)
        use(cache, shared[i]);
    cache->n_promised += n - n_shared;
    return true;
}

uint32_t kvcache_take(struct kvcache *cache)
{
    uint32_t page =
        cache->n_used + cache->n_idle < cache->n_pages ? lowest_free(cache) : forget_oldest(cache);
    cache->pages[page].n_users = 1;
    cache->n_used++;
    cache->n_promised--;
    return page;
}

void kvcache_release(struct kvcache *cache, const uint32_t *pages, uint32_t n, uint32_t n_promised)
{
    while (n)
        let_go(cache, pages[--n]);
    cache->n_promised -= n_promised;
}

/* ---- sharing ---- */

uint32_t kvcache_find(const struct kvcache *cache, uint32_t parent, const int32_t *tokens, uint32_t n,
                      uint32_t *pages)
{
    for (uint32_t i = 0; i < n; i++) {
        parent = prefix_find(&cache->prefix, parent, tokens + (size_t)i * BACKEND_PAGE_TOKENS);
        if (parent == PREFIX_NONE)
            return i;
        pages[i] = parent;
    }
    return n;
}

void kvcache_share(struct kvcache *cache, const uint32_t *pages, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        use(cache, pages[i]);
    cache->n_promised -= n;
}

uint32_t kvcache_keep(struct kvcache *cache, uint32_t page, uint32_t parent, const int32_t *tokens)
{
    uint32_t twin = prefix_find(&cache->prefix, parent, tokens);
    if (twin == PREFIX_NONE) {
        prefix_insert(&cache->prefix, page, parent, tokens);
        return page;
    }
    use(cache, twin);
    let_go(cache, page);
    return twin;
}

uint32_t kvcache_pages_for(uint32_t n_tokens)
{
    return n_tokens / BACKEND_PAGE_TOKENS + (n_tokens % BACKEND_PAGE_TOKENS != 0);
}
