#include "hub/client.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/version.h"
#include "platform/clock.h"

enum {
    DEFAULT_RETRIES = 8,
    CONNECT_TIMEOUT_S = 20,
    STALL_BYTES_PER_S = 512, /* slower than that for so long is a connection that is gone */
    STALL_S = 40,
    REPORT_EVERY_MS = 100,
    POLL_MS = 50,
    BUFFER_BYTES = 256 * 1024,
    SAMPLE_EVERY_MS = 250, /* so the speed is that of the last 5 s */
    MOST_RETRY_AFTER_S = 300,
    MAX_OTHER_BODY = 4 << 20
};
static const uint64_t MS = 1000000;

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

int hub_client_open(const struct hub_settings *settings, const struct hub_pull_options *options,
                    struct hub_client *client, struct error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    *client = (struct hub_client){
        .settings = settings,
        .options = options,
        .random = (clock_now_ns() ^ ((uint64_t)getpid() << 32)) | 1,
        .retries = options->retries ? options->retries : DEFAULT_RETRIES,
        .progress = {.phase = HUB_LISTING, .bytes_per_second = NAN, .eta_s = NAN},
    };
    int status = hub_origin_read(settings->endpoint, true, &client->origin, error);
    if (status)
        return status;
    client->multi = curl_multi_init();
    return client->multi ? 0 : error_memory(error, "a connection", 0);
}

void hub_client_close(struct hub_client *client)
{
    if (client->multi)
        curl_multi_cleanup(client->multi);
    client->multi = NULL;
}

/* ---- progress ---- */

static void sample_speed(struct hub_client *client, uint64_t now_ns)
{
    unsigned last = (client->next_sample + HUB_SPEED_SAMPLES - 1) % HUB_SPEED_SAMPLES;
    if (client->n_samples && now_ns - client->samples[last].at_ns < SAMPLE_EVERY_MS * MS)
        return;
    client->samples[client->next_sample].at_ns = now_ns;
    client->samples[client->next_sample].bytes = client->fetched_bytes;
    client->next_sample = (client->next_sample + 1) % HUB_SPEED_SAMPLES;
    if (client->n_samples < HUB_SPEED_SAMPLES)
        client->n_samples++;
    unsigned oldest = client->n_samples < HUB_SPEED_SAMPLES ? 0 : client->next_sample;
    double seconds = (double)(now_ns - client->samples[oldest].at_ns) * 1e-9;
    double bytes = (double)(client->fetched_bytes - client->samples[oldest].bytes);
    struct hub_progress *progress = &client->progress;
    progress->bytes_per_second = seconds > 0 ? bytes / seconds : NAN;
    progress->eta_s = bytes > 0 && progress->total_bytes >= progress->done_bytes
                          ? (double)(progress->total_bytes - progress->done_bytes) / (bytes / seconds)
                          : NAN;
}

bool hub_client_report(struct hub_client *client, enum hub_phase phase, bool now)
{
    uint64_t now_ns = clock_now_ns();
    now = now || phase != client->progress.phase;
    client->progress.phase = phase;
    if (!now && now_ns < client->next_report_ns)
        return !client->stopped;
    client->next_report_ns = now_ns + REPORT_EVERY_MS * MS;
    if (phase != HUB_LISTING)
        sample_speed(client, now_ns);
    if (client->options->progress && !client->options->progress(client->options->context, &client->progress))
        client->stopped = true;
    return !client->stopped;
}

int hub_client_stopped(struct error *error)
{
    return error_set(error, ERROR_CANCELLED,
                     "stopped; what has come is kept, and the next download of this model goes on there");
}

int hub_client_sleep(struct hub_client *client, enum hub_phase phase, uint32_t ms, struct error *error)
{
    uint64_t end_ns = clock_now_ns() + ms * MS;
    while (hub_client_report(client, phase, false)) {
        uint64_t now_ns = clock_now_ns();
        if (now_ns >= end_ns)
            return 0;
        uint64_t left_ns = end_ns - now_ns, most_ns = 50 * MS;
        struct timespec pause = {.tv_nsec = (long)(left_ns < most_ns ? left_ns : most_ns)};
        nanosleep(&pause, NULL);
    }
    return hub_client_stopped(error);
}

/* ---- one request ---- */

static size_t on_header(char *line, size_t one, size_t length, void *context)
{
    struct hub_request *request = context;
    (void)one;
    if (hub_answer_line(&request->answer, line, length, time(NULL)))
        return length;
    error_set(&request->problem, ERROR_LIMIT, "the hub sent a head of an answer that is too long");
    return 0;
}

static size_t on_body(char *bytes, size_t one, size_t length, void *context)
{
    struct hub_request *request = context;
    (void)one;
    if (request->answer.status != 200 && request->answer.status != 206) {
        request->other_bytes += length; /* what is said about a refusal, in HTML or JSON */
        return request->other_bytes <= MAX_OTHER_BODY ? length : 0;
    }
    if (request->answer.compressed)
        error_set(&request->problem, ERROR_INVALID, "the hub compressed what it was asked for as it is");
    else
        request->on_body(request->context, bytes, length, &request->problem);
    return request->problem.code ? 0 : length;
}

static bool add_header(struct hub_request *request, const char *name, const char *value)
{
    struct buffer line = {0};
    buffer_format(&line, "%s: %s", name, value);
    struct curl_slist *longer = line.failed ? NULL : curl_slist_append(request->headers, line.data);
    if (line.data)
        explicit_bzero(line.data, line.length);
    buffer_free(&line);
    if (longer)
        request->headers = longer;
    return longer != NULL;
}

static bool add_headers(const struct hub_client *client, struct hub_request *request, bool ours)
{
    bool good = true;
    if (ours && client->settings->token) {
        struct buffer value = {0};
        buffer_format(&value, "Bearer %s", client->settings->token);
        good = !value.failed && add_header(request, "Authorization", value.data);
        if (value.data)
            explicit_bzero(value.data, value.length);
        buffer_free(&value);
    }
    if (good && request->ranged && request->if_range && request->if_range[0] == '"') /* weak ones may not */
        good = add_header(request, "If-Range", request->if_range);
    return good;
}

static CURLcode set_up(const struct hub_client *client, struct hub_request *request)
{
    CURL *easy = request->easy;
    CURLcode bad = CURLE_OK;
    char agent[64], range[64];
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1}, /* four connections, and not one that is shared */
        {CURLOPT_NETRC, CURL_NETRC_IGNORED},
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S},
        {CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES_PER_S},
        {CURLOPT_LOW_SPEED_TIME, STALL_S},
        {CURLOPT_BUFFERSIZE, BUFFER_BYTES},
        {CURLOPT_HTTP09_ALLOWED, 0},
        {CURLOPT_PATH_AS_IS, 1}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        bad = bad ? bad : curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
    snprintf(agent, sizeof agent, "llmind/%s", version_number());
    bad = bad ? bad
              : curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, client->origin.https ? "https" : "http,https");
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_USERAGENT, agent);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_URL, request->address);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    if (request->ranged) {
        snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)request->first,
                 (unsigned long long)request->last);
        bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_RANGE, range);
    }
    return bad;
}

int hub_request_begin(struct hub_client *client, struct hub_request *request, struct error *error)
{
    struct hub_origin origin;
    int status = hub_origin_read(request->address, false, &origin, error);
    if (status)
        return status;
    hub_answer_reset(&request->answer);
    request->problem.code = 0;
    request->other_bytes = 0;
    request->easy = curl_easy_init();
    if (request->easy && add_headers(client, request, hub_origin_equal(&origin, &client->origin)) &&
        set_up(client, request) == CURLE_OK &&
        curl_multi_add_handle(client->multi, request->easy) == CURLM_OK)
        return 0;
    hub_request_end(client, request);
    return error_memory(error, "a request", 0);
}

void hub_request_end(struct hub_client *client, struct hub_request *request)
{
    if (request->easy) {
        curl_multi_remove_handle(client->multi, request->easy); /* of one that was not added: no harm */
        curl_easy_cleanup(request->easy);
    }
    request->easy = NULL;
    for (struct curl_slist *line = request->headers; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(request->headers);
    request->headers = NULL;
}

void hub_request_free(struct hub_client *client, struct hub_request *request)
{
    hub_request_end(client, request);
    hub_answer_free(&request->answer);
}

bool hub_client_pause(struct hub_client *client, const struct hub_answer *answer, unsigned failures,
                      uint32_t *ms)
{
    *ms = hub_backoff_ms(failures, &client->random);
    if (failures >= client->retries)
        return false;
    if (isnan(answer->retry_after_s))
        return true;
    if (answer->retry_after_s > MOST_RETRY_AFTER_S)
        return false;
    uint32_t asked_ms = (uint32_t)(answer->retry_after_s * 1000);
    if (asked_ms > *ms)
        *ms = asked_ms + *ms % 250; /* a little later, and not all at once */
    return true;
}

/* ---- a small thing as a whole ---- */

struct small {
    struct buffer *out;
    size_t max_bytes;
};

static int take_small(void *context, const char *bytes, size_t length, struct error *error)
{
    struct small *small = context;
    if (length > small->max_bytes - small->out->length)
        return error_set(error, ERROR_LIMIT, "the hub's answer is longer than %zu bytes", small->max_bytes);
    buffer_append(small->out, bytes, length);
    return small->out->failed ? error_memory(error, "the hub's answer", length) : 0;
}

/* One exchange; *result is curl's. */
static int exchange(struct hub_client *client, struct hub_request *request, CURLcode *result,
                    struct error *error)
{
    int status = hub_request_begin(client, request, error);
    bool done = false;
    while (!status && !done) {
        int running = 0, left = 0;
        if (curl_multi_poll(client->multi, NULL, 0, POLL_MS, NULL) ||
            curl_multi_perform(client->multi, &running))
            status = error_set(error, ERROR_INTERNAL, "curl cannot go on");
        for (const CURLMsg *message; (message = curl_multi_info_read(client->multi, &left));)
            if (message->msg == CURLMSG_DONE && message->easy_handle == request->easy) {
                *result = message->data.result;
                done = true;
            }
        if (!status && !hub_client_report(client, HUB_LISTING, false))
            status = hub_client_stopped(error);
    }
    hub_request_end(client, request);
    return status;
}

static int give_up(const struct hub_client *client, const struct hub_answer *answer, CURLcode result,
                   struct error *error)
{
    const char *revision = client->options->revision ? client->options->revision : "main";
    if (result == CURLE_OK && answer->retry_after_s > MOST_RETRY_AFTER_S)
        return error_set(error, ERROR_IO, "the hub at %s asks to come back in %.0f s; please try again then",
                         client->settings->endpoint, answer->retry_after_s);
    if (result == CURLE_OK)
        return hub_refusal(answer, client->options->repository, revision, client->settings->endpoint,
                           client->settings->token != NULL, error);
    return error_set(error, ERROR_IO, "the hub at %s cannot be reached: %s", client->settings->endpoint,
                     curl_easy_strerror(result));
}

int hub_client_get(struct hub_client *client, const char *address, size_t max_bytes, struct buffer *out,
                   struct error *error)
{
    struct small small = {out, max_bytes};
    struct hub_request request = {.on_body = take_small, .context = &small};
    char *here = strdup(address), *next = NULL;
    int status = here ? 0 : error_memory(error, "an address", 0);
    unsigned failures = 0, hops = 0;
    while (!status) {
        CURLcode result = CURLE_OK;
        buffer_clear(out);
        request.address = here;
        status = exchange(client, &request, &result, error);
        const struct hub_answer *answer = &request.answer;
        uint32_t wait_ms;
        if (status || (result == CURLE_OK && answer->status == 200))
            break;
        if (request.problem.code) {
            status = error_set(error, request.problem.code, "%s", request.problem.message);
        } else if (result == CURLE_OK && hub_answer_is_redirect(answer)) {
            status = ++hops > HUB_MAX_REDIRECTS
                         ? error_set(error, ERROR_INVALID, "the hub redirects more than %d times",
                                     HUB_MAX_REDIRECTS)
                         : hub_redirect(here, answer->location, client->origin.https, &next, error);
            if (!status) {
                free(here);
                here = next;
            }
        } else if ((result != CURLE_OK || hub_answer_may_pass(answer->status)) &&
                   hub_client_pause(client, answer, ++failures, &wait_ms)) {
            status = hub_client_sleep(client, HUB_PAUSING, wait_ms, error);
        } else {
            status = give_up(client, answer, result, error);
        }
    }
    hub_request_free(client, &request);
    free(here);
    return status;
}
