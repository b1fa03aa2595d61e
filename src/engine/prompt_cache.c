/* Prompts that outlast the process: an engine's pages into a file, and out of it into the pages of another.
 *
 * Loading makes the pages of the file known and idle, as if a request with that text had just ended; from
 * then on prefix sharing (sharing.h) does all the rest, room included. Saving finds the pages as a new
 * request would. Whole pages only, because only those are known. What is in a page depends on the plan, the
 * tokens and how they were computed, and on nothing else (backend.h: batch-invariant), so what comes from a
 * file is, bit for bit, what computing it would give; prompt_cache_file.h refuses whatever is not of that
 * kind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "engine/engine.h"
#include "engine/prompt_cache_file.h"
#include "engine/state.h"
#include "plan/fingerprint.h"

enum { PAGE = BACKEND_PAGE_TOKENS };

static int check_engine(const struct local_engine *engine, struct error *error)
{
    if (!backend_page_layout(engine->backend))
        return error_set(
            error, ERROR_UNSUPPORTED,
            "the %s backend's keys and values do not lie in pages that a file could hold: prompt "
            "caches need the cpu backend",
            engine->info.backend);
    if (!engine->sharing)
        return error_set(
            error, ERROR_UNSUPPORTED,
            "prompts share no pages in this engine (it is switched off, or the model %s keeps more "
            "than keys and values), and a prompt cache is found by them",
            engine->info.model_name);
    return 0;
}

/* A name too long for its place is cut. */
static void copy_text(char *out, size_t capacity, const char *text)
{
    snprintf(out, capacity, "%s", text ? text : "");
}

/* All but the fingerprint, which takes as long as reading the weights. */
static void describe(const struct local_engine *engine, struct prompt_cache_identity *out)
{
    const struct engine_info *info = &engine->info;
    const char *commit = version_commit();
    *out = (struct prompt_cache_identity){.page_bytes = engine->page_bytes,
                                          .page_tokens = PAGE,
                                          .page_layout = backend_page_layout(engine->backend),
                                          .vocab = engine->plan->vocab,
                                          .kv_bits = info->kv_bits,
                                          .precise = info->precise,
                                          .caches = engine->plan->caches,
                                          .n_caches = engine->plan->n_caches};
    copy_text(out->model, sizeof out->model, info->model_name);
    copy_text(out->adapter, sizeof out->adapter, info->adapter);
    copy_text(out->backend, sizeof out->backend, info->backend);
    copy_text(out->isa, sizeof out->isa, info->isa);
    snprintf(out->program, sizeof out->program, "%.10s%s%.19s", version_number(), commit ? " " : "",
             commit ? commit : "");
}

/* ---- loading ---- */

/* Takes pages and fills them. They are the caller's, also after an error. */
static int fill_pages(struct local_engine *engine, struct prompt_cache_reader *reader, uint32_t *pages,
                      struct error *error)
{
    int status = 0;
    for (uint32_t i = 0; i < reader->n_pages; i++) {
        pages[i] = kvcache_take(&engine->kvcache);
        if (!status)
            status = prompt_cache_read_page(reader, backend_page(engine->backend, pages[i]), error);
    }
    return status ? status : prompt_cache_finish(reader, error);
}

static void make_known(struct local_engine *engine, const struct prompt_cache_reader *reader, uint32_t *pages)
{
    uint32_t before = PREFIX_NONE;
    for (uint32_t i = 0; i < reader->n_pages; i++) {
        pages[i] = kvcache_keep(&engine->kvcache, pages[i], before, reader->tokens + (size_t)i * PAGE);
        before = pages[i];
    }
}

static int load_pages(struct local_engine *engine, struct prompt_cache_reader *reader, struct error *error)
{
    uint32_t n = reader->n_pages;
    uint32_t *pages = calloc(n, sizeof *pages);
    if (!pages)
        return error_memory(error, "a page table", n * sizeof *pages);
    int status = 0;
    if (kvcache_reserve(&engine->kvcache, NULL, 0, n)) {
        status = fill_pages(engine, reader, pages, error);
        if (!status)
            make_known(engine, reader, pages);
        kvcache_release(&engine->kvcache, pages, n, 0); /* known ones stay, idle */
    } else {
        status = error_set(error, ERROR_LIMIT, "the prompt cache needs %u KV pages, and the engine has %u", n,
                           engine->n_pages);
    }
    free(pages);
    return status;
}

int prompt_cache_load(struct local_engine *engine, const char *path, struct error *error)
{
    struct prompt_cache_identity own;
    struct prompt_cache_reader reader;
    int status = check_engine(engine, error);
    if (status)
        return status;
    describe(engine, &own);
    status = prompt_cache_open(&reader, path, &own, engine->info.context, error);
    if (!status) {
        own.fingerprint = plan_fingerprint(engine->plan);
        status = prompt_cache_check_model(&reader, &own, error);
    }
    if (!status)
        status = load_pages(engine, &reader, error);
    prompt_cache_close(&reader);
    scheduler_publish_pages(engine); /* nobody else is there yet, so nobody needs the lock */
    return status;
}

/* ---- saving ---- */

struct save_job {
    struct engine_job base;
    struct local_engine *engine;
    const char *path;
    struct prompt_cache_identity identity;
    const int32_t *tokens;
    uint32_t *pages; /* [n_pages] */
    uint32_t n_pages;
    uint64_t file_bytes;
};

static const uint8_t *page_of(void *context, uint32_t index)
{
    const struct save_job *job = context;
    return backend_page(job->engine->backend, job->pages[index]);
}

/* On the engine's thread, so that nothing happens to the pages meanwhile. */
static void save(struct local_engine *engine, struct engine_job *base)
{
    struct save_job *job = (struct save_job *)base;
    uint32_t n = kvcache_find(&engine->kvcache, PREFIX_NONE, job->tokens, job->n_pages, job->pages);
    if (n < job->n_pages) {
        base->status = error_set(&base->error, ERROR_NOT_FOUND,
                                 "only %u of the prompt's first %u tokens are computed, or still there: "
                                 "compute it, and save it then",
                                 n * PAGE, job->n_pages * PAGE);
        return;
    }
    struct prompt_cache_text text = {
        .tokens = job->tokens, .n_tokens = job->n_pages * PAGE, .page = page_of, .context = job};
    base->status = prompt_cache_write(job->path, &job->identity, &text, &job->file_bytes, &base->error);
}

static int save_encoded(struct local_engine *engine, struct local_request *prompt, const char *path,
                        struct engine_saved_prompt *out, struct error *error)
{
    struct save_job job = {.base = {.name = "prompt cache", .run = save},
                           .engine = engine,
                           .path = path,
                           .tokens = prompt->prompt,
                           .n_pages = prompt->n_prompt / PAGE};
    if (!job.n_pages)
        return error_set(
            error, ERROR_INVALID,
            "the prompt has %u tokens, and a prompt cache holds whole pages of %d: there is nothing "
            "to keep",
            prompt->n_prompt, PAGE);
    job.pages = arena_alloc(&prompt->arena, job.n_pages, sizeof *job.pages);
    if (!job.pages)
        return error_memory(error, "a page table", job.n_pages * sizeof *job.pages);
    describe(engine, &job.identity);
    job.identity.fingerprint = plan_fingerprint(engine->plan);
    int status = job_run(engine, &job.base, error);
    if (!status)
        *out = (struct engine_saved_prompt){
            .n_tokens = job.n_pages * PAGE, .n_prompt = prompt->n_prompt, .file_bytes = job.file_bytes};
    return status;
}

int local_save_prompt_cache(struct engine *base, const struct engine_submit *prompt, const char *path,
                            struct engine_saved_prompt *out, struct error *error)
{
    struct local_engine *engine = (struct local_engine *)base;
    *out = (struct engine_saved_prompt){0};
    int status = check_engine(engine, error);
    if (status || !prompt)
        return status;
    struct local_request *request = request_new(engine, error); /* for its arena; it is never submitted */
    if (!request)
        return ERROR_MEMORY;
    status = request_encode(engine, request, prompt, error);
    if (!status)
        status = save_encoded(engine, request, path, out, error);
    request_free(request);
    return status;
}
