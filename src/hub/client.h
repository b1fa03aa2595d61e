/* One pull's connections: requests over curl with everything shut off that a general tool would do, redirects
 * judged one by one, and progress told while anything is waited for. Between the files of src/hub only; one
 * thread.
 *
 * The token is a header of requests to the hub's own scheme, host and port, and of no other: each request is
 * made anew for the address it goes to.
 */
#ifndef LLMIND_HUB_CLIENT_H
#define LLMIND_HUB_CLIENT_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "hub/address.h"
#include "hub/answer.h"
#include "hub/hub.h"

enum { HUB_CONNECTIONS = 4, HUB_SPEED_SAMPLES = 20 };

struct hub_client {
    const struct hub_settings *settings;    /* borrowed */
    const struct hub_pull_options *options; /* borrowed */
    struct hub_origin origin;               /* of the endpoint */
    CURLM *multi;
    uint64_t random;
    unsigned retries;

    struct hub_progress progress;
    uint64_t base_bytes;     /* of progress.done_bytes: what is there of the other files */
    uint64_t fetched_bytes;  /* over the network, of files */
    uint64_t next_report_ns; /* progress is told so often at most */
    bool stopped;            /* progress said so */
    struct {
        uint64_t at_ns, bytes;
    } samples[HUB_SPEED_SAMPLES]; /* ring of the last seconds */
    unsigned n_samples, next_sample;
};

/* Errors: ERROR_MEMORY, ERROR_INVALID (the endpoint). Close it also after an error. */
int hub_client_open(const struct hub_settings *settings, const struct hub_pull_options *options,
                    struct hub_client *client, struct error *error);
void hub_client_close(struct hub_client *client);

/* Tells progress when it is time, or now; false: the caller wants to stop. */
bool hub_client_report(struct hub_client *client, enum hub_phase phase, bool now);
/* Waits, telling progress. ERROR_CANCELLED. */
int hub_client_sleep(struct hub_client *client, enum hub_phase phase, uint32_t ms, struct error *error);
/* The error of a stop. */
int hub_client_stopped(struct error *error);

struct hub_request {
    /* set by the caller */
    const char *address; /* borrowed */
    bool ranged;         /* ask for bytes first .. last */
    uint64_t first, last;
    const char *if_range; /* an ETag, or "" */
    /* Bytes of a 200's or 206's body. Not 0: the request ends with that error. */
    int (*on_body)(void *context, const char *bytes, size_t length, struct error *error);
    void *context;

    /* filled */
    struct hub_answer answer;
    struct error problem; /* what on_body returned; code 0: nothing */
    CURL *easy;           /* NULL: not under way */
    struct curl_slist *headers;
    size_t other_bytes; /* of a body that is neither */
};

/* Begins it; on_body and everything else happens while the multi is driven. ERROR_MEMORY, ERROR_INVALID. */
int hub_request_begin(struct hub_client *client, struct hub_request *request, struct error *error);
/* Ends it, finished or not. answer and problem stay until the next begin or free. */
void hub_request_end(struct hub_client *client, struct hub_request *request);
void hub_request_free(struct hub_client *client, struct hub_request *request);

/* The whole body of a small thing, redirects followed, failures that may pass tried again. Errors: those of
 * hub_refusal (with revision), ERROR_LIMIT (longer than max_bytes), ERROR_IO, ERROR_CANCELLED. */
int hub_client_get(struct hub_client *client, const char *address, size_t max_bytes, struct buffer *out,
                   struct error *error);

/* How long to wait after the answer, or the failure without one, of a request; failures: in a row, this one
 * included. False: it is time to give up. */
bool hub_client_pause(struct hub_client *client, const struct hub_answer *answer, unsigned failures,
                      uint32_t *ms);

#endif
