#include "hub/answer.h"

#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/address.h"

enum { MAX_HEAD = 64 * 1024, FIRST_WAIT_MS = 250, MOST_WAIT_MS = 15000 };

void hub_answer_reset(struct hub_answer *answer)
{
    free(answer->location);
    *answer = (struct hub_answer){.length = HUB_UNKNOWN,
                                  .first = HUB_UNKNOWN,
                                  .last = HUB_UNKNOWN,
                                  .total = HUB_UNKNOWN,
                                  .retry_after_s = NAN};
    answer->location = NULL; /* once more, for analysers that lose sight of it above */
}

void hub_answer_free(struct hub_answer *answer)
{
    free(answer->location);
    answer->location = NULL;
}

/* A decimal number of at most 18 digits at *text, which is moved behind it. */
static bool take_number(const char **text, uint64_t *out)
{
    size_t digits = strspn(*text, "0123456789");
    if (digits == 0 || digits > 18)
        return false;
    *out = strtoull(*text, NULL, 10);
    *text += digits;
    return true;
}

/* "bytes 0-99/1234"; of a 416 "bytes * /1234" (without the blank). */
static void read_range(const char *value, struct hub_answer *answer)
{
    uint64_t first, last, total;
    if (strncasecmp(value, "bytes ", 6) != 0)
        return;
    value += 6;
    if (!take_number(&value, &first) || *value++ != '-' || !take_number(&value, &last) || *value++ != '/' ||
        !take_number(&value, &total) || *value || last < first || total <= last)
        return;
    answer->first = first;
    answer->last = last;
    answer->total = total;
}

double hub_retry_after_s(const char *value, time_t now)
{
    const char *at = value;
    uint64_t seconds;
    if (take_number(&at, &seconds))
        return *at ? NAN : (double)seconds;
    time_t when = curl_getdate(value, NULL);
    if (when == (time_t)-1)
        return NAN;
    return when > now ? difftime(when, now) : 0;
}

static void take_header(struct hub_answer *answer, const char *name, const char *value, time_t now)
{
    size_t length = strlen(value);
    if (strcasecmp(name, "content-length") == 0) {
        if (!take_number(&value, &answer->length) || *value)
            answer->length = HUB_UNKNOWN;
    } else if (strcasecmp(name, "content-range") == 0) {
        read_range(value, answer);
    } else if (strcasecmp(name, "etag") == 0 && length < sizeof answer->etag) {
        snprintf(answer->etag, sizeof answer->etag, "%s", value);
    } else if (strcasecmp(name, "x-linked-etag") == 0 && length < sizeof answer->linked_etag) {
        snprintf(answer->linked_etag, sizeof answer->linked_etag, "%s", value);
    } else if (strcasecmp(name, "x-error-code") == 0 && length < sizeof answer->error_code) {
        snprintf(answer->error_code, sizeof answer->error_code, "%s", value);
    } else if (strcasecmp(name, "location") == 0 && length <= HUB_MAX_ADDRESS) {
        free(answer->location);
        answer->location = strdup(value);
    } else if (strcasecmp(name, "retry-after") == 0) {
        answer->retry_after_s = hub_retry_after_s(value, now);
    } else if (strcasecmp(name, "content-encoding") == 0) {
        answer->compressed = *value && strcasecmp(value, "identity") != 0;
    }
}

bool hub_answer_line(struct hub_answer *answer, const char *line, size_t length, time_t now)
{
    size_t so_far = answer->head_bytes + length;
    if (so_far > MAX_HEAD)
        return false;
    if (length >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        const char *blank = memchr(line, ' ', length);
        hub_answer_reset(answer);
        if (blank && length - (size_t)(blank - line) > 3)
            answer->status = atoi(blank + 1); /* NOLINT(cert-err34-c): what is no number is 0 */
    }
    answer->head_bytes = so_far;
    const char *colon = memchr(line, ':', length);
    if (!colon)
        return true;
    char name[32];
    size_t name_length = (size_t)(colon - line), value_length = length - name_length - 1;
    if (name_length >= sizeof name)
        return true;
    memcpy(name, line, name_length);
    name[name_length] = '\0';
    const char *begin = colon + 1;
    while (value_length && (*begin == ' ' || *begin == '\t')) {
        begin++;
        value_length--;
    }
    while (value_length && (unsigned char)begin[value_length - 1] <= ' ')
        value_length--;
    char *value = strndup(begin, value_length);
    if (!value)
        return false;
    take_header(answer, name, value, now);
    free(value);
    return true;
}

bool hub_answer_is_redirect(const struct hub_answer *answer)
{
    return (answer->status == 301 || answer->status == 302 || answer->status == 303 ||
            answer->status == 307 || answer->status == 308) &&
           answer->location;
}

bool hub_answer_may_pass(int status)
{
    return status == 408 || status == 425 || status == 429 || (status >= 500 && status <= 599);
}

uint32_t hub_backoff_ms(unsigned failures, uint64_t *random)
{
    unsigned doublings = failures > 0 ? failures - 1 : 0;
    uint32_t most = doublings > 5 ? MOST_WAIT_MS : (uint32_t)FIRST_WAIT_MS << doublings;
    if (most > MOST_WAIT_MS)
        most = MOST_WAIT_MS;
    /* xorshift64* (Vigna 2016): nobody must be unable to guess it */
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    uint32_t part = (uint32_t)((*random * 0x2545F4914F6CDD1Dull) >> 32) % (most / 2 + 1);
    return most / 2 + part;
}

int hub_refusal(const struct hub_answer *answer, const char *repository, const char *revision,
                const char *endpoint, bool has_token, struct error *error)
{
    const char *code = answer->error_code;
    if (strcasecmp(code, "GatedRepo") == 0 || (answer->status == 403 && !*code))
        return error_set(
            error, ERROR_NOT_FOUND,
            "%s is gated: its authors want to be asked first. Log in and ask for access at %s/%s, "
            "%s",
            repository, endpoint, repository,
            has_token ? "with the account that the token belongs to, then try again"
                      : "then set HF_TOKEN to a token of that account (see Settings, Access "
                        "Tokens there)");
    if (strcasecmp(code, "RevisionNotFound") == 0)
        return error_set(error, ERROR_NOT_FOUND,
                         "%s has no revision '%s'; %s/%s/tree/main shows its branches and tags", repository,
                         revision, endpoint, repository);
    if (answer->status == 401 || answer->status == 403)
        return error_set(error, ERROR_NOT_FOUND,
                         "%s/%s: there is no such repository, or it is private or gated%s", endpoint,
                         repository,
                         has_token ? " and the token's account may not read it: open that page to see which"
                                   : ": open that page to see which, and set HF_TOKEN for one that is yours");
    if (answer->status == 404)
        return error_set(error, ERROR_NOT_FOUND, "%s/%s: the hub has no such repository, revision or file",
                         endpoint, repository);
    return error_set(error, ERROR_IO, "the hub at %s answers %d%s%.40s", endpoint, answer->status,
                     *code ? ", " : "", code);
}
