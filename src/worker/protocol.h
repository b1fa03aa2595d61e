/* What travels in the frames: every struct of engine.h that crosses between parent and worker, field by
 * field.
 *
 * An encoder appends to a buffer (which remembers when memory was short). A decoder returns 0 or
 * ERROR_INVALID: the bytes are from a process that may have gone mad. Decoded strings lie in the payload and
 * live as long as it does. Pure.
 */
#ifndef LLMIND_WORKER_PROTOCOL_H
#define LLMIND_WORKER_PROTOCOL_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "engine/engine.h"
#include "platform/memory.h"
#include "worker/wire.h"

enum {
    PROTOCOL_VERSION = 4, /* raised whenever an encoding changes */
    /* Events a worker may send beyond what the reader of the request has taken; the reader gives back half of
     * them at a time. */
    PROTOCOL_CREDITS = 64,
    PROTOCOL_MAX_SEGMENTS = 1 << 20
};

/* ---- both ---- */
void protocol_put_hello(struct buffer *out);
/* ERROR_INVALID when the other side is another version: "... is version X and this one Y". */
int protocol_check_hello(struct wire *in, struct error *error);

/* ---- calls ---- */
void protocol_put_options(struct buffer *out, const struct engine_options *options);
int protocol_get_options(struct wire *in, struct engine_options *options, struct error *error);

/* Without on_logits and on_event, which do not travel. */
void protocol_put_submit(struct buffer *out, const struct engine_submit *submit);
/* Arrays go to the arena. Errors also: ERROR_MEMORY. */
int protocol_get_submit(struct wire *in, struct engine_submit *submit, struct arena *arena,
                        struct error *error);

/* ---- answers ---- */
/* The beginning of every FRAME_REPLY; status 0 is followed by what the call gives. */
void protocol_put_result(struct buffer *out, int status, const struct error *error);
/* 0, and *in stands behind it; otherwise the error of the call, or ERROR_INVALID. */
int protocol_get_result(struct wire *in, struct error *error);

void protocol_put_info(struct buffer *out, const struct engine_info *info,
                       const struct engine_sampling *sampling);
/* Strings go to the arena. */
int protocol_get_info(struct wire *in, struct engine_info *info, struct engine_sampling *sampling,
                      struct arena *arena, struct error *error);

void protocol_put_trace(struct buffer *out, const struct engine_trace *trace);
/* *trace as engine_trace gives it: engine_trace_free. */
int protocol_get_trace(struct wire *in, struct engine_trace *trace, struct error *error);

/* ---- what comes by itself ---- */
void protocol_put_event(struct buffer *out, const struct engine_event *event);
/* Fills what belongs to the event's kind; text and top beyond what is used stay as they were. */
int protocol_get_event(struct wire *in, struct engine_event *event, struct error *error);

void protocol_put_stats(struct buffer *out, const struct engine_stats *stats,
                        const struct memory_process *memory);
int protocol_get_stats(struct wire *in, struct engine_stats *stats, struct memory_process *memory,
                       struct error *error);

#endif
