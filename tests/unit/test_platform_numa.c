/* Where memory lies and threads run: a machine of two sockets and a node of memory alone, written after
 * numa(7) and proc(5), and what is no such machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "platform/numa.h"

static struct sensors_value remote(const char *machine, pid_t pid)
{
    struct numa *numa;
    struct sensors_value value;
    char root[1024];
    snprintf(root, sizeof root, "%s/tests/data/machines/%s", LLMIND_SOURCE_DIR, machine);
    assert_int_equal(numa_open(root, &numa, NULL), 0);
    numa_read_remote(numa, pid, &value);
    numa_close(numa);
    return value;
}

static void unknown(struct sensors_value value, const char *because)
{
    if (value.known || !strstr(value.reason, because))
        fail_msg("%g, '%s' does not say '%s'", value.value, value.reason, because);
}

/* One of three running threads on node 0, two on node 1; 3056, 4896 and 240 KiB on nodes 0, 1 and 2. */
static void threads_and_pages(void **state)
{
    (void)state;
    struct sensors_value value = remote("sockets/0", 77);
    if (!value.known)
        fail_msg("%s", value.reason);
    assert_true(fabs(value.value - (5.0 / 9 - (3056.0 / 3 + 4896.0 * 2 / 3) / 8192)) < 1e-12);
    value = remote("sockets/0", 81); /* all threads here, all pages there */
    assert_true(value.known && value.value == 1);
    value = remote("sockets/0", 82); /* both spread alike */
    assert_true(value.known && value.value == 0);
}

static void what_is_not_known(void **state)
{
    (void)state;
    unknown(remote("sockets/0", 78), "no thread");           /* it waits */
    unknown(remote("sockets/0", 79), "where the process's"); /* another user's */
    unknown(remote("sockets/0", 80), "no thread");           /* it is gone */
    unknown(remote("sockets/0", 0), "no process");
    unknown(remote("nowhere", 77), "no memory nodes");
}

/* This machine, whatever it is. */
static void here(void **state)
{
    (void)state;
    struct numa *numa;
    struct sensors_value value;
    assert_int_equal(numa_open("", &numa, NULL), 0);
    numa_read_remote(numa, 1, &value);
    assert_true(value.known ? value.value >= 0 && value.value <= 1 : value.reason[0] != '\0');
    numa_close(numa);
    numa_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_and_pages),
                                       cmocka_unit_test(what_is_not_known), cmocka_unit_test(here)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
