/* Each ceiling is the best of a few short passes: what disturbs a pass only ever makes it slower, so the best
 * is nearest to what the machine can do, and the spread says how much it was disturbed. They are as short as
 * a time slice allows: on a busy machine a pass of a millisecond may still be left alone. A first one brings
 * caches and frequency up and is thrown away.
 */
#include "profile/ceilings.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/cpu/peak.h"
#include "base/version.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "platform/setup.h"
#include "profile/bandwidth.h"
#include "profile/ceilings_cache.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/stats.h"
#include "profile/team.h"

enum {
    PASSES = 24,
    MIN_PASSES = 6,
    CONFIRMING = 3,
    PASS_NS = 1000 * 1000,        /* about, of a peak and of a cache read */
    BUDGET_NS = 40 * 1000 * 1000, /* of all passes of one figure */
    MIB = 1 << 20,
    METHOD_MAX = 320
};
#define SLICE_BYTES ((uint64_t)32 * MIB) /* of memory, in one pass */
#define MEMORY_BYTES_MIN ((uint64_t)128 * MIB)
#define MEMORY_BYTES_MAX ((uint64_t)1024 * MIB)

struct measuring {
    struct team *team;
    const atomic_int *cancel;
    struct peak peak;
    uint64_t cache_bytes,
        core_cache_bytes; /* of the last level, all of it; of level 2 of one core; 0: unknown */
    uint8_t *memory;
    uint64_t memory_bytes;
    uint32_t slices, slice; /* memory is read a slice a pass, in turn */
    uint64_t core_part;     /* what a thread reads of the cache */
    uint32_t repeats;       /* of a cache part, or rounds of a peak, in one pass */
    atomic_uint mixed;      /* what was read and computed: nobody may leave it out */
};

static bool cancelled(const struct measuring *measuring)
{
    return measuring->cancel && atomic_load(measuring->cancel);
}

/* ---- what a pass does ---- */

static void mix(struct measuring *measuring, uint64_t value)
{
    atomic_fetch_xor_explicit(&measuring->mixed, (unsigned)(value ^ value >> 32), memory_order_relaxed);
}

/* Bytes other than zero, written by the thread that will read them: each in its own node's memory, and no
 * page of zeros that all share. */
static void fill_memory(void *context, uint32_t index, uint32_t n)
{
    struct measuring *measuring = context;
    uint64_t from = measuring->memory_bytes * index / n, to = measuring->memory_bytes * (index + 1) / n;
    memset(measuring->memory + from, (int)(index % 255) + 1, (size_t)(to - from));
}

/* The present slice of the thread's own part. */
static void read_memory(void *context, uint32_t index, uint32_t n)
{
    struct measuring *measuring = context;
    uint64_t from = measuring->memory_bytes * index / n, to = measuring->memory_bytes * (index + 1) / n;
    uint64_t bytes = (to - from) / measuring->slices;
    mix(measuring, bandwidth_read(measuring->memory + from + bytes * measuring->slice, (size_t)bytes));
}

static void read_cache(void *context, uint32_t index, uint32_t n)
{
    struct measuring *measuring = context;
    const uint8_t *part = measuring->memory + measuring->memory_bytes * index / n;
    for (uint32_t i = 0; i < measuring->repeats; i++)
        mix(measuring, bandwidth_read(part, (size_t)measuring->core_part));
}

static void compute_int8(void *context, uint32_t index, uint32_t n)
{
    struct measuring *measuring = context;
    (void)index;
    (void)n;
    mix(measuring, measuring->peak.int8.run(measuring->repeats));
}

static void compute_f32(void *context, uint32_t index, uint32_t n)
{
    struct measuring *measuring = context;
    (void)index;
    (void)n;
    mix(measuring, measuring->peak.f32.run(measuring->repeats));
}

/* ---- passes ---- */

struct figure {
    double samples[PASSES];
    size_t n;
    double best;
};

static uint64_t time_alone(team_work *work, struct measuring *measuring)
{
    uint64_t start = clock_now_ns();
    work(measuring, 0, 1);
    uint64_t ns = clock_now_ns() - start;
    return ns > 0 ? ns : 1;
}

/* amount: bytes or operations of a pass of all threads, so that amount / ns is in 1e9 a second. */
static void time_passes(struct measuring *measuring, bool alone, team_work *work, double amount,
                        struct figure *out)
{
    *out = (struct figure){.best = NAN};
    uint64_t start = clock_now_ns();
    for (int pass = 0; pass <= PASSES && !cancelled(measuring); pass++) {
        uint64_t ns = alone ? time_alone(work, measuring) : team_time(measuring->team, work, measuring);
        measuring->slice = measuring->slices ? (measuring->slice + 1) % measuring->slices : 0;
        if (pass == 0)
            continue; /* warms up */
        double rate = amount / (double)ns;
        out->samples[out->n++] = rate;
        if (!(rate <= out->best))
            out->best = rate;
        if (out->n >= MIN_PASSES && clock_now_ns() - start > BUDGET_NS)
            break;
    }
}

/* Repeats that fill a pass, found with a small number of them. */
static void choose_repeats(struct measuring *measuring, team_work *work, uint32_t few)
{
    measuring->repeats = few;
    (void)time_alone(work, measuring); /* warms up */
    double repeats = (double)few * PASS_NS / (double)time_alone(work, measuring);
    measuring->repeats = repeats < 1 ? 1 : repeats > 1e8 ? 100000000 : (uint32_t)repeats;
}

/* ---- one ceiling as JSON ---- */

static void put_ceiling(json_t *root, const char *name, const char *unit, const struct figure *all,
                        double one_thread, const char *method, const char *reason)
{
    json_t *ceiling = json_put_object(root, name);
    struct stats stats = {.cv = NAN};
    if (all->n > 0)
        (void)stats_compute(all->samples, all->n, &stats);
    json_put_number(ceiling, "value", all->best, reason);
    json_put_number(ceiling, "one_thread", one_thread, reason);
    json_put_string(ceiling, "unit", unit, "");
    json_put_number(ceiling, "cv", stats.cv, reason ? reason : "a spread needs two passes");
    json_t *samples = json_put_array(ceiling, "samples");
    for (size_t i = 0; i < all->n; i++)
        json_array_append_new(samples, json_real(all->samples[i]));
    json_put_string(ceiling, "method", method, "");
    if (reason)
        json_put_string(ceiling, "reason", reason, "");
}

static void put_unknown(json_t *root, const char *name, const char *method, const char *reason)
{
    put_ceiling(root, name, "GB/s", &(struct figure){.best = NAN}, NAN, method, reason);
}

static void measure_both(struct measuring *measuring, team_work *work, double amount, double amount_alone,
                         struct figure *all, double *one_thread)
{
    time_passes(measuring, false, work, amount, all);
    *one_thread = all->best;
    if (team_size(measuring->team) > 1) {
        struct figure alone;
        time_passes(measuring, true, work, amount_alone, &alone);
        *one_thread = alone.best;
    }
}

static void measure_peak(struct measuring *measuring, json_t *root, const char *name,
                         const struct peak_loop *loop, team_work *work)
{
    struct figure all;
    double one_thread;
    char method[METHOD_MAX];
    uint32_t n = team_size(measuring->team);
    choose_repeats(measuring, work, 2000);
    double alone = loop->ops_per_round * measuring->repeats;
    measure_both(measuring, work, alone * n, alone, &all, &one_thread);
    snprintf(method, sizeof method,
             "%s on registers, %u thread%s; best of %zu passes of about %d ms; a multiply-add is 2",
             loop->instructions, (unsigned)n, n == 1 ? "" : "s", all.n, PASS_NS / 1000000);
    put_ceiling(root, name, "Gop/s", &all, one_thread, method, NULL);
}

/* ---- memory ---- */

/* Of the last level; 0: unknown. A sanitizer watches every byte that is read: a gigabyte of them would take
 * minutes, and what is measured is no figure of the machine in any case, so that its builds believe in a
 * small cache. */
static uint64_t cache_of_machine(void)
{
    uint64_t bytes = cpu_info()->last_level_cache_bytes;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    if (bytes > 32 * MIB)
        bytes = 32 * MIB;
#endif
    return bytes;
}

/* Four times the cache, so that hardly any of it is still there when it is read again; less where that would
 * be too much. 0: there is not room for twice the cache. */
static uint64_t choose_memory(uint64_t cache_bytes)
{
    struct memory_machine machine;
    memory_machine_read(&machine);
    uint64_t available = machine.known ? machine.available_bytes : MEMORY_BYTES_MAX;
    if (machine.limit_bytes && machine.limit_bytes < available)
        available = machine.limit_bytes;
    uint64_t room = available / 4, bytes = 4 * cache_bytes;
    if (bytes > MEMORY_BYTES_MAX)
        bytes = 2 * cache_bytes > MEMORY_BYTES_MAX ? 2 * cache_bytes : MEMORY_BYTES_MAX;
    if (bytes < MEMORY_BYTES_MIN)
        bytes = MEMORY_BYTES_MIN;
    if (bytes > room)
        bytes = room;
    return bytes >= 2 * cache_bytes ? bytes / MIB * MIB : 0;
}

static void measure_memory(struct measuring *measuring, json_t *root)
{
    struct figure all;
    double one_thread;
    char method[METHOD_MAX], cache[64] = "whose size is not known";
    uint32_t n = team_size(measuring->team);
    if (measuring->cache_bytes)
        snprintf(cache, sizeof cache, "of %.3g MiB", (double)measuring->cache_bytes / MIB);
    snprintf(method, sizeof method,
             "sequential reads of %" PRIu64
             " MiB (last-level cache %s), %u thread%s, each its own part; best "
             "of short passes, each over one of %" PRIu32 " slices",
             measuring->memory_bytes / MIB, cache, (unsigned)n, n == 1 ? "" : "s", measuring->slices);
    if (!measuring->memory) {
        put_unknown(root, "memory_read", method,
                    "there is not enough free memory for twice the last-level cache");
        return;
    }
    (void)team_time(measuring->team, fill_memory, measuring);
    double bytes = (double)measuring->memory_bytes / measuring->slices;
    measure_both(measuring, read_memory, bytes, bytes, &all, &one_thread);
    put_ceiling(root, "memory_read", "GB/s", &all, one_thread, method, NULL);
}

/* Half of the thread's share of the last-level cache, if that is much more than its core's own level 2; else
 * so much more than level 2 that most of it has to come from the last level. */
static uint64_t choose_cache_part(const struct measuring *measuring)
{
    uint64_t share = measuring->cache_bytes / team_size(measuring->team);
    uint64_t core = measuring->core_cache_bytes, part = share / 2;
    if (part < 2 * core)
        part = 2 * core <= share ? 2 * core : core + share / 2;
    return part;
}

static void measure_cache(struct measuring *measuring, json_t *root)
{
    static const char unknown[] = "sequential reads of a part of the last-level cache";
    uint32_t n = team_size(measuring->team);
    if (!measuring->cache_bytes || !measuring->memory) {
        put_unknown(root, "cache_read", unknown,
                    measuring->cache_bytes ? "there was no memory to measure with"
                                           : "the system does not tell the size of the last-level cache");
        return;
    }
    measuring->core_part = choose_cache_part(measuring);
    if (measuring->core_part == 0 || measuring->core_part > measuring->memory_bytes / n) {
        put_unknown(root, "cache_read", unknown,
                    "the caches of this machine are too small or too large to tell "
                    "them apart");
        return;
    }
    struct figure all;
    double one_thread;
    char method[METHOD_MAX], core[80] = "";
    choose_repeats(measuring, read_cache, 1);
    if (measuring->core_cache_bytes)
        snprintf(core, sizeof core, ", %.3g times the level 2 cache of a core",
                 (double)measuring->core_part / (double)measuring->core_cache_bytes);
    double alone = (double)measuring->core_part * measuring->repeats;
    measure_both(measuring, read_cache, alone * n, alone, &all, &one_thread);
    snprintf(method, sizeof method,
             "sequential reads of %.3g MiB by each of %u thread%s, again and again (last-level cache of %.3g "
             "MiB%s); best of %zu passes",
             (double)measuring->core_part / MIB, (unsigned)n, n == 1 ? "" : "s",
             (double)measuring->cache_bytes / MIB, core, all.n);
    put_ceiling(root, "cache_read", "GB/s", &all, one_thread, method, NULL);
}

/* ---- */

static json_t *measure(struct measuring *measuring)
{
    char now[32];
    json_t *root = json_object();
    clock_wall_rfc3339(now, sizeof now);
    json_put_string(root, "measured", now, "");
    json_put_integer(root, "n_threads", team_size(measuring->team));
    json_put_string(root, "isa", measuring->peak.isa, "");
    measure_peak(measuring, root, "int8", &measuring->peak.int8, compute_int8);
    measure_peak(measuring, root, "f32", &measuring->peak.f32, compute_f32);
    measuring->memory_bytes = choose_memory(measuring->cache_bytes);
    measuring->slices = (uint32_t)(measuring->memory_bytes / SLICE_BYTES);
    if (measuring->slices == 0)
        measuring->slices = 1;
    measuring->memory = memory_map((size_t)measuring->memory_bytes);
    measure_memory(measuring, root);
    measure_cache(measuring, root);
    memory_unmap(measuring->memory, (size_t)measuring->memory_bytes);
    if (json_object_size(root) >= 7) /* all are there */
        return root;
    json_decref(root);
    return NULL;
}

/* A best that two further passes come near to is what the machine can do; one that stands alone is luck or a
 * glitch beside somebody else's work, and is told but not kept. */
static bool is_confirmed(const json_t *ceiling)
{
    double samples[PASSES];
    size_t n = json_get_numbers(ceiling, "samples", "", samples, PASSES);
    stats_sort(samples, n);
    return n >= CONFIRMING && samples[n - CONFIRMING] >= 0.9 * samples[n - 1];
}

static bool is_steady(const json_t *ceilings)
{
    static const char *const names[] = {"memory_read", "cache_read", "int8", "f32"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *ceiling = json_get_object(ceilings, names[i]);
        if (!json_get(ceiling, "reason") && !is_confirmed(ceiling))
            return false;
    }
    return true;
}

static void write_key(char *out, size_t capacity, const char *isa, uint32_t n_threads)
{
    const struct cpu_info *cpu = cpu_info();
    const char *commit = version_commit();
    snprintf(out, capacity, "%s, %u of %u cores, quota %.2f, %u threads, %s, %s %s", cpu->name,
             (unsigned)cpu->cores_allowed, (unsigned)cpu->cores_online, cpu->quota_cores, (unsigned)n_threads,
             isa, version_number(), commit ? commit : "");
}

const char *ceilings_arithmetic(const char *quantization, bool precise)
{
    static const char *const integers[] = {"-bit", "mxfp4", "nvfp4"};
    for (size_t i = 0; !precise && quantization && i < sizeof integers / sizeof *integers; i++)
        if (strstr(quantization, integers[i]))
            return "int8";
    return precise || quantization ? "f32" : "int8";
}

int ceilings_measure(const struct ceilings_options *options, json_t **out, struct error *error)
{
    *out = NULL;
    struct measuring measuring = {.cancel = options->cancel, .cache_bytes = cache_of_machine()};
    struct setup setup;
    char key[512];
    uint32_t n = options->n_threads ? options->n_threads : cpu_usable_threads();
    if (!peak_find(options->isa, &measuring.peak))
        return error_set(error, ERROR_INVALID, "isa: this machine has no '%.40s'", options->isa);
    write_key(key, sizeof key, measuring.peak.isa, n);
    int64_t now_s = (int64_t)time(NULL);
    if (!options->again)
        *out = ceilings_recall(key, now_s);
    if (*out)
        return 0;
    setup_read("", &setup);
    measuring.core_cache_bytes = setup.core_cache_bytes.known ? (uint64_t)setup.core_cache_bytes.value : 0;
    int status = team_open(n, &measuring.team, error);
    if (status)
        return status;
    *out = measure(&measuring);
    team_close(measuring.team);
    if (!*out)
        return error_memory(error, "the ceilings", 0);
    if (cancelled(&measuring)) {
        json_decref(*out);
        *out = NULL;
        return error_set(error, ERROR_CANCELLED, "cancelled");
    }
    if (is_steady(*out))
        ceilings_remember(key, now_s, *out);
    return 0;
}
