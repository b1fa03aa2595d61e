#include "profile/probe.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "profile/bandwidth.h"

enum {
    PASS_BYTES = 256 << 20, /* at most, in one pass, unless that would fit into the cache */
    MIN_PASSES = 3,
    MAX_PASSES = 4096,
    PROBE_NS = 25 * 1000 * 1000
};

struct span {
    const uint8_t *data;
    size_t length;
};

struct probe {
    struct span *spans;
    size_t n_spans;
    uint64_t total_bytes, pass_bytes;
    uint32_t n_threads;
    enum probe_level level;
    bool warm;
};

/* ---- what there is to read ---- */

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->data > y->data) - (x->data < y->data);
}

static void add_weight(struct probe *probe, const struct weight *weight)
{
    if (!weight || !weight->data)
        return;
    struct span *span = &probe->spans[probe->n_spans++];
    span->data = weight->data;
    span->length = (size_t)weight->n_experts * weight->rows * weight->row_bytes;
}

static void collect(struct probe *probe, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        if (op->kind == PLAN_LINEAR)
            add_weight(probe, op->linear.weight);
        if (op->kind == PLAN_EXPERTS) {
            add_weight(probe, op->experts.gate);
            add_weight(probe, op->experts.up);
            add_weight(probe, op->experts.down);
        }
    }
    if (probe->n_spans == 0)
        return;
    qsort(probe->spans, probe->n_spans, sizeof *probe->spans, compare_spans);
    size_t kept = 0;
    for (size_t i = 0; i < probe->n_spans; i++)
        if (kept == 0 || probe->spans[i].data != probe->spans[kept - 1].data)
            probe->spans[kept++] = probe->spans[i];
    probe->n_spans = kept;
    for (size_t i = 0; i < kept; i++)
        probe->total_bytes += probe->spans[i].length;
}

int probe_open(const struct plan *plan, uint32_t n_threads, uint64_t cache_bytes, struct probe **out,
               struct error *error)
{
    *out = NULL;
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe)
        probe->spans = calloc(3 * (size_t)plan->n_ops + 1, sizeof *probe->spans);
    if (!probe || !probe->spans) {
        probe_close(probe);
        return error_memory(error, "the bandwidth probe", plan->n_ops * sizeof(struct span));
    }
    collect(probe, plan);
    if (probe->total_bytes == 0) {
        probe_close(probe);
        return error_set(error, ERROR_INVALID, "the model has no weights to read");
    }
    probe->n_threads = n_threads ? n_threads : 1;
    /* a pass must be much larger than the cache, or as large as the weights are */
    uint64_t wanted = cache_bytes > PASS_BYTES / 4 ? 4 * cache_bytes : PASS_BYTES;
    probe->pass_bytes = probe->total_bytes < wanted ? probe->total_bytes : wanted;
    probe->level = !cache_bytes                           ? PROBE_UNKNOWN
                   : probe->total_bytes <= cache_bytes    ? PROBE_CACHE
                   : probe->total_bytes / 2 < cache_bytes ? PROBE_MIXED
                                                          : PROBE_MEMORY;
    *out = probe;
    return 0;
}

void probe_close(struct probe *probe)
{
    if (!probe)
        return;
    free(probe->spans);
    free(probe);
}

uint64_t probe_span_bytes(const struct probe *probe)
{
    return probe->total_bytes;
}

const char *probe_level_name(enum probe_level level)
{
    static const char *const names[] = {"unknown", "memory", "cache", "mixed"};
    return names[level];
}

/* ---- reading ---- */

/* Bytes [from, to) of all spans laid one after another. */
static uint64_t read_range(const struct probe *probe, uint64_t from, uint64_t to)
{
    uint64_t at = 0, mixed = 0;
    for (size_t i = 0; i < probe->n_spans && at < to; i++) {
        uint64_t end = at + probe->spans[i].length;
        if (end > from) {
            uint64_t first = from > at ? from - at : 0;
            uint64_t last = to < end ? to - at : end - at;
            mixed ^= bandwidth_read(probe->spans[i].data + first, (size_t)(last - first));
        }
        at = end;
    }
    return mixed;
}

/* All threads meet here before and after each pass. Spinning, because a pass takes a fraction of a
 * millisecond and a wake-up would be part of what is timed; yielding, because there may be fewer cores than
 * threads. */
struct meeting {
    atomic_uint arrived, round;
    uint32_t n;
};

static void meet(struct meeting *meeting)
{
    unsigned round = atomic_load(&meeting->round);
    if (atomic_fetch_add(&meeting->arrived, 1) + 1 == meeting->n) {
        atomic_store(&meeting->arrived, 0);
        atomic_fetch_add(&meeting->round, 1);
        return;
    }
    for (unsigned spins = 0; atomic_load(&meeting->round) == round; spins++)
        if (spins > 2000)
            sched_yield();
}

struct reader {
    const struct probe *probe;
    struct meeting *meeting;
    const atomic_bool *stop;
    uint32_t index, n;
    uint64_t mixed; /* keeps the compiler from leaving the reads out */
    pthread_t thread;
};

static void read_part(struct reader *reader)
{
    uint64_t bytes = reader->probe->pass_bytes;
    reader->mixed ^=
        read_range(reader->probe, bytes * reader->index / reader->n, bytes * (reader->index + 1) / reader->n);
}

static void *reader_main(void *context)
{
    struct reader *reader = context;
    for (;;) {
        meet(reader->meeting);
        if (atomic_load(reader->stop))
            return NULL;
        read_part(reader);
        meet(reader->meeting);
    }
}

static void time_passes(struct probe *probe, struct reader *own, struct probe_result *out)
{
    uint64_t begin = clock_now_ns();
    double best = NAN;
    while (out->passes < MAX_PASSES && (out->passes < MIN_PASSES || clock_now_ns() - begin < PROBE_NS)) {
        meet(own->meeting);
        uint64_t start = clock_now_ns();
        read_part(own);
        meet(own->meeting);
        uint64_t ns = clock_now_ns() - start;
        if (!probe->warm) { /* the first pass of all brings the pages in */
            probe->warm = true;
            begin = clock_now_ns();
            continue;
        }
        out->passes++;
        double gbps = ns ? (double)probe->pass_bytes / (double)ns : NAN;
        if (isnan(best) || gbps > best)
            best = gbps;
    }
    out->gbps = best;
}

void probe_run(struct probe *probe, struct probe_result *out)
{
    *out = (struct probe_result){.gbps = NAN, .pass_bytes = probe->pass_bytes, .level = probe->level};
    struct meeting meeting = {.n = probe->n_threads};
    atomic_bool stop = false;
    struct reader *readers = calloc(probe->n_threads, sizeof *readers);
    if (!readers)
        return;
    for (uint32_t i = 0; i < probe->n_threads; i++)
        readers[i] = (struct reader){
            .probe = probe, .meeting = &meeting, .stop = &stop, .index = i, .n = probe->n_threads};
    uint32_t started = 1; /* the caller is reader 0 */
    while (started < probe->n_threads &&
           pthread_create(&readers[started].thread, NULL, reader_main, &readers[started]) == 0)
        started++;
    if (started == probe->n_threads) {
        time_passes(probe, &readers[0], out);
        atomic_store(&stop, true);
        meet(&meeting);
    } else {
        /* Not enough threads: let those that are there go, measure nothing. They wait for n arrivals. */
        atomic_store(&stop, true);
        for (uint32_t i = started; i < probe->n_threads; i++)
            atomic_fetch_add(&meeting.arrived, 1);
        meet(&meeting);
    }
    for (uint32_t i = 1; i < started; i++)
        pthread_join(readers[i].thread, NULL);
    free(readers);
}
