#include "profile/pace.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "backend/cpu/peak.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "profile/bandwidth.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/stats.h"
#include "profile/team.h"
#include "profile/trial.h"

enum { COMPUTE_NS = 2 * 1000 * 1000, MAX_PASSES = 24, MIB = 1 << 20 };

static const uint64_t amounts[] = {4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB};
enum { N_AMOUNTS = sizeof amounts / sizeof *amounts };

struct pacer {
    struct team *team;
    struct peak peak;
    struct trial_pool own;
    const uint8_t *pool;
    uint64_t bytes, span; /* of the pool; of the present pass */
    uint32_t rounds;      /* of the loop in one pass of computing */
    atomic_uint mixed;    /* what was read and computed: nobody may leave it out */
};

static void mix(struct pacer *pacer, uint64_t value)
{
    atomic_fetch_xor_explicit(&pacer->mixed, (unsigned)(value ^ value >> 32), memory_order_relaxed);
}

static void read_part(void *context, uint32_t index, uint32_t n)
{
    struct pacer *pacer = context;
    uint64_t from = pacer->span * index / n, to = pacer->span * (index + 1) / n;
    mix(pacer, bandwidth_read(pacer->pool + from, (size_t)(to - from)));
}

static void compute(void *context, uint32_t index, uint32_t n)
{
    struct pacer *pacer = context;
    (void)index;
    (void)n;
    mix(pacer, pacer->peak.int8.run(pacer->rounds));
}

uint64_t pace_default_bytes(void)
{
    struct memory_machine machine;
    memory_machine_read(&machine);
    uint64_t bytes = 2 * cpu_info()->last_level_cache_bytes, room = (uint64_t)256 * MIB;
    if (machine.known)
        room = machine.available_bytes / 4;
    if (machine.known && machine.limit_bytes && machine.limit_bytes / 4 < room)
        room = machine.limit_bytes / 4;
    if (bytes < (uint64_t)256 * MIB)
        bytes = (uint64_t)256 * MIB;
    if (bytes > (uint64_t)1024 * MIB)
        bytes = (uint64_t)1024 * MIB;
    if (bytes > room)
        bytes = room;
    return bytes > 4 * MIB ? bytes / MIB * MIB : 4 * MIB;
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
        status = team_open(options->n_threads ? options->n_threads : cpu_usable_threads(), &pacer->team, error);
    if (!status && !pacer->pool) {
        status = trial_pool_open(pacer->bytes, false, &pacer->own, error);
        pacer->pool = pacer->own.data;
    }
    if (status) {
        pacer_close(pacer);
        return status;
    }
    pacer->rounds = 2000;
    (void)team_time(pacer->team, compute, pacer);
    double rounds = 2000.0 * COMPUTE_NS / (double)team_time(pacer->team, compute, pacer);
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

double pacer_read(struct pacer *pacer, uint64_t bytes)
{
    pacer->span = bytes < pacer->bytes ? bytes : pacer->bytes;
    return (double)pacer->span / (double)team_time(pacer->team, read_part, pacer);
}

double pacer_compute(struct pacer *pacer)
{
    double operations = pacer->peak.int8.ops_per_round * pacer->rounds * team_size(pacer->team);
    return operations / (double)team_time(pacer->team, compute, pacer);
}

static void take_point(struct pacer *pacer, uint64_t bytes, struct pace *out)
{
    double passes[MAX_PASSES];
    /* small amounts are read quickly: more passes, of about as much time together */
    uint32_t n = bytes <= 16 * MIB ? MAX_PASSES : bytes <= 64 * MIB ? 12 : bytes <= 256 * MIB ? 5 : 4;
    struct stats stats;
    (void)pacer_read(pacer, bytes); /* warms up */
    for (uint32_t i = 0; i < n; i++)
        passes[i] = pacer_read(pacer, bytes);
    (void)stats_compute(passes, n, &stats);
    out->points[out->n_points++] =
        (struct pace_point){.bytes = bytes, .gbps = stats.median, .low = stats.q1, .high = stats.q3};
}

void pacer_take(struct pacer *pacer, uint64_t bytes, struct pace *out)
{
    double passes[MAX_PASSES];
    struct stats stats;
    *out = (struct pace){.n_threads = team_size(pacer->team)};
    if (bytes == 0 || bytes > pacer->bytes)
        bytes = pacer->bytes;
    for (uint32_t i = 0; i < N_AMOUNTS && amounts[i] < bytes; i++)
        take_point(pacer, amounts[i], out);
    take_point(pacer, bytes, out);
    for (uint32_t i = 0; i < MAX_PASSES; i++)
        passes[i] = pacer_compute(pacer);
    (void)stats_compute(passes, MAX_PASSES, &stats);
    out->gops = stats.median;
    out->gops_low = stats.q1;
    out->gops_high = stats.q3;
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
        json_array_append_new(list, json_pack("{s:I, s:f, s:f, s:f}", "bytes", (json_int_t)point->bytes, "gbps",
                                              point->gbps, "low", point->low, "high", point->high));
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
