/* Gauges of the machine the test runs on: what can be said about any machine, and what must move when we move
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <time.h>

#if defined(__linux__)
#include <sched.h>
#endif

#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/memory.h"

static void clocks_go_forward(void **state)
{
    (void)state;
    uint64_t before = clock_now_ns(), cpu_before = clock_thread_cpu_ns();
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    uint64_t slept = clock_now_ns() - before;
    assert_true(slept >= 20000000);
    volatile unsigned sink = 0;
    for (unsigned i = 0; i < 3000000; i++)
        sink += i;
    uint64_t cpu = clock_thread_cpu_ns() - cpu_before;
    assert_true(cpu > 0);
    assert_true(cpu < clock_now_ns() - before); /* sleeping costs no CPU time */
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now_ns();
        assert_true(now >= before);
        before = now;
    }
}

static void a_timed_wait_goes_by_the_same_clock(void **state)
{
    (void)state;
    pthread_cond_t condition;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    assert_int_equal(clock_cond_init(&condition), 0);
    uint64_t before = clock_now_ns();
    struct timespec until = clock_in_ms(1020), same = clock_at(before + UINT64_C(1020000000));
    assert_true(until.tv_nsec < 1000000000 && until.tv_sec - same.tv_sec <= 1);
    until = clock_in_ms(20);
    int failed = 0;
    pthread_mutex_lock(&lock);
    while (failed == 0)
        failed = clock_cond_wait(&condition, &lock, &until);
    pthread_mutex_unlock(&lock);
    assert_int_equal(failed, ETIMEDOUT);
    assert_true(clock_now_ns() - before >= 20000000);
    pthread_cond_destroy(&condition);
}

static void wall_clock_is_rfc3339(void **state)
{
    (void)state;
    char text[32];
    clock_wall_rfc3339(text, sizeof text);
    const char *shape = "dddd-dd-ddTdd:dd:ddZ";
    assert_int_equal(strlen(text), strlen(shape));
    for (size_t i = 0; shape[i]; i++)
        assert_true(shape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i]);
    assert_true(strcmp(text, "2026-01-01") > 0);
}

static void the_processor_is_known(void **state)
{
    (void)state;
    const struct cpu_info *cpu = cpu_info();
    assert_ptr_equal(cpu, cpu_info());
    assert_true(cpu->name[0] != '\0');
    assert_true(cpu->cores_online >= 1);
    assert_true(cpu->cores_allowed >= 1);
    assert_true(cpu->quota_cores >= 0);
    assert_true(cpu_usable_threads() >= 1);
    assert_true(cpu_usable_threads() <= cpu->cores_allowed);
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set))
        assert_int_equal(cpu->cores_allowed, CPU_COUNT(&set));
#endif
}

/* What the compiler's own runtime finds by CPUID must be what we find. */
static void instruction_sets_agree_with_the_compiler(void **state)
{
    (void)state;
#if defined(__x86_64__)
    const struct cpu_features *features = &cpu_info()->features;
    __builtin_cpu_init();
    assert_int_equal(features->avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    assert_int_equal(features->avx512,
                     __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                         __builtin_cpu_supports("avx512vnni"));
    assert_int_equal(features->avx512_vbmi, features->avx512 && __builtin_cpu_supports("avx512vbmi"));
    if (features->avx512_bf16)
        assert_true(features->avx512);
    assert_false(features->neon_dotprod);
#else
    assert_false(cpu_info()->features.avx2);
    assert_false(cpu_info()->features.avx512);
#endif
}

static void the_machine_has_memory(void **state)
{
    (void)state;
    struct memory_machine machine;
    memory_machine_read(&machine);
    if (!machine.known)
        skip();
    assert_true(machine.total_bytes > 64u << 20);
    assert_true(machine.available_bytes > 0);
    assert_true(machine.available_bytes <= machine.total_bytes);
}

static void touched_pages_are_counted(void **state)
{
    (void)state;
    enum { BYTES = 32 << 20, SLACK = 4 << 20 };
    struct memory_process before, during, after;
    memory_process_read(&before);
    if (!before.known)
        skip();
    unsigned char *memory = memory_map(BYTES);
    assert_non_null(memory);
    for (size_t i = 0; i < BYTES; i += 4096) {
        assert_int_equal(memory[i], 0);
        memory[i] = 1;
    }
    memory_process_read(&during);
    memory_unmap(memory, BYTES);
    memory_process_read(&after);
    assert_true(during.anonymous_bytes >= before.anonymous_bytes + BYTES - SLACK);
    assert_true(during.resident_bytes >= before.resident_bytes + BYTES - SLACK);
    assert_true(during.minor_faults > before.minor_faults);
    assert_true(after.resident_bytes <= during.resident_bytes - BYTES + SLACK);
    assert_true(after.resident_peak_bytes >= during.resident_bytes - SLACK);
}

/* The huge-page path reserves more than it keeps; what it keeps must be all of the range, and aligned. */
static void maps_of_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        1, 4095, 4096, 4097, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, (7 << 20) + 12345};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *memory = memory_map(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 4096, 0);
        memory[0] = 1;
        memory[sizes[i] - 1] = 1;
        memory_unmap(memory, sizes[i]);
    }
    assert_null(memory_map(0));
    assert_null(memory_map(SIZE_MAX));
    assert_null(memory_map(SIZE_MAX - (1 << 21)));
    memory_unmap(NULL, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_go_forward),
        cmocka_unit_test(a_timed_wait_goes_by_the_same_clock),
        cmocka_unit_test(wall_clock_is_rfc3339),
        cmocka_unit_test(the_processor_is_known),
        cmocka_unit_test(instruction_sets_agree_with_the_compiler),
        cmocka_unit_test(the_machine_has_memory),
        cmocka_unit_test(touched_pages_are_counted),
        cmocka_unit_test(maps_of_every_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
