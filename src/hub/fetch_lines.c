/* A file's missing bytes, over a few connections.
 *
 * Each line (connection) works on a piece: a run of blocks that nobody else works on. One line goes first;
 * when its answer shows that the hub sends ranges, the others join. A failure costs the line a pause and
 * nothing that has come; failures in a row are counted per file, and a new block ends the row. Where the hub
 * leads elsewhere (a CDN) the address it led to is kept for the next pieces until it stops working.
 *
 * Nothing an answer says is taken on trust: its range must be the one asked for, its total the listing's
 * size, its ETag the one the file began with. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "hub/fetch_internal.h"
#include "platform/clock.h"

enum { POLL_MS = 50, MAX_RESTARTS = 3, MAX_CONTRADICTIONS = 2, PIECE_BLOCKS = HUB_PIECE_BYTES / HUB_BLOCK };
static const uint64_t MS = 1000000;

/* What an answer came to, beside its bytes. */
enum verdict {
    VERDICT_NONE,
    VERDICT_FAILED,       /* try again: not the range that was asked for, too many bytes */
    VERDICT_CHANGED,      /* another ETag: what is there belongs to another file */
    VERDICT_CONTRADICTION /* another size than the listing's */
};

struct lines;
struct line {
    struct lines *lines;
    struct hub_request request;
    char *address;           /* where this request goes; NULL: as the next one should */
    uint64_t begin, at, end; /* its piece; at: the next byte. end 0: none */
    uint64_t not_before_ns;
    unsigned hops;
    bool accepted; /* the answer's head was judged */
    enum verdict verdict;
};

struct lines {
    struct fetch *fetch;
    struct line items[HUB_CONNECTIONS];
    char *location; /* where the hub's address led; NULL: not known */
    uint64_t not_before_ns;
    unsigned failures; /* in a row */
    unsigned restarts, contradictions;
    bool known;         /* the hub sends ranges */
    struct line *whole; /* it does not: the line that gets everything */
};

/* ---- an answer ---- */

static int verdict(struct line *line, enum verdict what, struct error *error, const char *text)
{
    line->verdict = what;
    return error_set(error, ERROR_IO, "%s", text);
}

static int accept_answer(struct line *line, struct error *error)
{
    struct lines *lines = line->lines;
    struct fetch *fetch = lines->fetch;
    const struct hub_answer *answer = &line->request.answer;
    bool partial = answer->status == 206;
    uint64_t total = partial ? answer->total : answer->length;
    if (partial && (answer->first != line->at || answer->last >= line->end))
        return verdict(line, VERDICT_FAILED, error,
                       "the hub sent another part of the file than it was asked for");
    if (total != HUB_UNKNOWN && total != fetch->file->bytes)
        return verdict(line, VERDICT_CONTRADICTION, error,
                       "the file has another size than the hub's listing says");
    if (answer->etag[0] && fetch->record.etag[0] && strcmp(answer->etag, fetch->record.etag) != 0)
        return verdict(line, VERDICT_CHANGED, error, "the file changed while it was being downloaded");
    if (!partial) {
        if (lines->whole && lines->whole != line)
            return verdict(line, VERDICT_FAILED, error, "the hub sends the whole file on another connection");
        lines->whole = line;
        line->begin = line->at = 0;
        line->end = fetch->file->bytes;
    }
    lines->known = true;
    if (!fetch->record.etag[0] && answer->etag[0])
        return hub_record_set_etag(&fetch->record, answer->etag, error);
    return 0;
}

static int write_all(const struct fetch *fetch, const char *bytes, size_t length, uint64_t at,
                     struct error *error)
{
    while (length > 0) {
        ssize_t n = pwrite(fetch->part, bytes, length, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set(error, ERROR_LIMIT, "cannot write %s: %s; what has come is kept",
                             fetch->file->name, n < 0 ? strerror(errno) : "the disk is full");
        bytes += n;
        at += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

static int on_body(void *context, const char *bytes, size_t length, struct error *error)
{
    struct line *line = context;
    struct lines *lines = line->lines;
    struct fetch *fetch = lines->fetch;
    int status = 0;
    if (!line->accepted)
        status = accept_answer(line, error);
    line->accepted = true;
    if (!status && lines->whole && lines->whole != line)
        return verdict(line, VERDICT_FAILED, error, "the hub sends the whole file on another connection");
    if (!status && length > line->end - line->at)
        return verdict(line, VERDICT_FAILED, error, "the hub sent more than it was asked for");
    if (!status)
        status = write_all(fetch, bytes, length, line->at, error);
    if (status)
        return status;
    int fresh = hub_record_add(&fetch->record, line->at, line->at + length, error);
    line->at += length;
    fetch->client->fetched_bytes += length;
    if (fresh < 0)
        return fresh;
    if (fresh > 0)
        lines->failures = 0;
    return 0;
}

/* ---- pieces ---- */

static bool is_running(const struct line *line)
{
    return line->request.easy != NULL;
}

static void let_go(struct line *line)
{
    hub_request_end(line->lines->fetch->client, &line->request);
    free(line->address);
    line->address = NULL;
    line->begin = line->at = line->end = 0;
    line->hops = 0;
}

/* The line whose piece has this block, or NULL. */
static const struct line *owner(const struct lines *lines, uint64_t block)
{
    for (size_t i = 0; i < HUB_CONNECTIONS; i++) {
        const struct line *line = &lines->items[i];
        if (line->end && block >= line->begin / HUB_BLOCK && block * HUB_BLOCK < line->end)
            return line;
    }
    return NULL;
}

/* Gives the line the first run of missing blocks that nobody works on; false: there is none. */
static bool take_piece(struct lines *lines, struct line *line)
{
    const struct hub_record *record = &lines->fetch->record;
    uint64_t first, end, from = 0;
    while (hub_record_missing(record, from, &first, &end)) {
        const struct line *busy = owner(lines, first);
        if (busy) {
            from = busy->end / HUB_BLOCK + (busy->end % HUB_BLOCK > 0);
            continue;
        }
        uint64_t most = lines->whole ? record->n_blocks : first + PIECE_BLOCKS;
        uint64_t last = first + 1;
        while (last < end && last < most && !owner(lines, last))
            last++;
        line->begin = line->at = first * HUB_BLOCK;
        line->end = last * HUB_BLOCK < record->bytes ? last * HUB_BLOCK : record->bytes;
        return true;
    }
    return false;
}

/* The file is another one, or turned out to be: nothing of it stays. */
static int start_over(struct lines *lines, struct error *error)
{
    for (size_t i = 0; i < HUB_CONNECTIONS; i++)
        let_go(&lines->items[i]);
    lines->known = false;
    lines->whole = NULL;
    return hub_record_start(&lines->fetch->record, "", error);
}

/* ---- what ended ---- */

static int retry_later(struct lines *lines, struct line *line, CURLcode result, struct error *error)
{
    struct hub_client *client = lines->fetch->client;
    const struct hub_answer *answer = &line->request.answer;
    uint64_t now_ns = clock_now_ns();
    uint32_t wait_ms;
    if (!hub_client_pause(client, answer, ++lines->failures, &wait_ms)) {
        const char *name = lines->fetch->file->name;
        if (line->request.problem.code)
            return error_set(error, ERROR_IO, "%s: %s, again and again; what has come is kept", name,
                             line->request.problem.message);
        if (result != CURLE_OK)
            return error_set(error, ERROR_IO,
                             "%s: %s, again and again; what has come is kept: try again later", name,
                             curl_easy_strerror(result));
        return error_set(error, ERROR_IO,
                         "%s: the hub answers %d, again and again; what has come is kept: try again later",
                         name, answer->status);
    }
    line->not_before_ns = now_ns + wait_ms * MS;
    if (answer->status == 429 || answer->status == 503) /* it means all of us */
        lines->not_before_ns = line->not_before_ns;
    free(line->address);
    line->address = NULL;
    line->hops = 0;
    if (lines->failures > 1) { /* perhaps the hub leads elsewhere by now */
        free(lines->location);
        lines->location = NULL;
    }
    if (line == lines->whole) /* what is asked for next may come from the beginning again */
        line->begin = line->at = line->end = 0;
    return 0;
}

/* Of a large file the hub says its hash, in quotes, with the redirect to where it lies. False: not said. */
static bool says_hash(const struct fetch *fetch, const struct hub_answer *answer, bool *same)
{
    const char *etag = answer->linked_etag;
    if (strlen(etag) != HUB_MAX_HASH + 2 || strlen(fetch->file->hash) != HUB_MAX_HASH)
        return false;
    *same = strncmp(etag + 1, fetch->file->hash, HUB_MAX_HASH) == 0;
    return true;
}

static int follow(struct lines *lines, struct line *line, struct error *error)
{
    const struct fetch *fetch = lines->fetch;
    char *next;
    bool same;
    bool said = says_hash(fetch, &line->request.answer, &same);
    if (said && !same)
        return error_set(error, ERROR_INVALID,
                         "%s: the hub has another file than its listing says; try again", fetch->file->name);
    if (++line->hops > HUB_MAX_REDIRECTS)
        return error_set(error, ERROR_INVALID, "%s: the hub redirects more than %d times", fetch->file->name,
                         HUB_MAX_REDIRECTS);
    int status =
        hub_redirect(line->address, line->request.answer.location, fetch->client->origin.https, &next, error);
    if (status)
        return status;
    free(line->address);
    line->address = next;
    /* what an earlier pull began may go on from another CDN, whose ETags are its own: the hub vouches for it
     */
    return said && !lines->known ? hub_record_set_etag(&lines->fetch->record, "", error) : 0;
}

/* The line got (a part of) what it asked for. */
static int got(struct lines *lines, struct line *line, struct error *error)
{
    if (!lines->location && strcmp(line->address, lines->fetch->address) != 0)
        lines->location = strdup(line->address); /* NULL: it is found again */
    if (line->at < line->end)
        return retry_later(lines, line, CURLE_PARTIAL_FILE, error);
    let_go(line);
    return 0;
}

static int refused(struct lines *lines, struct line *line, struct error *error)
{
    const struct hub_client *client = lines->fetch->client;
    const char *revision = client->options->revision ? client->options->revision : "main";
    if (line->hops == 0 && strcmp(line->address, lines->fetch->address) == 0) {
        int status = hub_refusal(&line->request.answer, client->options->repository, revision,
                                 client->settings->endpoint, client->settings->token != NULL, error);
        error_prefix(error, "%s", lines->fetch->file->name);
        return status;
    }
    /* addresses of CDNs hold for an hour or so: ask the hub for a new one */
    free(lines->location);
    lines->location = NULL;
    return retry_later(lines, line, CURLE_OK, error);
}

static int ended(struct lines *lines, struct line *line, CURLcode result, struct error *error)
{
    struct fetch *fetch = lines->fetch;
    const struct hub_answer *answer = &line->request.answer;
    const struct error *problem = &line->request.problem;
    hub_request_end(fetch->client, &line->request);
    switch (line->verdict) {
    case VERDICT_CHANGED:
        return ++lines->restarts > MAX_RESTARTS
                   ? error_set(error, ERROR_INVALID, "%s changes on the hub while it is being downloaded",
                               fetch->file->name)
                   : start_over(lines, error);
    case VERDICT_CONTRADICTION:
        if (++lines->contradictions >= MAX_CONTRADICTIONS)
            return error_set(error, ERROR_INVALID,
                             "%s has another size at the hub than its listing says (%llu bytes)",
                             fetch->file->name, (unsigned long long)fetch->file->bytes);
        return retry_later(lines, line, result, error);
    case VERDICT_FAILED:
        return retry_later(lines, line, result, error);
    case VERDICT_NONE:
    default:
        break;
    }
    if (problem->code)
        return error_set(error, problem->code, "%s", problem->message);
    if (result != CURLE_OK)
        return retry_later(lines, line, result, error);
    if (hub_answer_is_redirect(answer))
        return follow(lines, line, error);
    if ((answer->status == 200 || answer->status == 206) && line->accepted)
        return got(lines, line, error);
    if (answer->status == 200 || answer->status == 206 || hub_answer_may_pass(answer->status))
        return retry_later(lines, line, result, error);
    return refused(lines, line, error);
}

/* ---- the loop ---- */

static int begin(struct lines *lines, struct line *line, struct error *error)
{
    const struct fetch *fetch = lines->fetch;
    if (!line->address)
        line->address = strdup(lines->location ? lines->location : fetch->address);
    if (!line->address)
        return error_memory(error, "an address", 0);
    line->accepted = false;
    line->verdict = VERDICT_NONE;
    line->request.address = line->address;
    line->request.ranged = true;
    line->request.first = line->at;
    line->request.last = line->end - 1;
    line->request.if_range = fetch->record.etag;
    line->request.on_body = on_body;
    line->request.context = line;
    return hub_request_begin(fetch->client, &line->request, error);
}

static int begin_all(struct lines *lines, struct error *error)
{
    uint64_t now_ns = clock_now_ns();
    size_t most = lines->known ? HUB_CONNECTIONS : 1;
    int status = 0;
    for (size_t i = 0; !status && i < HUB_CONNECTIONS; i++) {
        struct line *line = &lines->items[i];
        if (lines->whole && line != lines->whole) {
            let_go(line);
            continue;
        }
        if (is_running(line) || (i >= most && !line->end) || now_ns < lines->not_before_ns ||
            (line->not_before_ns > now_ns))
            continue;
        if (line->end || take_piece(lines, line))
            status = begin(lines, line, error);
    }
    return status;
}

static int read_ended(struct lines *lines, struct error *error)
{
    int left = 0, status = 0;
    for (const CURLMsg *message;
         !status && (message = curl_multi_info_read(lines->fetch->client->multi, &left));) {
        struct hub_request *request = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request) != CURLE_OK)
            continue;
        for (size_t i = 0; i < HUB_CONNECTIONS; i++)
            if (&lines->items[i].request == request) {
                status = ended(lines, &lines->items[i], result, error);
                break;
            }
    }
    return status;
}

static bool any_running(const struct lines *lines)
{
    for (size_t i = 0; i < HUB_CONNECTIONS; i++)
        if (is_running(&lines->items[i]))
            return true;
    return false;
}

static int step(struct lines *lines, struct error *error)
{
    struct fetch *fetch = lines->fetch;
    struct hub_client *client = fetch->client;
    int running = 0, status = begin_all(lines, error);
    if (status)
        return status;
    enum hub_phase phase = any_running(lines) ? HUB_FETCHING : HUB_PAUSING;
    /* in this order: what ended is read at once, and a new request's first step is due at once */
    if (curl_multi_poll(client->multi, NULL, 0, POLL_MS, NULL) || curl_multi_perform(client->multi, &running))
        return error_set(error, ERROR_INTERNAL, "curl cannot go on");
    status = read_ended(lines, error);
    client->progress.done_bytes = client->base_bytes + hub_record_done_bytes(&fetch->record);
    if (!status && !hub_client_report(client, phase, false))
        status = hub_client_stopped(error);
    return status;
}

int fetch_lines(struct fetch *fetch, struct error *error)
{
    struct lines lines = {.fetch = fetch};
    int status = 0;
    for (size_t i = 0; i < HUB_CONNECTIONS; i++)
        lines.items[i].lines = &lines;
    while (!status && fetch->record.n_done < fetch->record.n_blocks)
        status = step(&lines, error);
    for (size_t i = 0; i < HUB_CONNECTIONS; i++) {
        let_go(&lines.items[i]);
        hub_request_free(fetch->client, &lines.items[i].request);
    }
    free(lines.location);
    return status;
}
