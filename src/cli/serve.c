/* llmind serve: opens what a server stands on, lets it run, and takes it down again.
 *
 * The port is opened before the model is loaded, so that /health can tell that it is loading, and so that a
 * port that is taken is said at once. A database that cannot be opened does not stop the server: chats are
 * then not saved, and say so. On SIGTERM or Ctrl-C running answers get a few seconds to end; should anything
 * hang all the same, the program ends after 9.7 s without it.
 *
 * What neither a flag nor the environment says comes from the saved settings. Those can be written over HTTP
 * and outlive what they name, so none of them may keep the server from starting for good: a default model
 * that is not in the catalogue (and a path never is) is passed over, and a load that fails says which saved
 * settings it had. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/serve_downloads.h"
#include "cli/serve_profile.h"
#include "cli/session.h"
#include "http/server.h"
#include "platform/open_url.h"
#include "platform/places.h"
#include "service/catalog.h"
#include "service/chats.h"
#include "service/downloads.h"
#include "service/host.h"
#include "service/live.h"
#include "service/performance.h"
#include "service/services.h"
#include "service/settings.h"
#include "store/store.h"

enum {
    DEFAULT_PORT = 8000,
    DEFAULT_SEQUENCES = 32,
    DEFAULT_QUEUE = 128,
    MAX_NAMES = 32,
    MIN_KEY_BYTES = 8,
    MAX_KEY_BYTES = 512,
    LOAD_WAIT_MS = 600000,
    LOADING_POLL_MS = 50,
    DRAIN_MS = 7000,
    LAST_RESORT_MS = 9700
};
enum {
    ID_MODEL = 'm',
    ID_HOST = 'H',
    ID_PORT = 'p',
    ID_SEQUENCES = 300,
    ID_QUEUE,
    ID_KEY_FILE,
    ID_ALLOW_HOST,
    ID_ALLOW_ORIGIN,
    ID_DATA_DIR,
    ID_LOG,
    ID_NO_PRELOAD,
    ID_OPEN,
    ID_REMOTE_TARGETS,
    ID_LOCAL_TARGETS
};

static const struct cli_option options[] = {
    {ID_MODEL, 'm', "model", "MODEL", "the model to load at the start (default builtin)"},
    {ID_HOST, 0, "host", "ADDRESS", "address to listen on (default 127.0.0.1; others need an API key)"},
    {ID_PORT, 'p', "port", "N", "port to listen on (default 8000; 0: any free one)"},
    {ID_SEQUENCES, 0, "max-sequences", "N", "answers that are generated at the same time (default 32)"},
    {ID_QUEUE, 0, "queue", "N", "requests that may wait; more are told to try again (default 128)"},
    {ID_KEY_FILE, 0, "api-key-file", "FILE", "file with the API key that requests must send"},
    {ID_ALLOW_HOST, 0, "allow-host", "NAME", "a further name this server goes by; may be repeated"},
    {ID_ALLOW_ORIGIN, 0, "allow-origin", "ORIGIN", "web origin that may use it (CORS); may be repeated"},
    {ID_DATA_DIR, 0, "data-dir", "FOLDER",
     "chats, settings and runs (default: LLMIND_DATA_DIR, else ~/.local/share/llmind)"},
    {ID_LOG, 0, "log", "FORMAT", "text, json or off (default text), on standard error"},
    {ID_NO_PRELOAD, 0, "no-preload", NULL, "load the model with the first request"},
    {ID_OPEN, 0, "open", NULL, "show the page in this machine's browser"},
    {ID_REMOTE_TARGETS, 0, "allow-remote-targets", NULL, "let profiling requests measure other servers"},
    {ID_LOCAL_TARGETS, 0, "allow-local-targets", NULL,
     "also servers of this machine and of private networks"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "serve",
    .arguments = "[options]",
    .about =
        "Serves models over HTTP: the web page at /, the OpenAI API under /v1, everything else under\n"
        "/api, and /openapi.json, which describes it all. Only this machine can reach it unless --host says "
        "otherwise.\n"
        "LLMIND_API_KEY in the environment sets the API key as --api-key-file does; LLMIND_MODEL,\n"
        "LLMIND_MAX_SEQUENCES and LLMIND_QUEUE are to the flags of these names what LLMIND_THREADS is.\n"
        "What neither a flag nor the environment says comes from the saved settings (/api/settings).",
    .options = options,
    .engine_options = true,
    .adapter = true,
    .prompt_cache = true,
    .max_positional = 0,
    .examples = "  llmind serve --open\n"
                "  llmind serve --model mlx-community/Qwen3-0.6B-4bit --ctx 8192 --kv-bits 8\n"
                "  llmind serve --prompt-cache book.cache\n"
                "  llmind serve --host 0.0.0.0 --api-key-file key --allow-host llm.example.com\n"};

struct wish {
    struct http_server_options http;
    const char *model, *key_file, *data_dir;
    const char *hosts[MAX_NAMES], *origins[MAX_NAMES];
    char key[MAX_KEY_BYTES + 1];
    enum log_level log_level;
    bool log_json, preload, open, remote_targets, local_targets;
    char saved[128]; /* the saved settings that are in force, for messages */
};

/* ---- options ---- */

static void add_name(struct cli_parser *parser, const char **names, size_t *n)
{
    if (*n == MAX_NAMES)
        error_set(&parser->error, ERROR_LIMIT, "%s may be given %d times", parser->option, MAX_NAMES);
    else
        names[(*n)++] = parser->value;
}

static void add_origin(struct cli_parser *parser, struct wish *wish)
{
    const char *scheme_end = strstr(parser->value, "://");
    if (!scheme_end || !scheme_end[3] || strpbrk(scheme_end + 3, "/*?# "))
        error_set(&parser->error, ERROR_INVALID,
                  "%s wants an origin, like https://example.com (no path, no '*'), not '%s'", parser->option,
                  parser->value);
    else
        add_name(parser, wish->origins, &wish->http.n_allowed_origins);
}

static void set_log(struct cli_parser *parser, struct wish *wish)
{
    bool off = strcmp(parser->value, "off") == 0, json = strcmp(parser->value, "json") == 0;
    if (!off && !json && strcmp(parser->value, "text") != 0)
        error_set(&parser->error, ERROR_INVALID, "--log wants text, json or off, not '%s'", parser->value);
    wish->log_level = off ? LOG_LEVEL_OFF : LOG_LEVEL_INFO;
    wish->log_json = json;
}

static void take_option(struct cli_parser *parser, int id, struct wish *wish)
{
    uint32_t port;
    switch (id) {
    case ID_MODEL:
        wish->model = parser->value;
        break;
    case ID_HOST:
        wish->http.host = parser->value;
        break;
    case ID_PORT:
        port = wish->http.port;
        cli_u32(parser, 0, 65535, &port);
        wish->http.port = (uint16_t)port;
        break;
    case ID_SEQUENCES:
        cli_u32(parser, 1, 1024, &parser->engine.max_sequences);
        break;
    case ID_QUEUE:
        cli_u32(parser, 1, 65536, &parser->engine.queue_limit);
        break;
    case ID_KEY_FILE:
        wish->key_file = parser->value;
        break;
    case ID_ALLOW_HOST:
        add_name(parser, wish->hosts, &wish->http.n_allowed_hosts);
        break;
    case ID_ALLOW_ORIGIN:
        add_origin(parser, wish);
        break;
    case ID_DATA_DIR:
        wish->data_dir = parser->value;
        break;
    case ID_LOG:
        set_log(parser, wish);
        break;
    case ID_NO_PRELOAD:
        wish->preload = false;
        break;
    case ID_OPEN:
        wish->open = true;
        break;
    case ID_REMOTE_TARGETS:
        wish->remote_targets = true;
        break;
    case ID_LOCAL_TARGETS:
        wish->remote_targets = wish->local_targets = true;
        break;
    default:
        break;
    }
}

/* Before the flags are read, so that they win. */
static void read_environment(struct cli_parser *parser, struct wish *wish)
{
    static const struct {
        const char *variable;
        int id;
    } variables[] = {
        {"LLMIND_MODEL", ID_MODEL}, {"LLMIND_MAX_SEQUENCES", ID_SEQUENCES}, {"LLMIND_QUEUE", ID_QUEUE}};
    for (size_t i = 0; i < sizeof variables / sizeof *variables && !parser->error.code; i++) {
        const char *value = getenv(variables[i].variable);
        if (!value || !*value)
            continue;
        snprintf(parser->option, sizeof parser->option, "%s", variables[i].variable);
        parser->value = value;
        take_option(parser, variables[i].id, wish);
    }
}

/* The key: the file's first line, or LLMIND_API_KEY. Messages never show any of it. */
static int read_key(struct wish *wish, struct error *error)
{
    const char *from = wish->key_file ? wish->key_file : "LLMIND_API_KEY";
    const char *variable = getenv("LLMIND_API_KEY");
    if (wish->key_file) {
        FILE *file = fopen(wish->key_file, "re");
        if (!file)
            return error_set(error, ERROR_IO, "cannot read the API key file %s: %s", from, strerror(errno));
        size_t n = fread(wish->key, 1, MAX_KEY_BYTES, file);
        fclose(file);
        wish->key[n] = '\0';
    } else if (variable && *variable) {
        snprintf(wish->key, sizeof wish->key, "%s", variable);
        unsetenv("LLMIND_API_KEY"); /* the worker reads strangers' files and needs no key */
    } else {
        return 0;
    }
    wish->key[strcspn(wish->key, "\r\n")] = '\0';
    size_t length = strlen(wish->key);
    bool plain = true;
    for (size_t i = 0; i < length; i++)
        plain = plain && wish->key[i] > 0x20 && wish->key[i] < 0x7F;
    if (!plain || length < MIN_KEY_BYTES || length >= MAX_KEY_BYTES)
        return error_set(error, ERROR_INVALID,
                         "%s must hold one line of %d to %d printable characters without blanks, for example "
                         "from: openssl rand -hex 32",
                         from, MIN_KEY_BYTES, MAX_KEY_BYTES - 1);
    wish->http.api_key = wish->key;
    return 0;
}

/* ---- what it stands on ---- */

struct house {
    struct store *store;
    struct services services;
    struct serve_profile profile;
    struct http_server *http;
    char folder[PATH_MAX];       /* of the database */
    char why[ERROR_MESSAGE_MAX]; /* there is none; "" */
};

/* A path that can be looked up stays as it is where that fails. */
static void make_absolute(char *folder, size_t capacity)
{
    char *absolute = realpath(folder, NULL);
    if (absolute && strlen(absolute) < capacity)
        memcpy(folder, absolute, strlen(absolute) + 1);
    free(absolute);
}

static int open_database(struct house *house, const char *data_dir, struct error *error)
{
    struct error reason = {0};
    int status = 0;
    if (!data_dir)
        status = places_data(house->folder, sizeof house->folder, &reason);
    else if (snprintf(house->folder, sizeof house->folder, "%s", data_dir) >= (int)sizeof house->folder)
        status = error_set(&reason, ERROR_LIMIT, "the data folder's path is too long");
    if (!status)
        status = store_open(house->folder, &house->store, &reason);
    if (status) {
        log_event(LOG_LEVEL_WARNING, "nothing will be saved", "reason=%s", reason.message);
        fprintf(stderr, "llmind serve: chats and settings will not be saved: %s\n", reason.message);
        memcpy(house->why, reason.message, sizeof house->why);
    }
    const char *why = status ? house->why : NULL;
    if (!status)
        make_absolute(house->folder, sizeof house->folder);
    house->services.data_folder = status ? NULL : house->folder;
    house->services.data_folder_reason = why;
    status = chats_open(house->store, why, &house->services.chats, error);
    return status ? status : settings_open(house->store, why, &house->services.settings, error);
}

static void note_saved(struct wish *wish, const char *key)
{
    size_t used = strlen(wish->saved);
    snprintf(wish->saved + used, sizeof wish->saved - used, "%s%s", used ? ", " : "", key);
}

/* given: by a flag or the environment; 0: by neither. */
static uint32_t saved_number(struct settings *settings, const char *key, uint32_t given, uint32_t otherwise,
                             struct wish *wish)
{
    double saved = given ? NAN : settings_number(settings, key);
    if (isnan(saved))
        return given ? given : otherwise;
    note_saved(wish, key);
    return (uint32_t)saved; /* the table of settings bounds it */
}

/* malloc'ed; NULL: there is none that can be used. */
static char *saved_model(struct settings *settings, struct wish *wish)
{
    char path[PATH_MAX];
    struct error reason = {0};
    char *model = settings_string(settings, "default_model");
    if (!model || !*model || catalog_find(model, path, sizeof path, &reason)) {
        if (model && *model)
            log_event(LOG_LEVEL_WARNING, "setting_ignored", "key=%s reason=%s", "default_model",
                      reason.message);
        free(model);
        return NULL;
    }
    note_saved(wish, "default_model");
    return model;
}

static int open_host(struct house *house, struct wish *wish, const struct engine_options *given,
                     struct error *error)
{
    struct settings *settings = house->services.settings;
    struct host_options host = {.engine = *given};
    struct engine_options *engine = &host.engine;
    char *model = wish->model ? NULL : saved_model(settings, wish);
    host.default_model = wish->model ? wish->model : model ? model : "builtin";
    engine->n_threads = saved_number(settings, "threads", given->n_threads, 0, wish);
    engine->context = saved_number(settings, "context", given->context, 0, wish);
    engine->max_sequences =
        saved_number(settings, "max_sequences", given->max_sequences, DEFAULT_SEQUENCES, wish);
    engine->queue_limit = saved_number(settings, "queue_limit", given->queue_limit, DEFAULT_QUEUE, wish);
    if (!given->precise) /* which says how many bits, too */
        engine->kv_bits = saved_number(settings, "kv_bits", given->kv_bits, 0, wish);
    int status = host_open(&host, &house->services.host, error);
    free(model);
    return status;
}

static int open_house(struct house *house, struct wish *wish, const struct engine_options *engine,
                      struct error *error)
{
    struct services *services = &house->services;
    int status = open_database(house, wish->data_dir, error);
    if (!status)
        status = live_open(&services->live, error);
    if (!status)
        status = open_host(house, wish, engine, error);
    if (!status)
        status = serve_downloads_open(services, error);
    if (!status)
        status = serve_profile_open(&house->profile, services, house->store,
                                    house->folder[0] ? house->folder : NULL,
                                    house->why[0] ? house->why : NULL, error);
    services->allow_remote_targets = wish->remote_targets;
    services->allow_local_targets = wish->local_targets;
    if (!status)
        status = performance_open(services->host, services->live, &services->performance, error);
    if (!status)
        status = http_server_open(&wish->http, services, &house->http, error);
    return status;
}

static void close_house(struct house *house, uint32_t drain_ms)
{
    /* or a handler that waits for a model, or for a run, would outlast the draining */
    host_stop(house->services.host);
    serve_profile_stop(&house->services);
    downloads_stop(house->services.downloads);
    http_server_close(house->http, drain_ms);
    serve_profile_close(&house->services); /* a run gives back the host that it has parked */
    downloads_close(house->services.downloads);
    performance_close(house->services.performance);
    host_close(house->services.host);
    live_close(house->services.live);
    chats_close(house->services.chats);
    settings_close(house->services.settings);
    store_close(house->store);
}

/* ---- running ---- */

/* Where a browser of this machine finds the page. An address that stands for all of them is none that a
 * browser can send as Host. */
static void make_url(const struct house *house, const struct wish *wish, char *out, size_t capacity)
{
    const char *host = wish->http.host;
    bool all = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || strcmp(host, "[::]") == 0;
    if (all)
        host = strchr(host, ':') ? "::1" : "127.0.0.1";
    bool bare_v6 = strchr(host, ':') && host[0] != '[';
    snprintf(out, capacity, "http://%s%s%s:%u", bare_v6 ? "[" : "", host, bare_v6 ? "]" : "",
             http_server_port(house->http));
}

static void print_welcome(const struct wish *wish, const char *url)
{
    bool key = wish->http.api_key != NULL;
    printf("LLMind %s: open %s in a browser%s (Ctrl-C stops it)\n\n"
           "or try:  curl %s/v1/chat/completions -H 'Content-Type: application/json'%s \\\n"
           "           -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'\n",
           version_number(), url, key ? ", which will ask for the API key" : "", url,
           key ? " -H \"Authorization: Bearer $KEY\"" : "");
    fflush(stdout);
}

static void browser_failed(const char *reason)
{
    log_event(LOG_LEVEL_WARNING, "browser not opened", "reason=%s", reason);
}

static void open_browser(const char *url)
{
    struct error reason = {0};
    if (open_url(url, browser_failed, &reason))
        browser_failed(reason.message);
}

/* Loading takes minutes when the model is large, and a signal does not wait for that. */
struct loading {
    struct model_host *host;
    atomic_bool over;
};

static void *give_up_when_interrupted(void *context)
{
    struct loading *loading = context;
    while (!atomic_load(&loading->over) && !atomic_load(&cli_interrupts)) {
        struct pollfd wake = {.fd = cli_interrupt_descriptor(), .events = POLLIN};
        poll(&wake, 1, LOADING_POLL_MS);
    }
    if (!atomic_load(&loading->over))
        host_stop(loading->host);
    return NULL;
}

static int preload(struct house *house, const struct wish *wish, struct error *error)
{
    struct host_lease lease;
    struct loading loading = {.host = house->services.host};
    pthread_t watch;
    bool watched = pthread_create(&watch, NULL, give_up_when_interrupted, &loading) == 0;
    int status = host_acquire(house->services.host, NULL, LOAD_WAIT_MS, &lease, error);
    atomic_store(&loading.over, true);
    if (watched)
        pthread_join(watch, NULL);
    if (!status)
        host_release(house->services.host, &lease);
    else if (wish->saved[0]) {
        size_t used = strlen(error->message);
        snprintf(error->message + used, sizeof error->message - used,
                 "; in force from the saved settings: %s (flags win over them; --no-preload starts without "
                 "loading, so that they can be changed)",
                 wish->saved);
    }
    return status;
}

static void *last_resort(void *context)
{
    (void)context;
    const struct timespec wait = {.tv_sec = LAST_RESORT_MS / 1000,
                                  .tv_nsec = LAST_RESORT_MS % 1000 * 1000000L};
    nanosleep(&wait, NULL);
    log_event(LOG_LEVEL_ERROR, "stopped the hard way", "after_ms=%d", LAST_RESORT_MS);
    _exit(CLI_EXIT_OK);
}

static void arm_last_resort(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, last_resort, NULL) == 0)
        pthread_detach(thread);
}

static void wait_for_interrupt(void)
{
    while (!atomic_load(&cli_interrupts)) {
        struct pollfd wake = {.fd = cli_interrupt_descriptor(), .events = POLLIN};
        poll(&wake, 1, 1000);
    }
}

static int serve(struct wish *wish, const struct engine_options *engine)
{
    struct house house = {0};
    struct error error = {0};
    int status = open_house(&house, wish, engine, &error);
    if (!status) {
        char url[320];
        make_url(&house, wish, url, sizeof url);
        print_welcome(wish, url);
        if (wish->open)
            open_browser(url);
        log_event(LOG_LEVEL_INFO, "listening", "host=%s port=%u key=%s", wish->http.host,
                  http_server_port(house.http), wish->http.api_key ? "needed" : "none");
        if (wish->preload)
            status = preload(&house, wish, &error);
    }
    if (!status)
        wait_for_interrupt();
    if (atomic_load(&cli_interrupts)) {
        status = 0;
        arm_last_resort();
        log_event(LOG_LEVEL_INFO, "stopping", "drain_ms=%d", DRAIN_MS);
    }
    close_house(&house, status ? 0 : DRAIN_MS);
    if (status)
        return cli_failed("serve", &error);
    log_event(LOG_LEVEL_INFO, "stopped", NULL);
    return CLI_EXIT_OK;
}

int cli_serve(int argc, char **argv)
{
    struct wish wish = {
        .http = {.host = "127.0.0.1", .port = DEFAULT_PORT}, .log_level = LOG_LEVEL_INFO, .preload = true};
    struct cli_parser parser;
    struct error error = {0};
    int id;
    cli_begin(&parser, &spec, argc, argv);
    read_environment(&parser, &wish);
    while ((id = cli_next(&parser)) > 0)
        take_option(&parser, id, &wish);
    if (id < 0)
        return cli_leave(&parser, id);
    if (read_key(&wish, &error))
        return cli_failed("serve", &error);
    wish.http.allowed_hosts = wish.hosts;
    wish.http.allowed_origins = wish.origins;
    log_open(wish.log_level, wish.log_json);
    signal(SIGPIPE, SIG_IGN); /* writing to a client that is gone is an error code, not a signal */
    cli_catch_interrupts();
    return serve(&wish, &parser.engine);
}
