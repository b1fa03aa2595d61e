/* A client and a server in one process: times run out, streams stall, somebody cancels, and connections are
 * kept. The server is a thread that does what the test says with each connection. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform/clock.h"
#include "profile/net_client.h"
#include "profile/remote.h"

enum behaviour { SILENT, DRIP, STOP_MIDWAY, PROPER };

static struct {
    int listener;
    char url[64];
    enum behaviour behaviour;
    atomic_int stop, connections, requests;
    pthread_t thread;
} peer;

static void say(int socket, const char *text)
{
    ssize_t sent = send(socket, text, strlen(text), MSG_NOSIGNAL);
    (void)sent;
}

static void nap(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Reads a request; false when the client is gone, or the test over. */
static bool take_request(int socket)
{
    static _Thread_local char data[65536];
    size_t n = 0, wanted = 0;
    struct pollfd ready = {.fd = socket, .events = POLLIN};
    while (!atomic_load(&peer.stop)) {
        if (poll(&ready, 1, 20) <= 0)
            continue;
        ssize_t got = recv(socket, data + n, sizeof data - 1 - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        data[n] = '\0';
        const char *body = strstr(data, "\r\n\r\n");
        if (!body)
            continue;
        const char *length = strstr(data, "Content-Length: ");
        wanted = (size_t)(body + 4 - data) + (length ? (size_t)strtoul(length + 16, NULL, 10) : 0);
        if (n >= wanted)
            return true;
    }
    return false;
}

static void models(int socket)
{
    say(socket, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n"
                "{\"data\":[{\"id\":\"peer\"}]}");
}

static void reply(int socket)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    static const char token[] = "24\r\ndata: {\"choices\":[{\"text\":\"word\"}]}\n\r\n1\r\n\n\r\n";
    if (peer.behaviour == SILENT)
        while (!atomic_load(&peer.stop))
            nap(5);
    say(socket, head);
    if (peer.behaviour == DRIP) /* comments are no news */
        for (int i = 0; !atomic_load(&peer.stop); i++) {
            say(socket, i == 0 ? token : "4\r\n: x\n\r\n");
            nap(5);
        }
    say(socket, token);
    if (peer.behaviour == STOP_MIDWAY)
        while (!atomic_load(&peer.stop))
            nap(5);
    say(socket, token);
    say(socket, "62\r\ndata: {\"choices\":[{\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":9,"
                "\"completion_tokens\":2}}\n\n\r\n0\r\n\r\n");
}

static void *serve_one(void *argument)
{
    int socket = (int)(intptr_t)argument;
    while (take_request(socket)) {
        if (atomic_fetch_add(&peer.requests, 1) == 0)
            models(socket);
        else
            reply(socket);
    }
    close(socket);
    return NULL;
}

static void *serve(void *context)
{
    (void)context;
    pthread_t threads[16];
    int n = 0;
    struct pollfd ready = {.fd = peer.listener, .events = POLLIN};
    while (!atomic_load(&peer.stop)) {
        if (poll(&ready, 1, 20) <= 0)
            continue;
        int socket = accept(peer.listener, NULL, NULL);
        atomic_fetch_add(&peer.connections, 1);
        if (n < 16)
            pthread_create(&threads[n++], NULL, serve_one, (void *)(intptr_t)socket);
    }
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    memset(&peer, 0, sizeof peer);
    peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(peer.listener, 16), 0);
    assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&address, &size), 0);
    snprintf(peer.url, sizeof peer.url, "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    return pthread_create(&peer.thread, NULL, serve, NULL);
}

static int teardown(void **state)
{
    (void)state;
    atomic_store(&peer.stop, 1);
    pthread_join(peer.thread, NULL);
    close(peer.listener);
    return 0;
}

static struct remote *open_peer(enum behaviour behaviour, const atomic_int *cancel)
{
    struct remote *remote;
    struct error error = {0};
    struct remote_options options = {.url = peer.url, .allow_local = true, .cancel = cancel};
    peer.behaviour = behaviour;
    if (remote_open(&options, &remote, &error))
        fail_msg("%s", error.message);
    assert_string_equal(remote_model(remote), "peer");
    return remote;
}

static const struct remote_run two_tokens = {.scenario = {.kind = SCENARIO_DECODE, .prompt_tokens = 5},
                                             .max_tokens = 2,
                                             .temperature = NAN,
                                             .timeout_ms = 300};

static void expect_timeout(enum behaviour behaviour)
{
    struct sample sample;
    struct remote *remote = open_peer(behaviour, NULL);
    uint64_t start_ns = clock_now_ns();
    assert_int_equal(remote_do(remote, &two_tokens, &sample, NULL), 0);
    assert_int_equal(sample.outcome, OUTCOME_TIMEOUT);
    assert_true(sample.message[0]);
    assert_true(isnan(sample.value[METRIC_DECODE_TPS]));
    assert_true(clock_now_ns() - start_ns < 20000000000u); /* 0.3 s on a quiet machine */
    sample_free(&sample);
    remote_close(remote);
}

static void never_answers(void **state)
{
    (void)state;
    expect_timeout(SILENT);
}

static void drips(void **state)
{
    (void)state;
    expect_timeout(DRIP);
}

static void stops_midway(void **state)
{
    (void)state;
    expect_timeout(STOP_MIDWAY);
}

static int ignore(void *context, const char *bytes, size_t length, uint64_t now_ns, struct error *error)
{
    (void)context, (void)bytes, (void)length, (void)now_ns, (void)error;
    return 0;
}

/* Bytes come all the time, and none of them is news. */
static void stalls(void **state)
{
    (void)state;
    struct net_client *client;
    peer.behaviour = SILENT;
    atomic_store(&peer.requests, 1);
    assert_int_equal(net_client_open(peer.url, true, NULL, &client, NULL), 0);
    struct net_exchange exchange = {
        .path = "/v1/x", .max_body = 1 << 20, .timeout_ms = 60000, .stall_ms = 100, .on_body = ignore};
    assert_int_equal(net_client_run(client, &exchange, NULL), 0);
    assert_true(exchange.timed_out && exchange.stalled);
    assert_int_equal(exchange.problem.code, ERROR_LIMIT);
    assert_non_null(strstr(exchange.problem.message, "nothing came"));
    net_exchange_free(&exchange);
    net_client_close(client);
}

static void *raise_soon(void *flag)
{
    nap(100);
    atomic_store((atomic_int *)flag, 1);
    return NULL;
}

static void cancelled(void **state)
{
    (void)state;
    atomic_int cancel = 0;
    pthread_t thread;
    struct sample sample;
    struct remote_run run = two_tokens;
    struct remote *remote = open_peer(DRIP, &cancel);
    run.timeout_ms = 60000;
    pthread_create(&thread, NULL, raise_soon, &cancel);
    uint64_t start_ns = clock_now_ns();
    assert_int_equal(remote_do(remote, &run, &sample, NULL), ERROR_CANCELLED);
    assert_true(clock_now_ns() - start_ns < 20000000000u);
    pthread_join(thread, NULL);
    remote_close(remote);
}

/* One connection for the list of models and for every request after it. */
static void keeps_its_connection(void **state)
{
    (void)state;
    struct remote *remote = open_peer(PROPER, NULL);
    struct remote_run run = two_tokens;
    run.timeout_ms = 30000;
    for (int i = 0; i < 3; i++) {
        struct sample sample;
        assert_int_equal(remote_do(remote, &run, &sample, NULL), 0);
        assert_string_equal(sample.message, "");
        assert_int_equal(sample.outcome, OUTCOME_OK);
        assert_int_equal(sample.generated_tokens, 2);
        assert_int_equal(sample.prompt_tokens, 9);
        sample_free(&sample);
    }
    assert_int_equal(atomic_load(&peer.connections), 1);
    json_t *info = remote_info(remote);
    assert_string_equal(json_string_value(json_object_get(info, "tokens_counted_by")), "usage");
    json_decref(info);
    remote_close(remote);
}

static void *one_of_many(void *remote)
{
    struct remote_run run = two_tokens;
    struct sample sample;
    run.timeout_ms = 30000;
    for (int i = 0; i < 10; i++) {
        if (remote_do(remote, &run, &sample, NULL) || sample.outcome != OUTCOME_OK)
            return remote;
        sample_free(&sample);
    }
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    void *failed;
    struct remote *remote = open_peer(PROPER, NULL);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, one_of_many, remote);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    remote_close(remote);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(never_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(drips, setup, teardown),
        cmocka_unit_test_setup_teardown(stops_midway, setup, teardown),
        cmocka_unit_test_setup_teardown(stalls, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_its_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
