/* One request to a remote server, in steps, for those who wait for many at once (load.c): prepare, let curl
 * do call.exchange (net_client.h), finish. */
#ifndef LLMIND_PROFILE_REMOTE_INTERNAL_H
#define LLMIND_PROFILE_REMOTE_INTERNAL_H

#include "profile/net_client.h"
#include "profile/remote.h"
#include "profile/remote_chunks.h"
#include "profile/remote_events.h"

struct remote_call {
    struct net_exchange exchange;
    struct remote_events events;
    struct remote_chunks chunks;
    struct remote_count count; /* filled by finish */
    uint64_t now_ns;           /* when the bytes being read came */
    bool any_event;
    char path[32];
    char *body;
};

/* Makes the body, without the fields in `dropped` (bits) beside those that the server is known to refuse, and
 * sets up the exchange. call must be zero; it must not move; free it with remote_call_free. ERROR_MEMORY,
 * ERROR_INVALID (the prompt is not UTF-8). */
int remote_call_prepare(struct remote *remote, const struct remote_run *run, unsigned dropped,
                        struct remote_call *call, struct error *error);
/* After net_exchange_end: the sample, its times counted from start_ns. ERROR_MEMORY. */
int remote_call_finish(struct remote *remote, struct remote_call *call, uint64_t start_ns, struct sample *out,
                       struct error *error);
void remote_call_free(struct remote_call *call);

struct net_client *remote_client(struct remote *remote);
/* Two short requests that tell how long texts are in the server's tokens, and which fields it refuses. What
 * they took is in *prefill_tps and *decode_tps (about; NaN unknown). Errors: ERROR_IO with what the server
 * says when it cannot answer them. */
int remote_calibrate(struct remote *remote, bool raw, double *prefill_tps, double *decode_tps,
                     struct error *error);
uint32_t remote_context(const struct remote *remote); /* tokens, as its list of models says; 0: unknown */

#endif
