/* The worker's own side: what its threads share. Private to this folder.
 *
 * Threads: main reads frames and never computes; WORK_THREADS do what takes long (open, check, tokenize and
 * submit, trace); the pump carries events. Locks: child.lock guards what is marked, child.send_lock keeps
 * frames whole; they are never held together, and no engine function is called under child.lock. on_event
 * takes child.lock, and the engine calls it without a lock of its own.
 *
 * Nobody here can be blocked for good by the parent: the parent's reader always reads.
 */
#ifndef LLMIND_WORKER_CHILD_H
#define LLMIND_WORKER_CHILD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "engine/engine.h"
#include "worker/frame.h"
#include "worker/numbers.h"

enum { WORK_THREADS = 2 };

struct child;

struct child_request {
    struct numbered link; /* first: in child.requests */
    struct child *child;
    /* guarded by child.lock */
    struct engine_request *request; /* NULL until the engine has accepted it; then only the pump uses it */
    struct child_request *next_ready;
    bool is_ready;    /* on the ready list */
    uint64_t credits; /* events that may still be sent */
    bool cancel, discard;
};

/* A call that takes long. */
struct child_job {
    struct child_job *next;
    enum frame_type type;
    uint32_t number;
    struct buffer payload;
    struct child_request *request; /* FRAME_SUBMIT */
};

struct child {
    /* constant once the threads run */
    int socket;
    uint64_t crash_after; /* events; UINT64_MAX: never. See child_pump.c */
    const char *crash_how;

    pthread_mutex_t lock;
    pthread_cond_t work, ready;
    /* guarded by lock */
    bool stopping, asked_to_open, loading;
    struct engine *engine; /* set once */
    uint32_t max_waiting;  /* submits that may wait for a thread */
    struct numbers requests;
    struct child_job *jobs, *jobs_tail; /* oldest first */
    uint32_t n_submits;                 /* of them */
    uint64_t refused;                   /* submits that found too many waiting */
    struct child_request *ready_head, *ready_tail;
    bool changed; /* the figures, since they were last sent */

    pthread_mutex_t send_lock;
};

/* child.c */
/* Answers a call: an error, or 0 and what the call gives (may be NULL). */
void child_reply(struct child *child, uint32_t number, int status, const struct error *error,
                 const struct buffer *result);
/* Sends a buffer of whole frames; ends the process when memory was short for it. */
void child_send(struct child *child, const struct buffer *frames);
/* Ends the process at once with a line on stderr, which the parent shows. */
_Noreturn void child_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* child_work.c: a thread's main; runs jobs until the child stops. */
void *child_work_main(void *context);
void child_job_free(struct child_job *job);

/* child_pump.c */
void *child_pump_main(void *context);
void child_put_stats(struct child *child, struct buffer *out);
/* Puts a request on the pump's list; child.lock is held. */
void child_make_ready(struct child_request *request);
/* The request is over, or never came about: takes it off every list, releases and frees it. */
void child_forget(struct child_request *request);
/* on_event of every request, which is the context. */
void child_on_event(void *context);
/* Reads LLMIND_TEST_WORKER_CRASH_AFTER. */
void child_crash_setup(struct child *child);
/* Crashes when `done` events are what was asked for. */
void child_crash_point(const struct child *child, uint64_t done);

#endif
