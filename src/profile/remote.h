/* An OpenAI-compatible server as what is measured: black box, by its streams alone.
 *
 * Its address is hostile input: http and https only, no credentials in it, resolved once and connected to
 * that very address; loopback and private addresses only by explicit permission, link-local and metadata
 * addresses never; redirects are not followed; bodies, headers and times are bounded (net_client.h). Tokens
 * are counted by the server's usage figures, or by the model's tokenizer where it is known, never by chunks
 * (remote_chunks.h).
 *
 * What a client cannot see it does not guess: queue, tokenizing and prefill times are unknown. One figure has
 * a meaning of its own here: prefill tokens per second is (p - c) / TTFT, network and queue included, so that
 * it is a lower bound of what the server's engine does.
 */
#ifndef LLMIND_PROFILE_REMOTE_H
#define LLMIND_PROFILE_REMOTE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "profile/metrics.h"
#include "profile/scenario.h"
#include "text/tokenizer.h"

struct remote;

/* Of a sample's cached_tokens: the server does not report them. */
#define REMOTE_CACHED_UNKNOWN UINT32_MAX
/* Why there are no gaps between tokens (remote_chunks.h). */
#define REMOTE_SEVERAL_REASON "the server sends several tokens at a time"

struct remote_options {
    const char *url;     /* "http://127.0.0.1:8080" or with "/v1" */
    const char *model;   /* NULL: the first of its /v1/models */
    const char *api_key; /* NULL: none; never logged, never stored */
    bool allow_local;    /* loopback and private addresses */
    const atomic_int *cancel;
    const struct tokenizer *tokenizer; /* the model's, for servers without usage figures; NULL; borrowed */
};

/* Errors: ERROR_INVALID (the address: which rule), ERROR_NOT_FOUND (no such machine), ERROR_IO (nobody
 * answers), ERROR_UNSUPPORTED (not such a server). */
int remote_open(const struct remote_options *options, struct remote **out, struct error *error);
void remote_close(struct remote *remote); /* NULL is legal */
const char *remote_model(const struct remote *remote);
/* {"url", "model", "server" (its Server header, or null), "tokens_counted_by", "refused_fields" (of requests:
 * it does not know them, and they are not sent)}: the report's "target"; a new reference, NULL when memory is
 * short. */
json_t *remote_info(const struct remote *remote);

struct remote_run {
    struct scenario scenario; /* PREFILL and DECODE: prompts of about so many tokens */
    const char *prompt;
    uint32_t max_tokens;
    double temperature; /* NaN: 0 */
    uint32_t timeout_ms;
    bool raw;       /* /completions: the prompt as plain text */
    uint64_t nonce; /* no two of a run alike: the prompt's unique beginning */
};
/* Times as the client sees them, from before the request is sent. 0 also when it went wrong: out->outcome
 * says so. A sample whose tokens came several at a time, or are spread over chunks, is OK and says so in its
 * message; of the former there are no gaps. Blocking; any number of threads at once. Fields that a server
 * refuses with 400 (ignore_eos, cache_prompt, ...) are left out from then on. Errors: ERROR_CANCELLED,
 * ERROR_MEMORY. */
int remote_do(struct remote *remote, const struct remote_run *run, struct sample *out, struct error *error);

/* 0, or why it does not answer any more (ERROR_IO); a few seconds at most. */
int remote_alive(struct remote *remote, struct error *error);

/* Starts a server (argv, NULL at the end) and waits until its address answers, or it ends, or wait_ms are
 * over; remote_server_stop ends it with everything it started (its process group). Only the command line may
 * do this. Errors: ERROR_INVALID (the address; the command), ERROR_IO (it ended, with the last of what it
 * wrote; it did not answer in time), ERROR_CANCELLED. */
struct remote_server;
int remote_server_start(char *const *argv, const char *url, uint32_t wait_ms, const atomic_int *cancel,
                        struct remote_server **out, struct error *error);
void remote_server_stop(struct remote_server *server); /* NULL is legal */

#endif
