/* Opening and closing: everything an engine will ever allocate for its own thread is allocated here. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine/budget.h"
#include "engine/engine.h"
#include "engine/state.h"
#include "platform/clock.h"
#include "platform/memory.h"

/* Pages can be shared when they are all there is of a text; a recurrent state is not in them. */
static bool pages_hold_everything(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->n_caches; i++)
        if (plan->caches[i].kind == CACHE_RECURRENT)
            return false;
    return true;
}

/* limit: the model's own context; 0: as the plan says. */
static int choose_options(struct local_engine *engine, uint32_t limit, const struct engine_options *options,
                          struct error *error)
{
    struct engine_info *info = &engine->info;
    if (!limit)
        limit = engine->plan->max_context;
    info->context = options->context                          ? options->context
                    : limit && limit < ENGINE_DEFAULT_CONTEXT ? limit
                                                              : ENGINE_DEFAULT_CONTEXT;
    if (limit && info->context > limit)
        return error_set(error, ERROR_LIMIT, "context %u is more than the model's %u tokens", info->context,
                         limit);
    if (info->context > INT32_MAX)
        return error_set(error, ERROR_LIMIT, "context %u is more than %d tokens", info->context, INT32_MAX);
    info->max_sequences = options->max_sequences ? options->max_sequences : DEFAULT_MAX_SEQUENCES;
    if (info->max_sequences > LIMIT_MAX_SEQUENCES)
        return error_set(error, ERROR_LIMIT, "max_sequences %u is more than %d", info->max_sequences,
                         LIMIT_MAX_SEQUENCES);
    info->prefill_chunk = options->prefill_chunk ? options->prefill_chunk : DEFAULT_PREFILL_CHUNK;
    if (info->prefill_chunk > LIMIT_PREFILL_CHUNK)
        return error_set(error, ERROR_LIMIT, "prefill_chunk %u is more than %d tokens", info->prefill_chunk,
                         LIMIT_PREFILL_CHUNK);
    info->precise = options->precise;
    info->prompt_lookup = options->prompt_lookup;
    if (info->prompt_lookup > ENGINE_MAX_PROMPT_LOOKUP)
        return error_set(error, ERROR_LIMIT, "prompt_lookup %u is more than %d tokens", info->prompt_lookup,
                         ENGINE_MAX_PROMPT_LOOKUP);
    info->kv_bits = options->kv_bits ? options->kv_bits : options->precise ? 32 : 16;
    if (info->kv_bits != 8 && info->kv_bits != 16 && info->kv_bits != 32)
        return error_set(error, ERROR_INVALID, "kv_bits is %u: it must be 8, 16 or 32", info->kv_bits);
    engine->queue_limit = options->queue_limit;
    engine->sharing = !options->no_prefix_sharing && pages_hold_everything(engine->plan);
    engine->max_step_tokens =
        info->prefill_chunk + info->max_sequences + (info->prompt_lookup ? SCORE_ROWS : 0);
    engine->max_step_outputs = SCORE_ROWS + info->max_sequences;
    return 0;
}

static int open_text(struct local_engine *engine, const char *folder, struct error *error)
{
    memory_begin_loading();
    int status = tokenizer_open(folder, &engine->tokenizer, error);
    memory_end_loading();
    if (!status)
        status = chat_template_open(folder, engine->tokenizer, &engine->chat_template, error);
    if (status)
        return status;
    engine->max_piece = detokenizer_max_piece(engine->tokenizer);
    if (engine->max_piece < REPLACEMENT_BYTES)
        engine->max_piece = REPLACEMENT_BYTES; /* what detokenizer_finish may write */
    if (engine->max_piece > MAX_PIECE_BYTES)
        return error_set(
            error, ERROR_LIMIT,
            "tokenizer.json: a token's text may take %zu bytes, more than the %d that are supported",
            engine->max_piece, MAX_PIECE_BYTES);
    const struct model_generation *generation = model_generation(engine->model);
    for (uint32_t i = 0; i < generation->n_eos && i < MODEL_MAX_EOS; i++)
        engine->eos[engine->n_eos++] = generation->eos[i];
    int32_t eos = tokenizer_eos(engine->tokenizer);
    if (eos >= 0)
        engine->eos[engine->n_eos++] = eos;
    return 0;
}

static struct backend_options backend_wishes(const struct local_engine *engine,
                                             const struct engine_options *options)
{
    return (struct backend_options){
        .name = options->backend,
        .isa = options->isa,
        .n_threads = options->n_threads,
        .kv_bits = engine->info.kv_bits,
        .batch_invariant = engine->info.prompt_lookup > 0, /* guesses are checked beside each other */
        .precise = engine->info.precise,
        .max_step_tokens = engine->max_step_tokens,
        .max_step_outputs = engine->max_step_outputs,
        .max_sequences = engine->info.max_sequences,
        .n_pages = 1,
    };
}

/* What the backend is to be opened with, and whether this machine has the memory. Allocates nothing. */
static int plan_backend(struct local_engine *engine, const struct engine_options *options,
                        struct backend_options *backend, struct error *error)
{
    struct engine_info *info = &engine->info;
    engine->page_bytes = backend_page_bytes(engine->plan, info->kv_bits);
    *backend = backend_wishes(engine, options);
    struct budget_input input = {
        .weight_file_bytes = model_info(engine->model)->file_bytes,
        .page_bytes = engine->page_bytes,
        .context = info->context,
        .max_sequences = info->max_sequences,
        .available_bytes = budget_with(budget_available_bytes(), options->reclaimable_bytes),
    };
    int status = backend_scratch_bytes(engine->plan, backend, &input.scratch_bytes, error);
    if (!status)
        status = budget_pages(&input, &engine->n_pages, error);
    backend->n_pages = engine->n_pages;
    return status;
}

static int open_backend(struct local_engine *engine, const struct engine_options *options,
                        struct error *error)
{
    struct backend_options backend;
    int status = plan_backend(engine, options, &backend, error);
    return status ? status : backend_prepare(engine->plan, &backend, &engine->backend, error);
}

static int allocate(struct local_engine *engine, struct error *error)
{
    uint32_t tokens = engine->max_step_tokens, sequences = engine->info.max_sequences;
    engine->tokens = calloc(tokens, sizeof *engine->tokens);
    engine->positions = calloc(tokens, sizeof *engine->positions);
    engine->sequence = calloc(tokens, sizeof *engine->sequence);
    engine->outputs = calloc(engine->max_step_outputs, sizeof *engine->outputs);
    engine->sequences = calloc(sequences, sizeof *engine->sequences);
    engine->shares = calloc(sequences, sizeof *engine->shares);
    engine->active = calloc(sequences, sizeof *engine->active);
    if (!engine->tokens || !engine->positions || !engine->sequence || !engine->outputs ||
        !engine->sequences || !engine->shares || !engine->active)
        return error_memory(error, "the batch", (unsigned long long)tokens * 12);
    engine->batch.tokens = engine->tokens;
    engine->batch.positions = engine->positions;
    engine->batch.sequence = engine->sequence;
    engine->batch.outputs = engine->outputs;
    engine->batch.sequences = engine->sequences;
    int status = kvcache_init(&engine->kvcache, engine->n_pages, error);
    return status ? status : sampler_init(&engine->sampler, engine->plan->vocab, error);
}

static int init_locks(struct local_engine *engine, struct error *error)
{
    if (pthread_mutex_init(&engine->lock, NULL))
        return error_memory(error, "a lock", sizeof engine->lock);
    /* glibc's condition variables with default attributes need nothing that could fail */
    pthread_cond_init(&engine->wake, NULL);
    pthread_cond_init(&engine->job_done, NULL);
    engine->has_lock = true;
    return 0;
}

/* Signals are for the threads of the caller: Ctrl-C must not interrupt a step. */
static int start_thread(struct local_engine *engine, struct error *error)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&engine->thread, NULL, scheduler_main, engine);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failed)
        return error_set(error, ERROR_MEMORY, "cannot start the engine's thread: %s", strerror(failed));
    engine->has_thread = true;
    return 0;
}

static void describe(struct local_engine *engine)
{
    const struct model_info *model = model_info(engine->model);
    struct backend_info backend = backend_info(engine->backend);
    struct backend_memory memory = backend_memory(engine->backend);
    struct engine_info *info = &engine->info;
    info->model_name = model->name;
    info->model_path = model->path;
    info->architecture = model->architecture;
    info->quantization = model->quantization;
    info->adapter = model->adapter;
    info->parameters = model->parameters;
    info->weight_bytes = model->weight_bytes;
    info->file_bytes = model->file_bytes;
    info->backend = backend.name;
    info->isa = backend.isa;
    info->n_threads = backend.n_threads;
    info->kv_bits = backend.kv_bits;
    info->vocab = engine->plan->vocab;
    info->hidden = engine->plan->embedding.width;
    info->has_chat_template = engine->chat_template != NULL;
    engine->stats.pages_total = engine->n_pages;
    engine->stats.weight_bytes = model->weight_bytes + memory.weight_copy_bytes;
    engine->stats.kv_bytes = memory.kv_bytes;
    engine->stats.scratch_bytes = memory.scratch_bytes;
}

static void local_close(struct engine *base)
{
    struct local_engine *engine = (struct local_engine *)base;
    if (engine->has_thread) {
        pthread_mutex_lock(&engine->lock);
        engine->stopping = true;
        pthread_cond_signal(&engine->wake);
        pthread_mutex_unlock(&engine->lock);
        pthread_join(engine->thread, NULL);
    }
    if (engine->has_lock) {
        pthread_cond_destroy(&engine->wake);
        pthread_cond_destroy(&engine->job_done);
        pthread_mutex_destroy(&engine->lock);
    }
    constraint_source_close(&engine->constraints);
    sampler_free(&engine->sampler);
    kvcache_free(&engine->kvcache);
    free(engine->active);
    free(engine->shares);
    free(engine->sequences);
    free(engine->outputs);
    free(engine->sequence);
    free(engine->positions);
    free(engine->tokens);
    backend_close(engine->backend);
    chat_template_close(engine->chat_template);
    tokenizer_close(engine->tokenizer);
    model_close(engine->model);
    free(engine);
}

static const struct local_engine *local(const struct engine *engine)
{
    return (const struct local_engine *)engine;
}

static const struct engine_info *local_info(const struct engine *engine)
{
    return &local(engine)->info;
}

static const struct tokenizer *local_tokenizer(const struct engine *engine)
{
    return local(engine)->tokenizer;
}

static const struct plan *local_plan(const struct engine *engine)
{
    return local(engine)->plan;
}

static struct engine_sampling local_sampling_default(const struct engine *engine)
{
    const struct model_generation *generation = model_generation(local(engine)->model);
    return (struct engine_sampling){
        .temperature = generation->do_sample ? generation->temperature : 0,
        .top_k = generation->top_k,
        .top_p = generation->top_p,
        .min_p = generation->min_p,
        .repetition_penalty = generation->repetition_penalty,
    };
}

/* An engine of this process lives as long as the process does. */
static int local_alive(struct engine *engine, struct error *error)
{
    (void)engine;
    (void)error;
    return 0;
}

static int local_token_text(struct engine *engine, int32_t token, char *out, size_t capacity, size_t *length,
                            struct error *error)
{
    const char *bytes = tokenizer_token_bytes(local(engine)->tokenizer, token, true, length);
    if (*length > capacity)
        return error_set(error, ERROR_LIMIT, "token %d has %zu bytes of text, and there is room for %zu",
                         token, *length, capacity);
    memcpy(out, bytes, *length);
    return 0;
}

static void local_stats(struct engine *base, struct engine_stats *out)
{
    struct local_engine *engine = (struct local_engine *)base;
    pthread_mutex_lock(&engine->lock);
    *out = engine->stats;
    pthread_mutex_unlock(&engine->lock);
}

static const struct engine_door local_door = {
    .close = local_close,
    .info = local_info,
    .tokenizer = local_tokenizer,
    .plan = local_plan,
    .sampling_default = local_sampling_default,
    .alive = local_alive,
    .token_text = local_token_text,
    .submit = local_submit,
    .cancel = local_cancel,
    .release = local_release,
    .next_event = local_next_event,
    .stats = local_stats,
    .trace = local_trace,
    .save_prompt_cache = local_save_prompt_cache,
};

/* An engine that has read headers and options, and nothing else. local_close also closes one that failed. */
static int open_model(const struct engine_options *options, struct local_engine **out, struct error *error)
{
    *out = NULL;
    if (!options->model) {
        error_set(error, ERROR_INVALID, "model: no folder is named");
        return ERROR_INVALID;
    }
    struct local_engine *engine = calloc(1, sizeof *engine);
    if (!engine) {
        error_memory(error, "an engine", sizeof *engine);
        return ERROR_MEMORY;
    }
    *out = engine;
    engine->base.door = &local_door;
    constraint_source_init(&engine->constraints);
    int status = model_open_adapted(options->model, options->adapter, &engine->model, error);
    if (status)
        return status;
    engine->plan = model_plan(engine->model);
    return choose_options(engine, model_info(engine->model)->context, options, error);
}

/* Rows of the wanted tokens' slots, of which usual work touches one for each sequence that decodes. */
static uint64_t seldom_bytes(const struct local_engine *engine)
{
    uint64_t width = 0;
    for (uint32_t i = 0; i < engine->plan->n_slots; i++)
        if (engine->plan->slots[i].domain == DOMAIN_OUTPUTS)
            width += engine->plan->slots[i].width;
    return width * sizeof(float) * SCORE_ROWS;
}

int engine_sizes(const struct plan *plan, uint32_t model_context, const struct engine_options *options,
                 struct engine_sizes *out, struct error *error)
{
    struct local_engine engine = {.plan = plan};
    *out = (struct engine_sizes){0};
    int status = choose_options(&engine, model_context, options, error);
    if (status)
        return status;
    struct backend_options backend = backend_wishes(&engine, options);
    status = backend_scratch_bytes(plan, &backend, &out->scratch_bytes, error);
    if (!status)
        status = backend_phases(plan, &backend, &out->n_phases, error);
    out->context = engine.info.context;
    out->max_sequences = engine.info.max_sequences;
    out->prefill_chunk = engine.info.prefill_chunk;
    out->kv_bits = engine.info.kv_bits;
    out->page_tokens = BACKEND_PAGE_TOKENS;
    out->max_sequences_limit = LIMIT_MAX_SEQUENCES;
    out->page_bytes = backend_page_bytes(plan, engine.info.kv_bits);
    out->seldom_bytes = seldom_bytes(&engine);
    return status;
}

int engine_check(const struct engine_options *options, struct error *error)
{
    struct local_engine *engine;
    struct backend_options backend;
    int status = open_model(options, &engine, error);
    if (!status)
        status = plan_backend(engine, options, &backend, error);
    if (engine)
        local_close(&engine->base);
    return status;
}

int engine_open(const struct engine_options *options, struct engine **out, struct error *error)
{
    uint64_t start = clock_now_ns();
    struct local_engine *engine;
    *out = NULL;
    int status = open_model(options, &engine, error);
    if (status)
        goto out;
    if ((status = open_text(engine, options->model, error)) != 0)
        goto out;
    if ((status = open_backend(engine, options, error)) != 0)
        goto out;
    if ((status = allocate(engine, error)) != 0)
        goto out;
    if ((status = init_locks(engine, error)) != 0)
        goto out;
    describe(engine);
    if (options->prompt_cache && (status = prompt_cache_load(engine, options->prompt_cache, error)) != 0)
        goto out;
    engine->info.load_ms = (double)(clock_now_ns() - start) / 1e6;
    status = start_thread(engine, error);
out:
    if (!status)
        *out = &engine->base;
    else if (engine)
        local_close(&engine->base);
    return status;
}
