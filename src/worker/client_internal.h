/* The parent's side of a worker: what its files share. Private to this folder.
 *
 * Threads: one reader per worker dispatches what comes; everybody else calls engine.h. Locks: worker.lock,
 * then a request's lock; worker.send_lock keeps frames whole. Nobody sends while holding one of the first
 * two, and the reader never sends: so it always reads, and no write on either side can wait for ever (the
 * worker's reader may wait for its own writes, never the other way round).
 *
 * Life: a worker lives until it is closed and the last of its requests is released.
 */
#ifndef LLMIND_WORKER_CLIENT_INTERNAL_H
#define LLMIND_WORKER_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "engine/door.h"
#include "platform/memory.h"
#include "platform/spawn.h"
#include "worker/client.h"
#include "worker/frame.h"
#include "worker/numbers.h"

/* One that waits for a FRAME_REPLY. */
struct worker_call {
    struct numbered link; /* first: in worker.calls */
    pthread_cond_t answered;
    /* guarded by worker.lock */
    bool done;
    int status;
    struct error error;
    struct buffer result; /* what follows a status of 0 */
};

struct worker {
    struct engine base;
    atomic_uint references;
    /* Requests without their last event, and those that were refused here because of them. */
    atomic_uint n_unfinished, n_refused;

    /* constant after worker_start */
    int socket, errors; /* errors: where the child's stderr ends */
    pthread_t reader;
    /* constant after worker_wait */
    struct arena arena;
    struct engine_info info;
    struct engine_sampling sampling;
    uint32_t queue_limit;
    struct worker_call open; /* the call that worker_wait waits for */

    pthread_mutex_t send_lock;

    pthread_mutex_t lock;
    pthread_cond_t ended;
    /* guarded by lock */
    pid_t pid; /* 0 once reaped */
    bool closing, dead;
    struct error death; /* once dead */
    uint32_t last_number;
    struct numbers calls, requests;
    struct engine_stats stats;
    struct memory_process memory;

    /* the reader's */
    struct engine_event event; /* scratch */
    bool greeted;
    struct spawn_line last_line; /* of the child's stderr */

    pthread_mutex_t texts_lock;
    /* guarded by texts_lock: texts of tokens that were asked for before */
    uint32_t *text_at; /* [vocab] 1 + where in texts, 0: not there; NULL before the first */
    struct buffer texts;
};

struct worker_request {
    struct engine_request base;
    struct numbered link; /* in worker.requests */
    struct worker *worker;
    uint64_t accepted_ns;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    struct frame_receiver events; /* FRAME_EVENTs not taken yet; bounded by the credits */
    bool finished, finish_taken;  /* finished: the last event is there */
    bool lost;                    /* memory was short for an event: nothing behind it is kept */
    uint32_t taken;               /* since credit was given back */
    /* the reader's: what a request that its worker's death ends can still tell */
    struct engine_timings timings;
};

/* client.c */
void worker_free_reference(struct worker *worker);
/* Sends one frame with up to two numbers (n of them) as payload. Errors are for the reader to notice. */
void worker_tell(struct worker *worker, enum frame_type type, uint32_t number, const uint32_t *values,
                 size_t n);
/* Registers a call under a new number (also the request's, when there is one); worker.lock is not held.
 * ERROR_IO when the worker is dead. */
int worker_call_begin(struct worker *worker, struct worker_call *call, struct worker_request *request,
                      struct error *error);
/* Sends the frame and waits for the reply: 0 and call->result, or its error. Ends the call but for
 * buffer_free(&call->result). */
int worker_call_finish(struct worker *worker, struct worker_call *call, const struct buffer *frame,
                       struct error *error);
int worker_call_wait(struct worker *worker, struct worker_call *call, struct error *error);

/* client_reader.c: the reader's main; returns once the child is reaped and everybody knows. */
void *worker_reader_main(void *context);

/* client_request.c: the members of the door that are about requests. */
int worker_submit(struct engine *engine, const struct engine_submit *submit, struct engine_request **out,
                  struct error *error);
void worker_cancel(struct engine_request *base);
void worker_release(struct engine_request *base);
int worker_next_event(struct engine_request *base, struct engine_event *event, int timeout_ms);
/* The reader's: an event that came for a request; its frame stands in the receiver behind frame->payload. */
void worker_request_push(struct worker_request *request, const struct engine_event *event,
                         const struct frame *frame);
/* The worker is dead: the last event, by our own hand. */
void worker_request_lost(struct worker_request *request, enum engine_finish finish,
                         const struct error *death);
struct worker_request *worker_request_of(struct numbered *link);

#endif
