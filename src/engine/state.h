/* What an engine and its requests are made of. Private to this folder.
 *
 * Three kinds of threads meet here: those that call engine.h, the one reader of each request, and the
 * engine's own thread. Everything below says who touches it. Locks: engine.lock and each stream.lock; a
 * thread that holds a stream's lock may take the engine's, never the other way round.
 */
#ifndef LLMIND_ENGINE_STATE_H
#define LLMIND_ENGINE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/arena.h"
#include "engine/constraint.h"
#include "engine/door.h"
#include "engine/engine.h"
#include "engine/kvcache.h"
#include "engine/lookup.h"
#include "engine/penalties.h"
#include "engine/sampler.h"
#include "engine/sharing.h"
#include "engine/stops.h"
#include "engine/stream.h"
#include "model/model.h"
#include "text/chat_template.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

enum {
    DEFAULT_MAX_SEQUENCES = 8,
    DEFAULT_PREFILL_CHUNK = 512,
    LIMIT_MAX_SEQUENCES = 1024,
    LIMIT_PREFILL_CHUNK = 65536,
    SCORE_ROWS = 64,         /* logits rows of scored prompts in one step, beside one row per sequence */
    MIN_RING_EVENTS = 32,    /* a reader may be this many tokens late before its sequence pauses */
    REPLACEMENT_BYTES = 3,   /* U+FFFD */
    MAX_PIECE_BYTES = 65536, /* text of one token; a tokenizer with longer ones is refused */
    MAX_EOS = MODEL_MAX_EOS + 1,
    TRACE_REPEATS = 5,
    TRACE_TRIES = 4, /* of each repeat, when the thread that reads the clock was put aside */
    MIXED_PART = 4   /* prompts beside sequences that decode get this part of the chunk */
};

struct local_request {
    struct engine_request base;

    /* Constant after submit. */
    struct local_engine *engine; /* gone once stream.finished: see stream.h */
    struct arena arena;          /* owns every array below */
    const int32_t *prompt;
    uint32_t n_prompt, max_tokens;
    bool ignore_eos, logprobs, embeds;
    bool starts_thinking; /* see engine_event */
    uint32_t n_top;
    bool has_stream;
    struct engine_sampling sampling;
    engine_logits_function on_logits;
    void *on_logits_context;
    uint32_t events_per_token; /* room one token's text may need in the ring */
    bool shares;               /* uses known pages and leaves its own: see sharing.h */

    /* Any thread. */
    atomic_bool cancelled;
    struct stream stream;

    /* Guarded by engine.lock: the queue. */
    struct local_request *next;

    /* The engine's thread, from the moment the request is in the queue. */
    struct engine_timings timings;
    struct detokenizer detokenizer;
    struct stops stops;
    struct constraint *constraint; /* NULL: none */
    struct penalties penalties;
    struct lookup lookup;
    uint32_t *pages; /* [n_promised], the first n_pages its own or shared */
    uint32_t n_pages, n_promised;
    uint32_t n_cached; /* positions whose keys and values are in the pages */
    uint32_t n_generated;
    int32_t last_token;
    int32_t answer_page[BACKEND_PAGE_TOKENS]; /* the page being filled, where it holds tokens of the answer */
    uint32_t step_tokens, step_first_row, step_rows; /* its part of this step: tokens, rows of logits */
    bool text_ended;                                 /* a stop string was found: nothing may follow */
    enum engine_finish finish; /* set when it is over; then it is taken off the active list */
    struct error error;
};

/* Work for the engine's thread that belongs to no request, lent by a thread that waits for it (job.c). It is
 * run alone: no request is active, and none is admitted before it is done. Whoever has one embeds this as the
 * first member of its own struct. */
struct engine_job {
    const char *name; /* for messages: "trace" */
    void (*run)(struct local_engine *engine, struct engine_job *job);
    int status; /* what run makes of it, and why */
    struct error error;
    bool done; /* guarded by engine.lock */
};

/* A step to trace. */
struct trace_job {
    struct engine_job base;
    uint32_t n_sequences, depth;
    uint32_t n_segments, pages_each;
    int32_t *tokens;      /* [n_sequences, depth + 1] */
    uint32_t *pages;      /* [n_sequences, pages_each], filled by the engine's thread */
    uint64_t *segment_ns; /* [TRACE_REPEATS, n_segments] */
    uint64_t traced_ns[TRACE_REPEATS], plain_ns[TRACE_REPEATS];
};

struct local_engine {
    struct engine base;

    /* Constant after open. */
    struct model *model;
    const struct plan *plan;
    struct tokenizer *tokenizer;
    struct chat_template *chat_template;
    struct engine_info info;
    int32_t eos[MAX_EOS];
    uint32_t n_eos;
    size_t max_piece;
    uint64_t page_bytes;
    uint32_t max_step_tokens, max_step_outputs, n_pages;
    uint32_t queue_limit; /* 0: none */
    bool sharing;
    pthread_t thread;
    bool has_lock, has_thread;

    struct constraint_source constraints; /* any thread */

    pthread_mutex_t lock;
    pthread_cond_t wake;     /* work for the engine's thread */
    pthread_cond_t job_done; /* for job_run */
    /* Guarded by lock. */
    bool stopping, wake_pending;
    struct local_request *queue_head, *queue_tail; /* oldest first */
    uint32_t n_live;                               /* queued or active */
    uint32_t n_arriving; /* let in by the queue limit, not queued yet: being tokenized */
    bool short_of_pages; /* the oldest waits for pages, not for a slot */
    struct engine_job *job;
    struct engine_stats stats;

    /* The engine's thread only. */
    struct backend_model *backend;
    struct kvcache kvcache;
    struct sampler sampler;
    struct local_request **active; /* [max_sequences], oldest first */
    uint32_t n_active;
    struct backend_batch batch; /* its arrays are the ones below */
    int32_t *tokens;            /* [max_step_tokens] */
    uint32_t *positions, *sequence;
    uint32_t *outputs;                  /* [max_step_outputs] */
    struct backend_sequence *sequences; /* [max_sequences] */
    uint32_t *shares;                   /* [max_sequences] prompt tokens each active request gets */
    struct engine_event event;          /* scratch: what is being written */
    uint32_t step_guesses;              /* of all requests, in the batch that is being built */
    /* Tokens, until they are published in stats. */
    uint64_t step_prefill, step_cached, step_generated, step_drafted, step_accepted;
};

/* ---- what stands behind the door: each is the function of its name in engine.h ---- */
int local_submit(struct engine *base, const struct engine_submit *submit, struct engine_request **out,
                 struct error *error);          /* submit.c */
void local_cancel(struct engine_request *base); /* request.c */
void local_release(struct engine_request *base);
int local_next_event(struct engine_request *base, struct engine_event *event, int timeout_ms);
int local_trace(struct engine *base, uint32_t n_tokens, uint32_t depth, struct engine_trace *out,
                struct error *error); /* trace.c */
int local_save_prompt_cache(struct engine *base, const struct engine_submit *prompt, const char *path,
                            struct engine_saved_prompt *out, struct error *error); /* prompt_cache.c */

/* request.c: an empty request, or NULL. request_free takes one that the engine's thread has not seen, or has
 * let go of. */
struct local_request *request_new(struct local_engine *engine, struct error *error);
void request_free(struct local_request *request);
/* Wakes the engine's thread. Signature of stream.wake. */
void engine_wake(void *context);

/* submit.c: encodes the prompt of *submit, and checks it, on the caller's thread: request->prompt and
 * n_prompt (in its arena), starts_thinking. The errors of engine_submit that are about prompts. */
int request_encode(struct local_engine *engine, struct local_request *request,
                   const struct engine_submit *submit, struct error *error);

/* job.c: has the engine's thread run the job and waits for it. Errors: the job's own, ERROR_BUSY (requests or
 * another job are running), ERROR_CANCELLED (the engine is closing). */
int job_run(struct local_engine *engine, struct engine_job *job, struct error *error);
/* The engine's thread: it is over, the one that waits may go on. */
void job_finish(struct local_engine *engine, struct engine_job *job);

/* scheduler.c: the engine's thread. */
void *scheduler_main(void *context);
/* Puts the figures of the pages into the stats. engine->lock is held. */
void scheduler_publish_pages(struct local_engine *engine);

/* batch.c: fills engine->batch from the active requests and sets their step_tokens and step_rows. Leaves
 * n_tokens at 0 when nobody can go on. */
void batch_build(struct local_engine *engine);
/* Appends a run of tokens of one sequence whose pages are there; the last n_outputs of them get logits. */
void batch_append(struct local_engine *engine, const int32_t *tokens, uint32_t n, uint32_t first_position,
                  uint32_t n_outputs, const uint32_t *pages, uint32_t n_pages);
void batch_clear(struct local_engine *engine);

/* answer.c: how many events an embedding of so many numbers takes. */
uint32_t embedding_events(uint32_t hidden);
/* What one request makes of its part of a step. logits: its step_rows rows; NULL where it wants none. */
void answer_step(struct local_engine *engine, struct local_request *request, const float *logits);
/* Sends the last event of a request whose finish is set. The request must not be touched afterwards. */
void answer_finish(struct local_engine *engine, struct local_request *request);

/* prompt_cache.c: fills pages from a file (engine_options.prompt_cache) and makes them known, before the
 * engine's thread starts. */
int prompt_cache_load(struct local_engine *engine, const char *path, struct error *error);

#endif
