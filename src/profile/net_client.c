/* libcurl's defaults are those of a general tool: they follow environment variables, netrc and proxies, and
 * connect to whatever a name means at that moment. Everything of that kind is switched off here, once, and
 * the socket callback is the last word: it opens no socket to an address that was not judged. */
#include "profile/net_client.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/json_text.h"
#include "base/version.h"
#include "platform/clock.h"
#include "profile/json_get.h"

enum { MAX_LINES = 64, MAX_KEY = 4096, CONNECT_TIMEOUT_MS = 10000, POLL_MS = 100, MAX_URL_TEXT = 640 };

struct net_client {
    struct net_url url;
    struct net_addresses addresses;
    char base[MAX_URL_TEXT];
    char *key;
    struct curl_slist *get_headers, *post_headers, *pins; /* read-only once open */
    pthread_mutex_t lock;
    CURLM *lines[MAX_LINES]; /* idle, each with its connection; guarded by lock */
    size_t n_lines;
};

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- opening ---- */

static int check_key(const char *key, struct error *error)
{
    size_t length = strlen(key);
    if (length == 0 || length > MAX_KEY)
        return error_set(error, ERROR_INVALID, "the API key must have 1 to %d characters", MAX_KEY);
    for (size_t i = 0; i < length; i++)
        if (key[i] <= ' ' || key[i] >= 0x7f)
            return error_set(error, ERROR_INVALID,
                             "the API key may have only printable ASCII characters and "
                             "no blanks");
    return 0;
}

static bool add_line(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer)
        *list = longer;
    return longer != NULL;
}

/* "name:port:address,address": curl's cache of names, so that it asks nobody. */
static bool pin_addresses(struct net_client *client)
{
    struct buffer pin = {0};
    if (client->url.literal)
        return true;
    buffer_format(&pin, "%s:%u:", client->url.host, (unsigned)client->url.port);
    for (size_t i = 0; i < client->addresses.count; i++) {
        char text[NET_MAX_ADDRESS_TEXT];
        const struct sockaddr *address = (const struct sockaddr *)&client->addresses.items[i];
        net_address_text(address, text);
        buffer_format(&pin, address->sa_family == AF_INET6 ? "%s[%s]" : "%s%s", i ? "," : "", text);
    }
    bool added = !pin.failed && add_line(&client->pins, pin.data);
    buffer_free(&pin);
    return added;
}

static bool make_headers(struct net_client *client)
{
    char agent[64];
    snprintf(agent, sizeof agent, "User-Agent: llmind/%s", version_number());
    struct curl_slist **lists[] = {&client->get_headers, &client->post_headers};
    for (size_t i = 0; i < 2; i++) {
        if (!add_line(lists[i], agent) || !add_line(lists[i], "Expect:"))
            return false;
        if (client->key && !add_line(lists[i], client->key))
            return false;
    }
    return add_line(&client->get_headers, "Accept: application/json") &&
           add_line(&client->post_headers, "Accept: text/event-stream, application/json") &&
           add_line(&client->post_headers, "Content-Type: application/json");
}

int net_client_open(const char *url, bool allow_local, const char *key, struct net_client **out,
                    struct error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    *out = NULL;
    struct net_client *client = calloc(1, sizeof *client);
    if (!client)
        return error_memory(error, "a client", sizeof *client);
    pthread_mutex_init(&client->lock, NULL);
    int status = net_url_parse(url, &client->url, error);
    if (!status && key)
        status = check_key(key, error);
    if (!status)
        status = net_resolve(&client->url, allow_local, &client->addresses, error);
    if (!status) {
        net_url_text(&client->url, client->base, sizeof client->base);
        if (key && (client->key = malloc(strlen(key) + 32)) != NULL)
            sprintf(client->key, "Authorization: Bearer %s", key);
        if ((key && !client->key) || !pin_addresses(client) || !make_headers(client))
            status = error_memory(error, "a client", 0);
    }
    if (status)
        net_client_close(client);
    else
        *out = client;
    return status;
}

void net_client_close(struct net_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < client->n_lines; i++)
        curl_multi_cleanup(client->lines[i]);
    curl_slist_free_all(client->get_headers);
    curl_slist_free_all(client->post_headers);
    curl_slist_free_all(client->pins);
    if (client->key)
        explicit_bzero(client->key, strlen(client->key));
    free(client->key);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

const struct net_url *net_client_url(const struct net_client *client)
{
    return &client->url;
}

bool net_client_is_this_machine(const struct net_client *client)
{
    for (size_t i = 0; i < client->addresses.count; i++)
        if (net_classify((const struct sockaddr *)&client->addresses.items[i]) != NET_LOOPBACK)
            return false;
    return true;
}

/* ---- what curl calls ---- */

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct net_client *client = context;
    for (size_t i = 0; purpose == CURLSOCKTYPE_IPCXN && i < client->addresses.count; i++)
        if (net_address_equal(&address->addr, (const struct sockaddr *)&client->addresses.items[i]))
            return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    return CURL_SOCKET_BAD;
}

static void take_header(char *out, size_t capacity, const char *value, size_t length)
{
    while (length && (*value == ' ' || *value == '\t')) {
        value++;
        length--;
    }
    while (length && (unsigned char)value[length - 1] <= ' ')
        length--;
    snprintf(out, capacity, "%.*s", (int)(length < capacity ? length : capacity - 1), value);
}

static bool named(const char *line, size_t length, const char *name)
{
    size_t n = strlen(name);
    return length > n && line[n] == ':' && strncasecmp(line, name, n) == 0;
}

static size_t on_header(char *line, size_t one, size_t length, void *context)
{
    struct net_exchange *exchange = context;
    (void)one;
    exchange->header_bytes += length;
    exchange->news_ns = clock_now_ns();
    if (exchange->header_bytes > NET_MAX_HEADERS) {
        error_set(&exchange->problem, ERROR_LIMIT, "the server sent more than %d bytes of headers",
                  NET_MAX_HEADERS);
        return 0;
    }
    if (named(line, length, "server"))
        take_header(exchange->server, sizeof exchange->server, line + 7, length - 7);
    else if (named(line, length, "content-type"))
        take_header(exchange->content_type, sizeof exchange->content_type, line + 13, length - 13);
    else if (named(line, length, "content-encoding")) {
        char coding[32];
        take_header(coding, sizeof coding, line + 17, length - 17);
        exchange->compressed = coding[0] && strcasecmp(coding, "identity") != 0;
    }
    return length;
}

static size_t on_body(char *bytes, size_t one, size_t length, void *context)
{
    struct net_exchange *exchange = context;
    uint64_t now_ns = clock_now_ns(); /* before anything else is done with them */
    (void)one;
    exchange->body_bytes += length;
    if (exchange->status == 0)
        curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &exchange->status);
    if (exchange->body_bytes > exchange->max_body)
        error_set(&exchange->problem, ERROR_LIMIT, "the server sent more than %zu bytes", exchange->max_body);
    else if (exchange->compressed)
        error_set(&exchange->problem, ERROR_INVALID,
                  "the server compressed its answer although it was not "
                  "asked to");
    else if (exchange->status == 200)
        exchange->on_body(exchange->context, bytes, length, now_ns, &exchange->problem);
    else if (exchange->refusal.length < NET_MAX_REFUSAL)
        buffer_append(&exchange->refusal, bytes, length);
    return exchange->problem.code ? 0 : length;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
    struct net_exchange *exchange = context;
    (void)total, (void)now, (void)up_total, (void)up;
    exchange->cancelled = exchange->cancel && atomic_load(exchange->cancel) != 0;
    exchange->stalled =
        exchange->stall_ms && clock_now_ns() - exchange->news_ns > exchange->stall_ms * (uint64_t)1000000;
    return exchange->cancelled || exchange->stalled;
}

/* ---- one exchange ---- */

static CURLcode restrict_easy(struct net_client *client, CURL *easy)
{
    CURLcode bad = CURLE_OK;
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {{CURLOPT_NOSIGNAL, 1},
                   {CURLOPT_FOLLOWLOCATION, 0},
                   {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
                   {CURLOPT_NETRC, CURL_NETRC_IGNORED},
                   {CURLOPT_SSL_VERIFYPEER, 1},
                   {CURLOPT_SSL_VERIFYHOST, 2},
                   {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
                   {CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS},
                   {CURLOPT_DNS_CACHE_TIMEOUT, -1},
                   {CURLOPT_NOPROGRESS, 0}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        bad = bad ? bad : curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_PROXY, "");
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_RESOLVE, client->pins);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
    return bad;
}

static CURLcode ask_easy(struct net_client *client, struct net_exchange *exchange, CURL *easy)
{
    char url[MAX_URL_TEXT + 128];
    snprintf(url, sizeof url, "%s%s", client->base, exchange->path);
    CURLcode bad = curl_easy_setopt(easy, CURLOPT_URL, url);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)exchange->timeout_ms);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_XFERINFODATA, exchange);
    bad = bad ? bad
              : curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
                                 exchange->body ? client->post_headers : client->get_headers);
    if (exchange->body) {
        bad = bad ? bad : curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->body);
        bad = bad ? bad
                  : curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(exchange->body));
    }
    return bad;
}

int net_exchange_begin(struct net_client *client, struct net_exchange *exchange, struct error *error)
{
    CURL *easy = curl_easy_init();
    if (!easy || restrict_easy(client, easy) || ask_easy(client, exchange, easy)) {
        curl_easy_cleanup(easy);
        return error_memory(error, "a request", 0);
    }
    exchange->from = client;
    exchange->easy = easy;
    exchange->start_ns = exchange->news_ns = clock_now_ns();
    return 0;
}

void net_exchange_end(struct net_exchange *exchange, CURLcode result)
{
    struct error *problem = &exchange->problem;
    const struct net_url *url = &exchange->from->url;
    if (exchange->status == 0)
        curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &exchange->status);
    curl_easy_cleanup(exchange->easy);
    exchange->easy = NULL;
    exchange->timed_out = exchange->stalled || result == CURLE_OPERATION_TIMEDOUT;
    if (problem->code || result == CURLE_OK)
        return;
    if (exchange->cancelled)
        error_set(problem, ERROR_CANCELLED, "interrupted");
    else if (exchange->stalled)
        error_set(problem, ERROR_LIMIT, "nothing came from the server for %u ms", exchange->stall_ms);
    else if (exchange->timed_out && exchange->status == 0 && exchange->header_bytes == 0)
        error_set(problem, ERROR_LIMIT, "the server at %s:%u did not answer in time", url->host,
                  (unsigned)url->port);
    else if (exchange->timed_out)
        error_set(problem, ERROR_LIMIT, "stopped after %u ms", exchange->timeout_ms);
    else if (result == CURLE_OUT_OF_MEMORY) /* what curl also says of a header line of 100 KB */
        error_set(problem, ERROR_IO, "the server sent a header that is too long, or memory is short");
    else if (exchange->status)
        error_set(problem, ERROR_IO, "the connection broke in the middle of the answer: %s",
                  curl_easy_strerror(result));
    else
        error_set(problem, ERROR_IO, "the server at %s:%u: %s", url->host, (unsigned)url->port,
                  curl_easy_strerror(result));
}

void net_exchange_free(struct net_exchange *exchange)
{
    if (exchange->easy)
        curl_easy_cleanup(exchange->easy);
    exchange->easy = NULL;
    buffer_free(&exchange->refusal);
}

/* {"error": {"message": "..."}}, {"error": "..."}, {"message": "..."} or {"detail": "..."}: as servers do. */
static const char *refusal_message(const json_t *body)
{
    static const char *const paths[] = {"error.message", "error", "message", "detail", "detail.0.msg"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const char *text = json_get_string(body, paths[i]);
        if (text)
            return text;
    }
    return NULL;
}

void net_exchange_refusal(const struct net_exchange *exchange, struct error *out)
{
    long status = exchange->status;
    if (status >= 300 && status < 400) {
        error_set(out, ERROR_IO,
                  "the server answered %ld, a redirect, and redirects are not followed: give "
                  "the address it leads to",
                  status);
        return;
    }
    const struct buffer *refusal = &exchange->refusal;
    struct json_text_size size = json_text_measure(refusal->data ? refusal->data : "", refusal->length);
    json_t *body = size.depth <= JSON_TEXT_MAX_DEPTH && refusal->length
                       ? json_loadb(refusal->data, refusal->length, 0, NULL)
                       : NULL;
    const char *message = refusal_message(body);
    if (!message && !body && refusal->data)
        message = refusal->data;
    error_set(out, ERROR_IO, "the server answered %ld%s%.300s%s", status, message ? ": " : "",
              message ? message : "", status == 401 || status == 403 ? " (is the API key right?)" : "");
    json_decref(body);
}

/* ---- waiting ---- */

static CURLM *take_idle(struct net_client *client)
{
    CURLM *line = NULL;
    pthread_mutex_lock(&client->lock);
    if (client->n_lines)
        line = client->lines[--client->n_lines];
    pthread_mutex_unlock(&client->lock);
    return line ? line : curl_multi_init();
}

static void give_idle(struct net_client *client, CURLM *line)
{
    pthread_mutex_lock(&client->lock);
    bool kept = client->n_lines < MAX_LINES;
    if (kept)
        client->lines[client->n_lines++] = line;
    pthread_mutex_unlock(&client->lock);
    if (!kept)
        curl_multi_cleanup(line);
}

static CURLcode wait_for(CURLM *line, CURL *easy)
{
    if (curl_multi_add_handle(line, easy))
        return CURLE_OUT_OF_MEMORY;
    CURLcode result = CURLE_OK;
    int running = 1, left;
    CURLMcode bad = CURLM_OK;
    while (running && !bad) {
        bad = curl_multi_perform(line, &running);
        if (running && !bad)
            bad = curl_multi_poll(line, NULL, 0, POLL_MS, NULL);
    }
    const CURLMsg *message;
    while ((message = curl_multi_info_read(line, &left)) != NULL)
        if (message->msg == CURLMSG_DONE)
            result = message->data.result;
    curl_multi_remove_handle(line, easy);
    return bad ? CURLE_OUT_OF_MEMORY : result;
}

int net_client_run(struct net_client *client, struct net_exchange *exchange, struct error *error)
{
    CURLM *line = take_idle(client);
    int status = line ? net_exchange_begin(client, exchange, error) : error_memory(error, "a request", 0);
    if (!status) {
        net_exchange_end(exchange, wait_for(line, exchange->easy));
        int code = exchange->problem.code;
        if (code == ERROR_CANCELLED || code == ERROR_MEMORY)
            status = error_set(error, code, "%s", exchange->problem.message);
    }
    if (line)
        give_idle(client, line);
    return status;
}
