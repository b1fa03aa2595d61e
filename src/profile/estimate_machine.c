#include "profile/estimate_machine.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/budget.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "profile/json_put.h"

/* The last pace of this process. */
static struct {
    pthread_mutex_t lock;
    bool known;
    uint64_t taken_ns, bytes;
    char isa[24];
    struct pace pace;
} last = {.lock = PTHREAD_MUTEX_INITIALIZER};

static double age_s(void)
{
    return (double)(clock_now_ns() - last.taken_ns) / 1e9;
}

/* Under last.lock. */
static int take(const char *isa, uint32_t n_threads, uint64_t bytes, struct error *error)
{
    struct pacer *pacer;
    uint64_t most = pace_default_bytes();
    struct pace_options options = {
        .n_threads = n_threads, .isa = isa, .bytes = bytes && bytes < most ? bytes : most};
    int status = pacer_open(&options, &pacer, error);
    if (status)
        return status;
    pacer_take(pacer, 0, &last.pace);
    pacer_close(pacer);
    last.known = true;
    last.taken_ns = clock_now_ns();
    last.bytes = options.bytes;
    snprintf(last.isa, sizeof last.isa, "%s", isa ? isa : "");
    return 0;
}

static bool serves(const char *isa, uint32_t n_threads)
{
    return last.known && last.pace.n_threads == n_threads && strcmp(last.isa, isa ? isa : "") == 0;
}

static bool wants_measuring(const char *isa, uint32_t n_threads, enum estimate_pace how, uint64_t bytes)
{
    uint64_t most = pace_default_bytes();
    bool reaches = last.bytes >= (bytes && bytes < most ? bytes : most);
    return how == ESTIMATE_PACE_NOW || (how == ESTIMATE_PACE_RECENT && !(serves(isa, n_threads) && reaches &&
                                                                         age_s() < ESTIMATE_PACE_RECENT_S));
}

static void read_pace(const char *isa, enum estimate_pace how, uint64_t bytes, struct estimate_machine *out)
{
    struct error error = {0};
    pthread_mutex_lock(&last.lock);
    int status =
        wants_measuring(isa, out->n_threads, how, bytes) ? take(isa, out->n_threads, bytes, &error) : 0;
    if (!status && serves(isa, out->n_threads) && age_s() < ESTIMATE_PACE_AGE_S) {
        out->pace = last.pace;
        out->pace_age_s = age_s();
        out->paced = true;
    }
    pthread_mutex_unlock(&last.lock);
    if (out->paced)
        return;
    out->paced = out->calibrated;
    out->pace = out->calibration.pace;
    out->pace_age_s = NAN;
    snprintf(out->pace_reason, sizeof out->pace_reason, "%.200s",
             status ? error.message
                    : "how fast this machine reads was not measured yet: ask for one model's estimate");
}

void estimate_machine_read(const char *isa, uint32_t n_threads, enum estimate_pace how, uint64_t bytes,
                           struct estimate_machine *out)
{
    struct memory_machine memory;
    memset(out, 0, sizeof *out);
    out->n_threads = n_threads ? n_threads : cpu_usable_threads();
    memory_machine_read(&memory);
    out->memory_bytes = memory.known ? memory.total_bytes : UINT64_MAX;
    if (memory.known && memory.limit_bytes && memory.limit_bytes < out->memory_bytes)
        out->memory_bytes = memory.limit_bytes;
    out->available_bytes = budget_available_bytes();
    out->calibrated = calibration_load(isa, out->n_threads, &out->calibration, out->calibration_reason,
                                       sizeof out->calibration_reason);
    read_pace(isa, how, bytes, out);
}

json_t *estimate_machine_json(const struct estimate_machine *machine)
{
    json_t *o = json_object();
    json_put_bool(o, "calibrated", machine->calibrated);
    json_put_string(o, "calibrated_at", machine->calibrated ? machine->calibration.measured : NULL,
                    machine->calibration_reason);
    if (machine->paced)
        json_object_set_new(o, "pace", pace_json(&machine->pace));
    else
        json_put_null(o, "pace", machine->pace_reason);
    json_put_number(o, "pace_age_s", machine->pace_age_s,
                    machine->paced ? "not measured now: it is that of the calibration"
                                   : machine->pace_reason);
    json_put_integer(o, "threads", machine->n_threads);
    if (machine->memory_bytes < UINT64_MAX)
        json_put_integer(o, "memory_bytes", machine->memory_bytes);
    else
        json_put_null(o, "memory_bytes", "this system does not tell");
    if (machine->available_bytes < UINT64_MAX)
        json_put_integer(o, "available_bytes", machine->available_bytes);
    else
        json_put_null(o, "available_bytes", "this system does not tell");
    return o;
}
