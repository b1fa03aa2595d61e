/* What an answer's head says, and how long to wait before asking again. Pure. Between the files of src/hub
 * only. */
#ifndef LLMIND_HUB_ANSWER_H
#define LLMIND_HUB_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "hub/hub.h"

enum { HUB_MAX_ETAG = 256 };
#define HUB_UNKNOWN UINT64_MAX

struct hub_answer {
    int status;                         /* 0: no status line yet */
    uint64_t length;                    /* Content-Length; HUB_UNKNOWN */
    uint64_t first, last;               /* Content-Range: bytes first .. last; HUB_UNKNOWN */
    uint64_t total;                     /* of the whole; HUB_UNKNOWN */
    char etag[HUB_MAX_ETAG];            /* with its quotes; "": none, or longer than that */
    char linked_etag[HUB_MAX_HASH + 3]; /* X-Linked-Etag: the hash of an LFS file, as the hub has it now */
    char error_code[48];                /* X-Error-Code: "GatedRepo", "RepoNotFound", "RevisionNotFound" */
    char *location;                     /* malloc'ed */
    double retry_after_s;               /* NaN: not said */
    bool compressed;                    /* a Content-Encoding other than identity */
    size_t head_bytes;
};

/* Takes one line of a head, as curl hands them on; a status line starts it anew. now: for dates. False: the
 * head is longer than 64 KiB, or memory is short. */
bool hub_answer_line(struct hub_answer *answer, const char *line, size_t length, time_t now);
void hub_answer_reset(struct hub_answer *answer); /* also before the first use, of a zeroed one */
void hub_answer_free(struct hub_answer *answer);

bool hub_answer_is_redirect(const struct hub_answer *answer);
/* A failure that may pass: 408, 425, 429, 5xx. */
bool hub_answer_may_pass(int status);

/* Seconds a Retry-After asks for: a number, or a date (RFC 9110, 10.2.3). NaN: neither. */
double hub_retry_after_s(const char *value, time_t now);

/* How long to wait after so many failures in a row (1: the first): 250 ms, doubled each time up to 15 s, of
 * that a random part between half and all, so that those who failed together do not come back together. */
uint32_t hub_backoff_ms(unsigned failures, uint64_t *random);

/* What a refusal means, as a sentence a user can act on. endpoint: of the page it names. */
int hub_refusal(const struct hub_answer *answer, const char *repository, const char *revision,
                const char *endpoint, bool has_token, struct error *error);

#endif
