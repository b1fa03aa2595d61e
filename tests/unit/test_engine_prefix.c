/* The page table with sharing: what is found is exactly what was kept, collisions or not; nobody's page is
 * given to somebody else while it is used; every promise is kept; what is forgotten is the oldest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kvcache.h"
#include "engine/random.h"

enum { PAGE = BACKEND_PAGE_TOKENS };

static void fill(int32_t *tokens, uint32_t n_pages, int32_t first)
{
    for (uint32_t i = 0; i < n_pages * PAGE; i++)
        tokens[i] = first + (int32_t)i;
}

/* A chain of n pages, computed and kept. */
static void compute(struct kvcache *cache, const int32_t *tokens, uint32_t n, uint32_t *pages)
{
    assert_true(kvcache_reserve(cache, NULL, 0, n));
    for (uint32_t i = 0; i < n; i++) {
        pages[i] = kvcache_take(cache);
        pages[i] = kvcache_keep(cache, pages[i], i ? pages[i - 1] : PREFIX_NONE, tokens + i * PAGE);
    }
}

static void test_pages_are_found_again(void **state)
{
    (void)state;
    struct kvcache cache;
    int32_t tokens[4 * PAGE];
    uint32_t pages[4], found[4];
    assert_int_equal(kvcache_init(&cache, 10, NULL), 0);
    fill(tokens, 4, 0);
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, tokens, 4, found), 0);
    compute(&cache, tokens, 4, pages);
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, tokens, 4, found), 4); /* while its owner runs */
    assert_memory_equal(found, pages, sizeof pages);
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, tokens, 2, found), 2);
    assert_int_equal(kvcache_find(&cache, pages[1], tokens + 2 * PAGE, 2, found), 2);
    /* the same tokens somewhere else are another text */
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, tokens + PAGE, 3, found), 0);
    assert_int_equal(kvcache_find(&cache, pages[0], tokens + 2 * PAGE, 2, found), 0);
    tokens[3 * PAGE - 1]++; /* the last token of the third page */
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, tokens, 4, found), 2);
    tokens[3 * PAGE - 1]--;
    kvcache_release(&cache, pages, 4, 0);
    assert_int_equal(cache.n_used, 0);
    assert_int_equal(cache.n_idle, 4);
    assert_int_equal(kvcache_available(&cache), 10);
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, tokens, 4, found), 4); /* and after it is gone */
    assert_memory_equal(found, pages, sizeof pages);
    kvcache_free(&cache);
}

static void test_shared_pages_are_counted_once(void **state)
{
    (void)state;
    struct kvcache cache;
    int32_t tokens[4 * PAGE];
    uint32_t first[6], second[6];
    assert_int_equal(kvcache_init(&cache, 10, NULL), 0);
    fill(tokens, 4, 0);
    compute(&cache, tokens, 4, first);
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, tokens, 4, second), 4);
    /* 10 pages, 4 used: a request of 11 that shares the 4 would need 7 */
    assert_false(kvcache_reserve(&cache, second, 4, 11));
    assert_int_equal(cache.n_used + cache.n_promised, 4);
    assert_true(kvcache_reserve(&cache, second, 4, 10));
    assert_int_equal(kvcache_available(&cache), 0);
    kvcache_release(&cache, first, 4, 0);
    assert_int_equal(cache.n_used, 4); /* the second still uses them */
    assert_int_equal(cache.n_idle, 0);
    kvcache_release(&cache, second, 4, 6);
    assert_int_equal(cache.n_idle, 4);
    assert_int_equal(kvcache_available(&cache), 10);
    /* idle ones do cost room: they are no longer available to others */
    assert_false(kvcache_reserve(&cache, second, 4, 11));
    assert_true(kvcache_reserve(&cache, second, 4, 10));
    assert_int_equal(kvcache_available(&cache), 0);
    kvcache_release(&cache, second, 4, 6);
    kvcache_free(&cache);
}

static void test_the_oldest_text_is_forgotten_from_its_end(void **state)
{
    (void)state;
    struct kvcache cache;
    int32_t old[3 * PAGE], new[3 * PAGE];
    uint32_t old_pages[3], new_pages[3], found[3], own[4];
    assert_int_equal(kvcache_init(&cache, 8, NULL), 0);
    fill(old, 3, 0);
    fill(new, 3, 1000);
    compute(&cache, old, 3, old_pages);
    kvcache_release(&cache, old_pages, 3, 0);
    compute(&cache, new, 3, new_pages);
    kvcache_release(&cache, new_pages, 3, 0);
    assert_true(kvcache_reserve(&cache, NULL, 0, 8));
    for (uint32_t i = 0; i < 4; i++) /* two are free; then two of the old text must go */
        own[i] = kvcache_take(&cache);
    assert_int_equal(own[0], 6);
    assert_int_equal(own[1], 7);
    assert_int_equal(own[2], old_pages[2]);
    assert_int_equal(own[3], old_pages[1]);
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, old, 3, found), 1);
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, new, 3, found), 3);
    kvcache_release(&cache, own, 4, 4);
    assert_true(kvcache_reserve(&cache, old_pages, 1, 3)); /* used again: now it is the newest */
    kvcache_release(&cache, old_pages, 1, 2);
    assert_true(kvcache_reserve(&cache, NULL, 0, 8));
    for (uint32_t i = 0; i < 4; i++) /* the pages that were forgotten are free */
        kvcache_take(&cache);
    assert_int_equal(kvcache_take(&cache), new_pages[2]);
    assert_int_equal(kvcache_find(&cache, PREFIX_NONE, old, 3, found), 1);
    kvcache_free(&cache);
}

static void test_twins_become_one(void **state)
{
    (void)state;
    struct kvcache cache;
    int32_t tokens[2 * PAGE];
    uint32_t first[2], second[2];
    assert_int_equal(kvcache_init(&cache, 4, NULL), 0);
    fill(tokens, 2, 0);
    compute(&cache, tokens, 2, first);
    compute(&cache, tokens, 2, second); /* at the same time: it had not found them */
    assert_memory_equal(first, second, sizeof first);
    assert_int_equal(cache.n_used, 2);
    assert_int_equal(kvcache_available(&cache), 2);
    kvcache_release(&cache, first, 2, 0);
    assert_int_equal(cache.n_used, 2);
    kvcache_release(&cache, second, 2, 0);
    assert_int_equal(cache.n_idle, 2);
    compute(&cache, tokens, 2, second); /* an idle twin */
    assert_memory_equal(first, second, sizeof first);
    assert_int_equal(cache.n_used, 2);
    assert_int_equal(cache.n_idle, 0);
    kvcache_release(&cache, second, 2, 0);
    kvcache_free(&cache);
}

/* ---- a model of a busy engine ---- */

/* Many owners with texts from a small alphabet of pages, so that beginnings are often alike. A stands-for
 * table beside the pages plays the backend: writing a page sets what it holds, and every owner checks before
 * each of its steps that all its pages hold its own text. */
enum { PAGES = 60, OWNERS = 12, LONGEST = 20, ALPHABET = 3 };

struct owner {
    bool active;
    uint32_t letters[LONGEST], n; /* its text, one letter a page */
    uint32_t pages[LONGEST], n_pages;
};

struct busy {
    struct kvcache cache;
    struct owner owners[OWNERS];
    uint64_t content[PAGES]; /* of the text up to and with this page */
    uint64_t n_random;
    uint32_t n_shared, n_computed;
};

static uint32_t draw(struct busy *busy, uint32_t n)
{
    return (uint32_t)(random_u64(77, busy->n_random++) % n);
}

static void letter_tokens(uint32_t letter, int32_t *tokens)
{
    for (int32_t i = 0; i < PAGE; i++)
        tokens[i] = i == PAGE - 1 ? (int32_t)letter : 7; /* alike but for the last token */
}

/* Exact, not a hash: at most 20 letters of two bits. */
static uint64_t text_of(const struct owner *owner, uint32_t n)
{
    uint64_t text = 1;
    for (uint32_t i = 0; i < n; i++)
        text = text << 2 | owner->letters[i];
    return text;
}

static void check_owner(const struct busy *busy, const struct owner *owner)
{
    for (uint32_t i = 0; i < owner->n_pages; i++)
        assert_true(busy->content[owner->pages[i]] == text_of(owner, i + 1));
}

static void arrive(struct busy *busy, struct owner *owner)
{
    int32_t tokens[LONGEST * PAGE];
    owner->n = 1 + draw(busy, LONGEST);
    for (uint32_t i = 0; i < owner->n; i++) {
        owner->letters[i] = draw(busy, 4) ? 0 : draw(busy, ALPHABET);
        letter_tokens(owner->letters[i], tokens + i * PAGE);
    }
    uint32_t n = kvcache_find(&busy->cache, PREFIX_NONE, tokens, draw(busy, owner->n + 1), owner->pages);
    if (!kvcache_reserve(&busy->cache, owner->pages, n, owner->n))
        return;
    owner->active = true;
    owner->n_pages = n;
    busy->n_shared += n;
    check_owner(busy, owner);
}

/* Its next page: one that became known meanwhile, or a new one. */
static void go_on(struct busy *busy, struct owner *owner)
{
    int32_t tokens[PAGE];
    uint32_t i = owner->n_pages, before = i ? owner->pages[i - 1] : PREFIX_NONE;
    letter_tokens(owner->letters[i], tokens);
    if (draw(busy, 2) && kvcache_find(&busy->cache, before, tokens, 1, owner->pages + i)) {
        kvcache_share(&busy->cache, owner->pages + i, 1);
        busy->n_shared++;
    } else {
        owner->pages[i] = kvcache_take(&busy->cache); /* a promise: it cannot fail */
        busy->content[owner->pages[i]] = text_of(owner, i + 1);
        owner->pages[i] = kvcache_keep(&busy->cache, owner->pages[i], before, tokens);
        busy->n_computed++;
    }
    owner->n_pages++;
    check_owner(busy, owner);
}

static void leave(struct busy *busy, struct owner *owner)
{
    kvcache_release(&busy->cache, owner->pages, owner->n_pages, owner->n - owner->n_pages);
    owner->active = false;
}

/* The whole state against a count from scratch. */
static void check_all(const struct busy *busy)
{
    const struct kvcache *cache = &busy->cache;
    uint32_t users[PAGES] = {0}, promised = 0, used = 0, idle = 0, n_free = 0;
    for (int o = 0; o < OWNERS; o++) {
        const struct owner *owner = &busy->owners[o];
        if (!owner->active)
            continue;
        promised += owner->n - owner->n_pages;
        for (uint32_t i = 0; i < owner->n_pages; i++)
            users[owner->pages[i]]++;
    }
    for (uint32_t page = 0; page < PAGES; page++) {
        bool is_free = cache->free_bits[page / 64] >> (page % 64) & 1;
        bool known = prefix_knows(&cache->prefix, page);
        uint32_t parent = cache->prefix.entries[page].parent;
        n_free += is_free;
        used += users[page] != 0;
        idle += !is_free && !users[page];
        assert_int_equal(users[page], cache->pages[page].n_users);
        assert_false(is_free && (known || users[page]));
        if (known && parent != PREFIX_NONE) /* no known page follows a forgotten one */
            assert_true(prefix_knows(&cache->prefix, parent));
    }
    assert_int_equal(used, cache->n_used);
    assert_int_equal(idle, cache->n_idle);
    assert_int_equal(n_free, PAGES - used - idle);
    assert_int_equal(promised, cache->n_promised);
    assert_true(used + promised <= PAGES);
}

static void run_busy(bool collide)
{
    struct busy *busy = calloc(1, sizeof *busy);
    assert_non_null(busy);
    assert_int_equal(kvcache_init(&busy->cache, PAGES, NULL), 0);
    if (collide)
        busy->cache.prefix.bucket_mask = 0; /* every text has the same hash */
    for (int turn = 0; turn < 40000; turn++) {
        struct owner *owner = &busy->owners[draw(busy, OWNERS)];
        if (!owner->active)
            arrive(busy, owner);
        else if (owner->n_pages == owner->n || !draw(busy, 30))
            leave(busy, owner);
        else
            go_on(busy, owner);
        if (turn % 16 == 0)
            check_all(busy);
    }
    assert_true(busy->n_shared > 1000 && busy->n_computed > 1000);
    for (int o = 0; o < OWNERS; o++)
        if (busy->owners[o].active)
            leave(busy, &busy->owners[o]);
    check_all(busy);
    assert_int_equal(kvcache_available(&busy->cache), PAGES);
    kvcache_free(&busy->cache);
    free(busy);
}

static void test_busy(void **state)
{
    (void)state;
    run_busy(false);
}

static void test_busy_when_all_hashes_are_equal(void **state)
{
    (void)state;
    run_busy(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_are_found_again),
        cmocka_unit_test(test_shared_pages_are_counted_once),
        cmocka_unit_test(test_the_oldest_text_is_forgotten_from_its_end),
        cmocka_unit_test(test_twins_become_one),
        cmocka_unit_test(test_busy),
        cmocka_unit_test(test_busy_when_all_hashes_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
