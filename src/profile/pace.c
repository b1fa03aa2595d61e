#include "profile/pace.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "backend/cpu/peak.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "profile/bandwidth.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/stats.h"
#include "profile/team.h"
#include "profile/trial.h"

enum { COMPUTE_NS = 2 * 1000 * 1000, MAX_PASSES = 96, LEAST_PASSES = 3, PIECES = 64 };

#define MIB (UINT64_C(1) << 20)

#define WINDOW_NS 70e6 /* of one amount */

static const uint64_t amounts[] = {4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB};
enum { N_AMOUNTS = sizeof amounts / sizeof *amounts };

struct pacer {
    struct team *team;
    struct peak peak;
    struct trial_pool own;
    const uint8_t *pool;
    uint64_t bytes, span;          /* of the pool; of the present pass */
    uint32_t rounds;               /* of the loop in one piece of a pass of computing */
    atomic_uint next;              /* piece of the present pass */
    atomic_uint_fast64_t start_ns; /* of its first piece: whoever takes that may not be the caller */
    atomic_uint mixed;             /* what was read and computed: nobody may leave it out */
};

static void mix(struct pacer *pacer, uint64_t value)
{
    atomic_fetch_xor_explicit(&pacer->mixed, (unsigned)(value ^ value >> 32), memory_order_relaxed);
}

/* A piece of the present pass; false: there is none left. */
static bool claim(struct pacer *pacer, uint64_t *piece)
{
    *piece = atomic_fetch_add(&pacer->next, 1);
    if (*piece == 0)
        atomic_store(&pacer->start_ns, clock_now_ns());
    return *piece < PIECES;
}

static double time_pass(struct pacer *pacer, team_work *work)
{
    atomic_store(&pacer->next, 0);
    (void)team_time(pacer->team, work, pacer);
    return fmax(1, (double)(clock_now_ns() - atomic_load(&pacer->start_ns)));
}

static void read_pieces(void *context, uint32_t index, uint32_t n)
{
    struct pacer *pacer = context;
    (void)index;
    (void)n;
    for (uint64_t piece; claim(pacer, &piece);) {
        uint64_t from = pacer->span * piece / PIECES, to = pacer->span * (piece + 1) / PIECES;
        mix(pacer, bandwidth_read(pacer->pool + from, (size_t)(to - from)));
    }
}

static void compute(void *context, uint32_t index, uint32_t n)
{
    struct pacer *pacer = context;
    (void)index;
    (void)n;
    for (uint64_t piece; claim(pacer, &piece);)
        mix(pacer, pacer->peak.int8.run(pacer->rounds));
}

uint64_t pace_default_bytes(void)
{
    struct memory_machine machine;
    memory_machine_read(&machine);
    const uint64_t least = 4 * MIB;
    uint64_t bytes = 2 * cpu_info()->last_level_cache_bytes, room = 256 * MIB;
    if (machine.known)
        room = machine.available_bytes / 4;
    if (machine.known && machine.limit_bytes && machine.limit_bytes / 4 < room)
        room = machine.limit_bytes / 4;
    if (bytes < 256 * MIB)
        bytes = 256 * MIB;
    if (bytes > 1024 * MIB)
        bytes = 1024 * MIB;
    if (bytes > room)
        bytes = room;
    return bytes > least ? bytes / MIB * MIB : least;
}

int pacer_open(const struct pace_options *options, struct pacer **out, struct error *error)
{
    *out = NULL;
    struct pacer *pacer = calloc(1, sizeof *pacer);
    if (!pacer)
        return error_memory(error, "the pace of this machine", sizeof *pacer);
    pacer->bytes = options->bytes ? options->bytes : pace_default_bytes();
    pacer->pool = options->pool;
    int status = 0;
    if (!peak_find(options->isa, &pacer->peak))
        status = error_set(error, ERROR_INVALID, "isa: this machine has no '%.40s'", options->isa);
    if (!status)
        status =
            team_open(options->n_threads ? options->n_threads : cpu_usable_threads(), &pacer->team, error);
    if (!status && !pacer->pool) {
        status = trial_pool_open(pacer->bytes, false, &pacer->own, error);
        pacer->pool = pacer->own.data;
    }
    if (status) {
        pacer_close(pacer);
        return status;
    }
    pacer->rounds = 1000;
    (void)pacer_compute_ns(pacer);
    double rounds = pacer->rounds * (COMPUTE_NS / pacer_compute_ns(pacer));
    pacer->rounds = rounds < 1 ? 1 : rounds > 1e8 ? 100000000 : (uint32_t)rounds;
    *out = pacer;
    return 0;
}

void pacer_close(struct pacer *pacer)
{
    if (!pacer)
        return;
    team_close(pacer->team);
    trial_pool_close(&pacer->own);
    free(pacer);
}

double pacer_read_ns(struct pacer *pacer, uint64_t bytes)
{
    pacer->span = bytes < pacer->bytes ? bytes : pacer->bytes;
    return time_pass(pacer, read_pieces);
}

double pacer_compute_ns(struct pacer *pacer)
{
    return time_pass(pacer, compute);
}

double pacer_compute_ops(const struct pacer *pacer)
{
    return pacer->peak.int8.ops_per_round * pacer->rounds * PIECES;
}

/* Passes that are repeated for a while: amount by time, and how it spreads. */
struct rate {
    double passes[MAX_PASSES], ns;
    uint32_t n;
};

static void add_pass(struct rate *rate, double amount, double ns)
{
    if (rate->n < MAX_PASSES)
        rate->passes[rate->n++] = amount / ns;
    rate->ns += ns;
}

static void finish_rate(const struct rate *rate, double amount, double *mean, double *low, double *high)
{
    struct stats stats;
    *mean = amount * rate->n / rate->ns;
    *low = *high = *mean;
    if (stats_compute(rate->passes, rate->n, &stats)) {
        *low = fmin(stats.q1, *mean);
        *high = fmax(stats.q3, *mean);
    }
}

static void take_point(struct pacer *pacer, uint64_t bytes, struct rate *computing, struct pace *out)
{
    struct rate reading = {.n = 0};
    struct pace_point *point = &out->points[out->n_points++];
    (void)pacer_read_ns(pacer, bytes); /* warms up */
    while (reading.n < LEAST_PASSES || (reading.ns < WINDOW_NS && reading.n < MAX_PASSES)) {
        add_pass(&reading, (double)bytes, pacer_read_ns(pacer, bytes));
        if (reading.n % 4 == 0 && computing->n < MAX_PASSES) /* both see the same moments */
            add_pass(computing, pacer_compute_ops(pacer), pacer_compute_ns(pacer));
    }
    point->bytes = bytes;
    finish_rate(&reading, (double)bytes, &point->gbps, &point->low, &point->high);
}

void pacer_take(struct pacer *pacer, uint64_t bytes, struct pace *out)
{
    enum { LEAST_COMPUTING = 48 };
    struct rate computing = {.n = 0};
    *out = (struct pace){.n_threads = team_size(pacer->team)};
    if (bytes == 0 || bytes > pacer->bytes)
        bytes = pacer->bytes;
    for (uint32_t i = 0; i < N_AMOUNTS && amounts[i] < bytes; i++)
        take_point(pacer, amounts[i], &computing, out);
    take_point(pacer, bytes, &computing, out);
    while (computing.n < LEAST_COMPUTING)
        add_pass(&computing, pacer_compute_ops(pacer), pacer_compute_ns(pacer));
    finish_rate(&computing, pacer_compute_ops(pacer), &out->gops, &out->gops_low, &out->gops_high);
}

static double point_gbps(const struct pace_point *point, int which)
{
    return which < 0 ? point->low : which > 0 ? point->high : point->gbps;
}

double pace_gbps(const struct pace *pace, double bytes, int which)
{
    if (pace->n_points == 0)
        return NAN;
    const struct pace_point *points = pace->points;
    uint32_t i = 0;
    while (i < pace->n_points && (double)points[i].bytes < bytes)
        i++;
    if (i == 0 || i == pace->n_points)
        return point_gbps(&points[i ? i - 1 : 0], which);
    double from = log((double)points[i - 1].bytes), to = log((double)points[i].bytes);
    double share = (log(bytes) - from) / (to - from);
    return exp((1 - share) * log(point_gbps(&points[i - 1], which)) +
               share * log(point_gbps(&points[i], which)));
}

json_t *pace_json(const struct pace *pace)
{
    json_t *o = json_object();
    json_put_integer(o, "n_threads", pace->n_threads);
    json_t *list = json_put_array(o, "read");
    for (uint32_t i = 0; i < pace->n_points; i++) {
        const struct pace_point *point = &pace->points[i];
        json_array_append_new(list, json_pack("{s:I, s:f, s:f, s:f}", "bytes", (json_int_t)point->bytes,
                                              "gbps", point->gbps, "low", point->low, "high", point->high));
    }
    json_put_number(o, "int8_gops", pace->gops, "not measured");
    json_put_number(o, "int8_gops_low", pace->gops_low, "not measured");
    json_put_number(o, "int8_gops_high", pace->gops_high, "not measured");
    return o;
}

/* A rate that a machine can have. */
static bool is_rate(double value)
{
    return value > 1e-3 && value < 1e9;
}

bool pace_from_json(const json_t *json, struct pace *out)
{
    *out = (struct pace){.n_threads = (uint32_t)json_get_integer(json, "n_threads", 1, 1024, 0)};
    const json_t *list = json_get_array(json, "read");
    size_t n = json_get_count(list, "");
    if (out->n_threads == 0 || n == 0 || n > PACE_MAX_POINTS)
        return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_get_item(list, i);
        struct pace_point *point = &out->points[out->n_points++];
        *point = (struct pace_point){.gbps = json_get_positive(item, "gbps"),
                                     .low = json_get_positive(item, "low"),
                                     .high = json_get_positive(item, "high")};
        double bytes = json_get_positive(item, "bytes");
        if (!is_rate(point->gbps) || !is_rate(point->low) || !is_rate(point->high) ||
            !(bytes >= 4096 && bytes < 1e13))
            return false;
        point->bytes = (uint64_t)bytes;
        if (i && point->bytes <= out->points[i - 1].bytes)
            return false;
    }
    out->gops = json_get_positive(json, "int8_gops");
    out->gops_low = json_get_positive(json, "int8_gops_low");
    out->gops_high = json_get_positive(json, "int8_gops_high");
    return is_rate(out->gops) && is_rate(out->gops_low) && is_rate(out->gops_high);
}
