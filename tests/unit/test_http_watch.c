/* The watchman on real sockets, with limits short enough to wait for. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/watch.h"
#include "platform/clock.h"

enum { PATIENCE_MS = 30000 };

/* A TCP connection over the loopback interface: ours and the client's end. */
struct pair {
    int ours, theirs;
};

static struct pair connect_pair(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct pair pair;
    int listening = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &size), 0);
    pair.theirs = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(pair.theirs, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_int_equal(connect(pair.theirs, (struct sockaddr *)&address, sizeof address), 0);
    pair.ours = accept(listening, NULL, NULL);
    assert_true(pair.ours >= 0);
    setsockopt(pair.ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    close(listening);
    return pair;
}

static void nap(int ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000L};
    nanosleep(&time, NULL);
}

static void count(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void wait_for_count(atomic_int *counter)
{
    for (int ms = 0; atomic_load(counter) == 0; ms += 10) {
        assert_true(ms < PATIENCE_MS);
        nap(10);
    }
}

/* Was it cut: does our own end read the end of the connection? */
static void wait_until_cut(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;
    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

static struct watcher *open_watcher(struct watch_limits limits)
{
    struct watcher *watcher = NULL;
    struct error error;
    assert_int_equal(watcher_open(&limits, &watcher, &error), 0);
    return watcher;
}

static void tells_who_left(void **state)
{
    (void)state;
    struct watcher *watcher = open_watcher((struct watch_limits){0});
    for (int way = 0; way < 3; way++) {
        struct pair pair = connect_pair();
        struct watch_connection *connection = watch_add(watcher, pair.ours);
        atomic_int gone = 0;
        assert_int_equal(send(pair.theirs, "pipelined", 9, 0), 9); /* unread bytes are no sign of life */
        watch_enter(connection, WATCH_EXCHANGE);
        assert_int_equal(watch_busy(watcher), 1);
        watch_set(connection, count, &gone);
        nap(250);
        assert_int_equal(atomic_load(&gone), 0);
        const struct linger reset = {.l_onoff = 1, .l_linger = 0};
        if (way == 0)
            shutdown(pair.theirs, SHUT_WR);
        else {
            if (way == 1)
                setsockopt(pair.theirs, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            close(pair.theirs);
        }
        wait_for_count(&gone);
        nap(250);
        assert_int_equal(atomic_load(&gone), 1); /* once */
        watch_set(connection, count, &gone);     /* who asks later is told too */
        for (int ms = 0; atomic_load(&gone) < 2; ms += 10) {
            assert_true(ms < PATIENCE_MS);
            nap(10);
        }
        watch_remove(connection);
        assert_int_equal(watch_busy(watcher), 0);
        close(pair.ours);
        if (way == 0)
            close(pair.theirs);
    }
    watcher_close(watcher);
}

static void slow_count(void *context)
{
    nap(200);
    count(context);
}

static void clear_waits_for_the_call(void **state)
{
    (void)state;
    struct watcher *watcher = open_watcher((struct watch_limits){0});
    struct pair pair = connect_pair();
    struct watch_connection *connection = watch_add(watcher, pair.ours);
    for (int i = 0; i < 5; i++) {
        atomic_int gone = 0;
        watch_enter(connection, WATCH_EXCHANGE);
        shutdown(pair.theirs, SHUT_WR);
        watch_set(connection, slow_count, &gone);
        nap(30 + 40 * i);
        watch_clear(connection);
        int then = atomic_load(&gone); /* either not called, or done with it */
        nap(350);
        assert_int_equal(atomic_load(&gone), then);
    }
    watch_remove(connection);
    close(pair.ours);
    close(pair.theirs);
    watcher_close(watcher);
}

static void cuts_the_slow(void **state)
{
    (void)state;
    struct watcher *watcher = open_watcher(
        (struct watch_limits){.first_head_ms = 300, .next_head_ms = 300, .body_ms = 300, .unread_ms = 600});
    for (int phase = 0; phase < 3; phase++) {
        struct pair pair = connect_pair();
        struct watch_connection *connection = watch_add(watcher, pair.ours);
        uint64_t start = clock_now_ns();
        if (phase > 0)
            watch_enter(connection, WATCH_BODY);
        if (phase > 1)
            watch_enter(connection, WATCH_HEAD);
        wait_until_cut(pair.ours);
        assert_true(clock_now_ns() - start > UINT64_C(250000000));
        watch_remove(connection);
        close(pair.ours);
        close(pair.theirs);
    }
    watcher_close(watcher);
}

static void cuts_who_does_not_read(void **state)
{
    (void)state;
    struct watcher *watcher = open_watcher((struct watch_limits){.unread_ms = 600});
    struct pair idle = connect_pair(), full = connect_pair();
    struct watch_connection *quiet = watch_add(watcher, idle.ours), *stuck = watch_add(watcher, full.ours);
    atomic_int gone_quiet = 0, gone_stuck = 0;
    watch_enter(quiet, WATCH_EXCHANGE);
    watch_enter(stuck, WATCH_EXCHANGE);
    watch_set(quiet, count, &gone_quiet);
    watch_set(stuck, count, &gone_stuck);
    char bytes[4096] = {0};
    while (send(full.ours, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ; /* until nothing fits any more */
    wait_for_count(&gone_stuck);
    assert_int_equal(atomic_load(&gone_quiet), 0); /* nothing to read is no reason */
    watch_dismiss(watcher);
    wait_for_count(&gone_quiet); /* but the end of the server is */
    watch_remove(quiet);
    watch_remove(stuck);
    close(idle.ours), close(idle.theirs), close(full.ours), close(full.theirs);
    watcher_close(watcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_who_left), cmocka_unit_test(clear_waits_for_the_call),
        cmocka_unit_test(cuts_the_slow), cmocka_unit_test(cuts_who_does_not_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
