/* Load on a model of this machine: an engine in a worker process, a fresh one, so that nothing that was
 * loaded before is in its way. Times are stamped by the engine; being late in reading them does no harm.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/clock.h"
#include "profile/json_put.h"
#include "profile/load_internal.h"
#include "profile/prompt.h"
#include "text/tokenizer.h"
#include "worker/client.h"

enum { PATIENCE_MS = 60000, POLL_NS = 300000 };

struct load_engine {
    struct load_target target; /* first */
    struct engine *engine;
    struct tokenizer *tokenizer;
    struct prompt_source source;
    struct load_slot *active[LOAD_MAX_IN_FLIGHT];
    size_t n_active;
};

/* One request under way. */
struct load_ticket {
    struct engine_request *request;
    struct target_trace trace;
};

static struct load_engine *of(struct load_target *target)
{
    return (struct load_engine *)(void *)target;
}

static void drop_ticket(struct load_slot *slot)
{
    struct load_ticket *ticket = slot->private;
    engine_request_release(ticket->request);
    target_trace_free(&ticket->trace);
    free(ticket);
    slot->private = NULL;
}

static void settle(struct load_slot *slot, enum target_outcome outcome, const struct error *why)
{
    struct load_ticket *ticket = slot->private;
    ticket->trace.outcome = outcome;
    if (why)
        ticket->trace.error = *why;
    ticket->trace.timings.accepted_ns = slot->due_ns;
    sample_from_trace(&ticket->trace, &slot->sample);
    slot->end_ns = clock_now_ns();
    drop_ticket(slot);
}

static int start(struct load_target *target, struct load_slot *slot, uint64_t nonce, struct error *error)
{
    struct load_engine *load = of(target);
    struct load_ticket *ticket = calloc(1, sizeof *ticket);
    if (!ticket)
        return error_memory(error, "a request", sizeof *ticket);
    int32_t *prompt = calloc(target->prompt_tokens, sizeof *prompt);
    ticket->trace.token_ns = calloc(target->max_tokens, sizeof *ticket->trace.token_ns);
    slot->private = ticket;
    if (!prompt || !ticket->trace.token_ns) {
        free(prompt);
        drop_ticket(slot);
        return error_memory(error, "a request", target->max_tokens * sizeof(uint64_t));
    }
    ticket->trace.capacity = target->max_tokens;
    prompt_fill(&load->source, nonce, prompt, target->prompt_tokens);
    struct engine_submit submit = {.tokens = prompt,
                                   .n_tokens = target->prompt_tokens,
                                   .max_tokens = target->max_tokens,
                                   .ignore_eos = true,
                                   .no_cache = true,
                                   .sampling = {.top_p = 1, .repetition_penalty = 1}};
    struct error problem = {0};
    int status = engine_submit(load->engine, &submit, &ticket->request, &problem);
    free(prompt);
    if (status) {
        ticket->request = NULL;
        slot->refused = status == ERROR_BUSY;
        settle(slot, OUTCOME_ERROR, &problem);
        return engine_alive(load->engine, error);
    }
    load->active[load->n_active++] = slot;
    return 0;
}

/* True when it was the last event. */
static bool take(struct load_slot *slot, const struct engine_event *event)
{
    struct load_ticket *ticket = slot->private;
    struct target_trace *trace = &ticket->trace;
    if (event->kind == EVENT_TOKEN && !event->more_text && trace->n_tokens < trace->capacity)
        trace->token_ns[trace->n_tokens++] = event->time_ns;
    if (event->kind != EVENT_FINISH)
        return false;
    trace->timings = event->timings;
    struct error short_one;
    error_set(&short_one, ERROR_INVALID, "%u tokens came, %u were asked for", trace->n_tokens,
              trace->capacity);
    if (event->finish == FINISH_ERROR)
        settle(slot, OUTCOME_ERROR, &event->error);
    else if (trace->n_tokens < trace->capacity)
        settle(slot, OUTCOME_SHORT, &short_one);
    else
        settle(slot, OUTCOME_OK, NULL);
    return true;
}

static size_t look_round(struct load_engine *load)
{
    size_t kept = 0, done = 0;
    for (size_t i = 0; i < load->n_active; i++) {
        struct load_slot *slot = load->active[i];
        struct engine_event event;
        bool ended = false;
        while (!ended && engine_next_event(((struct load_ticket *)slot->private)->request, &event, 0) == 1)
            ended = take(slot, &event);
        if (ended)
            done++;
        else
            load->active[kept++] = slot;
    }
    load->n_active = kept;
    return done;
}

static int wait_for(struct load_target *target, uint64_t until_ns, struct error *error)
{
    struct load_engine *load = of(target);
    for (;;) {
        if (look_round(load))
            return engine_alive(load->engine, error);
        uint64_t now_ns = clock_now_ns();
        if (now_ns >= until_ns)
            return engine_alive(load->engine, error);
        uint64_t nap_ns = until_ns - now_ns < POLL_NS || load->n_active == 0 ? until_ns - now_ns : POLL_NS;
        struct timespec time = {.tv_sec = (time_t)(nap_ns / 1000000000),
                                .tv_nsec = (long)(nap_ns % 1000000000)};
        nanosleep(&time, NULL);
    }
}

static void abandon(struct load_target *target, struct load_slot *slot)
{
    struct load_engine *load = of(target);
    struct error why;
    error_set(&why, ERROR_LIMIT, "given up: it was not answered by the end of the point");
    for (size_t i = 0; i < load->n_active; i++)
        if (load->active[i] == slot)
            load->active[i] = load->active[--load->n_active];
    settle(slot, OUTCOME_TIMEOUT, &why);
}

static void close_engine(struct load_target *target)
{
    struct load_engine *load = of(target);
    engine_close(load->engine);
    prompt_source_close(&load->source);
    tokenizer_close(load->tokenizer);
    json_decref(load->target.info);
    free(load);
}

/* Two requests of the shape: the first one pays for cold pages. */
static int try_one(struct load_engine *load, const atomic_int *cancel, struct error *error)
{
    for (int pass = 0; pass < 2; pass++) {
        struct load_slot slot = {.due_ns = clock_now_ns(), .sent = true};
        uint64_t end_ns = slot.due_ns + PATIENCE_MS * (uint64_t)1000000;
        int status = start(&load->target, &slot, slot.due_ns, error);
        while (!status && slot.end_ns == 0 && clock_now_ns() < end_ns) {
            if (cancel && atomic_load(cancel) != 0)
                status = error_set(error, ERROR_CANCELLED, "interrupted");
            else
                status = wait_for(&load->target, clock_now_ns() + 50000000, error);
        }
        if (slot.private) /* it was sent, and has not come back */
            abandon(&load->target, &slot);
        if (!status && slot.sample.outcome != OUTCOME_OK)
            status = error_set(error, ERROR_INVALID, "%s", slot.sample.message);
        load->target.request_s = slot.sample.value[METRIC_RESPONSE_MS] / 1000;
        sample_free(&slot.sample);
        if (status)
            return status;
    }
    return 0;
}

static json_t *describe(const struct load_request *request, const struct engine_info *info)
{
    json_t *target = json_object();
    json_put_null(target, "url", "a model of this machine, without HTTP");
    json_put_string(target, "model", request->model_name ? request->model_name : info->model_name, "");
    json_put_null(target, "server", "a model of this machine, without HTTP");
    json_put_string(target, "backend", info->backend, "");
    json_put_string(target, "isa", info->isa, "");
    json_put_integer(target, "threads", info->n_threads);
    json_put_integer(target, "max_sequences", info->max_sequences);
    json_put_integer(target, "context", info->context);
    json_put_integer(target, "kv_bits", info->kv_bits);
    return target;
}

int load_engine_open(const struct load_request *request, const atomic_int *cancel, struct load_target **out,
                     struct error *error)
{
    struct load_engine *load = calloc(1, sizeof *load);
    *out = NULL;
    if (!load)
        return error_memory(error, "a load run", sizeof *load);
    load->target = (struct load_target){.start = start,
                                        .wait = wait_for,
                                        .abandon = abandon,
                                        .close = close_engine,
                                        .prompt_tokens = request->prompt_tokens,
                                        .max_tokens = request->max_tokens};
    struct engine_options options = request->engine ? *request->engine : (struct engine_options){0};
    options.model = request->model_path;
    int status = worker_open(&options, &load->engine, error);
    if (!status)
        status = tokenizer_open(request->model_path, &load->tokenizer, error);
    if (!status)
        status = prompt_source_open(&load->source, load->tokenizer, engine_info(load->engine)->vocab, error);
    if (!status)
        status = try_one(load, cancel, error);
    if (!status && !(load->target.info = describe(request, engine_info(load->engine))))
        status = error_memory(error, "a load run", 0);
    if (status)
        close_engine(&load->target);
    else
        *out = &load->target;
    return status;
}
