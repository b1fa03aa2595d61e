/* The quota and the memory limit of recorded cgroup trees: tests/data/cgroup holds one folder per kind of
 * machine or container. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "platform/cpu.h"
#include "platform/memory.h"

static const struct {
    const char *tree;
    double cores;
    uint64_t bytes;
} cases[] = {
    {"v2", 1.5, UINT64_C(4) << 30},
    {"v2-nested", 2, UINT64_C(2) << 30},      /* the pod's limit is tighter than the box's own */
    {"v2-container", 0.5, UINT64_C(1) << 29}, /* own namespace: the mount's top is the group */
    {"v2-outside", 3, UINT64_C(1) << 30},     /* the path leaves the namespace */
    {"v1", 2.5, UINT64_C(3) << 30},
    {"v1-none", 0, 0},
    {"v1-container", 2, UINT64_C(1536) << 20}, /* the mount begins at the container's group */
    {"hybrid", 0.75, UINT64_C(256) << 20},
    {"none", 0, 0},
    {"garbage", 0, 0},
    {"no-such-tree", 0, 0},
};

static void recorded_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[1024];
        snprintf(root, sizeof root, "%s/tests/data/cgroup/%s", LLMIND_SOURCE_DIR, cases[i].tree);
        double cores = cpu_quota_cores(root);
        uint64_t bytes = memory_limit_bytes(root);
        if (cores != cases[i].cores || bytes != cases[i].bytes)
            fail_msg("%s: %g cores, %llu bytes", cases[i].tree, cores, (unsigned long long)bytes);
    }
}

static void threads_follow_the_quota(void **state)
{
    (void)state;
    assert_int_equal(cpu_threads_for(8, 0), 8);
    assert_int_equal(cpu_threads_for(8, 2), 2);
    assert_int_equal(cpu_threads_for(8, 1.5), 2);
    assert_int_equal(cpu_threads_for(8, 0.01), 1);
    assert_int_equal(cpu_threads_for(2, 64), 2);
    assert_int_equal(cpu_threads_for(0, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_trees),
        cmocka_unit_test(threads_follow_the_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
