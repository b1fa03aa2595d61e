/* All costs are per page of 64 tokens, not per token: a hash and a comparison each. Looking for an older
 * request at the same page compares all prompts in prefill with each other, but two numbers decide nearly
 * always. */
#include "engine/sharing.h"

#include <string.h>

#include "engine/state.h"

enum { PAGE = BACKEND_PAGE_TOKENS };

/* Full pages of the prompt from position n_cached on, with a token left after them. */
static uint32_t shareable_pages(const struct local_request *request)
{
    if (!request->shares || request->n_cached % PAGE || request->n_cached >= request->n_prompt)
        return 0;
    return (request->n_prompt - request->n_cached - 1) / PAGE;
}

/* The page that holds what comes before position n_cached's page. */
static uint32_t page_before(const struct local_request *request)
{
    uint32_t page = request->n_cached / PAGE;
    return page ? request->pages[page - 1] : PREFIX_NONE;
}

static uint32_t find(struct local_engine *engine, struct local_request *request)
{
    return kvcache_find(&engine->kvcache, page_before(request), request->prompt + request->n_cached,
                        shareable_pages(request), request->pages + request->n_pages);
}

/* n pages more of its prompt are there. */
static void skip(struct local_engine *engine, struct local_request *request, uint32_t n)
{
    request->n_pages += n;
    uint32_t n_tokens = n * PAGE;
    request->n_cached += n_tokens;
    request->timings.cached_tokens += n_tokens;
    engine->step_cached += n_tokens;
}

bool sharing_admit(struct local_engine *engine, struct local_request *request)
{
    /* No need to look for pages as long as even all of them would not be enough. */
    if (request->n_promised - shareable_pages(request) > kvcache_available(&engine->kvcache))
        return false;
    uint32_t n = find(engine, request);
    if (!kvcache_reserve(&engine->kvcache, request->pages, n, request->n_promised))
        return false;
    skip(engine, request, n);
    return true;
}

void sharing_advance(struct local_engine *engine, struct local_request *request)
{
    uint32_t n = find(engine, request);
    kvcache_share(&engine->kvcache, request->pages + request->n_pages, n);
    skip(engine, request, n);
}

bool sharing_waits(const struct local_engine *engine, uint32_t index)
{
    const struct local_request *request = engine->active[index];
    if (!shareable_pages(request))
        return false;
    uint32_t start = request->n_cached, before = page_before(request);
    for (uint32_t i = 0; i < index; i++) {
        const struct local_request *other = engine->active[i];
        if (other->shares && other->n_cached < other->n_prompt && other->n_cached / PAGE == start / PAGE &&
            other->n_prompt - start >= PAGE && page_before(other) == before &&
            !memcmp(other->prompt + start, request->prompt + start, PAGE * sizeof *request->prompt))
            return true;
    }
    return false;
}

/* The tokens of a page that is full: of the prompt, of the answer, or the end of one and the start of the
 * other, put together in space. */
static const int32_t *page_tokens(const struct local_request *request, uint32_t page, int32_t space[PAGE])
{
    uint32_t start = page * PAGE;
    uint32_t of_prompt = request->n_prompt > start ? request->n_prompt - start : 0;
    if (of_prompt >= PAGE)
        return request->prompt + start;
    memcpy(space, request->answer_page, PAGE * sizeof *space);
    if (of_prompt)
        memcpy(space, request->prompt + start, of_prompt * sizeof *space);
    return space;
}

void sharing_keep(struct local_engine *engine, struct local_request *request, uint32_t first)
{
    int32_t space[PAGE];
    if (!request->shares)
        return;
    if (first >= request->n_prompt)
        request->answer_page[first % PAGE] = request->last_token;
    for (uint32_t page = first / PAGE; page < request->n_cached / PAGE; page++) {
        uint32_t before = page ? request->pages[page - 1] : PREFIX_NONE;
        request->pages[page] =
            kvcache_keep(&engine->kvcache, request->pages[page], before, page_tokens(request, page, space));
    }
}
