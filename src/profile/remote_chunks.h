/* What the chunks of a streamed answer say, and when they came: from the data of events to a target_trace,
 * the same record that our own engine leaves, so that every figure is worked out by the same functions.
 *
 * A chunk is not a token. How many tokens there were only the server's usage figures say, or a tokenizer that
 * is known to be the model's. Where there were as many chunks with text as tokens, each chunk was one. Else
 * the tokens are spread over the chunks (by the server's running count where it sends one, else by the length
 * of their text), each chunk's own gap is divided by its tokens, and the record is marked `spread`.
 *
 * What came with the first stamp was not decoded between the first stamp and the last: rates leave all of it
 * out, not one token only. And where tokens come several at a time, nobody saw the gaps between them: there
 * are none then, neither percentiles nor a list.
 *
 * Everything here is what a stranger wrote: sizes and counts are checked against what was asked for.
 */
#ifndef LLMIND_PROFILE_REMOTE_CHUNKS_H
#define LLMIND_PROFILE_REMOTE_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "profile/metrics.h"
#include "profile/target.h"
#include "text/tokenizer.h"

struct remote_chunk {
    uint64_t ns;     /* arrival */
    uint32_t bytes;  /* of text; 0: the chunk that ended the answer */
    uint32_t so_far; /* completion tokens up to here, where the server counts along; else 0 */
};

struct remote_chunks {
    uint32_t max_tokens; /* asked for; set before the first chunk */
    bool keep_text;      /* for a tokenizer */
    struct remote_chunk *items;
    uint32_t count, capacity;
    bool finished, done; /* a finish_reason came; [DONE] came */
    char finish_reason[24];
    uint64_t finish_ns;
    bool has_usage, has_cached;
    uint32_t prompt_tokens, completion_tokens, cached_tokens;
    struct buffer text;
};
/* Zero-initialise and set the first two. */
void remote_chunks_free(struct remote_chunks *chunks);

/* The data of one event that came at ns. Errors: ERROR_INVALID (not JSON, figures that cannot be), ERROR_IO
 * (the server says that it failed), ERROR_LIMIT (more chunks than tokens can be), ERROR_MEMORY. */
int remote_chunks_take(struct remote_chunks *chunks, const char *data, size_t length, uint64_t ns,
                       struct error *error);

struct remote_count {
    uint32_t tokens;    /* 0: not known */
    uint32_t first;     /* of them: those with the first stamp */
    bool spread;        /* chunks were not tokens one by one */
    bool several;       /* tokens came several at a time: the gaps between them were not seen */
    const char *reason; /* why tokens are not known */
};
/* The record of the answer; start_ns: when the request was sent (or was due). tokenizer may be NULL. Fills
 * out->outcome and out->error too: an answer that broke off, one that is short. ERROR_MEMORY. out must be
 * zero; free it with target_trace_free. */
int remote_chunks_trace(struct remote_chunks *chunks, uint64_t start_ns, const struct tokenizer *tokenizer,
                        struct target_trace *out, struct remote_count *count, struct error *error);
/* The figures of that record. Decode rate and TPOT count the tokens after the first `count->first`; NaN when
 * all came at once. sample_free. */
void remote_chunks_sample(const struct target_trace *trace, const struct remote_count *count,
                          struct sample *out);

#endif
