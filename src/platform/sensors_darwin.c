/* Untried: no Mac has built this yet. The time of each processor is told to everybody
 * (host_processor_info(3) of Mach); temperatures and power to root only (powermetrics), frequencies to
 * nobody: these are unknown here, with that reason. */
#include "platform/sensors.h"

#include <mach/mach.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "platform/sensors_internal.h"
#include "platform/sensors_power_darwin.h"

enum { MAX_CORES = 256 };

struct ticks {
    bool known;
    uint64_t total, idle;
};

struct sensors_cpu {
    struct ticks all, core[MAX_CORES]; /* of the reading before */
    struct sensors_core cores[MAX_CORES];
    uint32_t n_cores;
    struct apple_energy *energy; /* NULL: no_energy says why */
    char no_energy[SENSORS_REASON];
};

int sensors_cpu_open(const char *root, struct sensors_cpu **out, struct error *error)
{
    (void)root;
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_memory(error, "the sensors", sizeof **out);
    (*out)->energy = apple_energy_open((*out)->no_energy);
    return 0;
}

void sensors_cpu_close(struct sensors_cpu *sensors)
{
    if (sensors)
        apple_energy_close(sensors->energy);
    free(sensors);
}

/* NaN when no time has passed. */
static double busy_since(const struct ticks *before, const struct ticks *now)
{
    if (!before->known || !now->known || now->total <= before->total || now->idle < before->idle)
        return NAN;
    return 1 - (double)(now->idle - before->idle) / (double)(now->total - before->total);
}

static void add_core(struct sensors_cpu *sensors, const processor_cpu_load_info_data_t *load,
                     struct ticks *all)
{
    struct ticks now = {.known = true, .idle = load->cpu_ticks[CPU_STATE_IDLE]};
    for (int state = 0; state < CPU_STATE_MAX; state++)
        now.total += load->cpu_ticks[state];
    uint32_t id = sensors->n_cores++;
    sensors->cores[id] = (struct sensors_core){id, busy_since(&sensors->core[id], &now), NAN};
    sensors->core[id] = now;
    all->known = true;
    all->total += now.total;
    all->idle += now.idle;
}

static void read_time(struct sensors_cpu *sensors, struct sensors_cpu_reading *out)
{
    natural_t n = 0;
    processor_info_array_t info = NULL;
    mach_msg_type_number_t count = 0;
    struct ticks all = {0};
    sensors->n_cores = 0;
    if (host_processor_info(mach_host_self(), PROCESSOR_CPU_LOAD_INFO, &n, &info, &count) == KERN_SUCCESS) {
        const processor_cpu_load_info_data_t *loads = (const processor_cpu_load_info_data_t *)info;
        for (natural_t i = 0; i < n && i < MAX_CORES; i++)
            add_core(sensors, &loads[i], &all);
        vm_deallocate(mach_task_self(), (vm_address_t)info, count * sizeof *info);
    }
    double busy = busy_since(&sensors->all, &all);
    if (!isnan(busy))
        sensors_know(&out->busy, busy);
    else if (!all.known)
        sensors_unknown(&out->busy, "macOS does not tell the time of its processors");
    else
        sensors_unknown(&out->busy, "a share of time needs two readings, and this is the first");
    sensors->all = all;
}

void sensors_cpu_read_counters(struct sensors_cpu *sensors, uint64_t now_ns, struct sensors_cpu_reading *out)
{
    sensors_cpu_read(sensors, now_ns, out); /* there is nothing that costs more */
}

void sensors_cpu_read(struct sensors_cpu *sensors, uint64_t now_ns, struct sensors_cpu_reading *out)
{
    memset(out, 0, sizeof *out);
    read_time(sensors, out);
    sensors_unknown(&out->steal, "macOS tells of no hypervisor that takes time away");
    sensors_unknown(&out->cgroup_cores, "macOS has no control groups");
    sensors_unknown(&out->mhz, "macOS tells no frequency");
    sensors_unknown(&out->temperature_c, "macOS tells temperatures to root only (powermetrics)");
    if (sensors->energy)
        apple_energy_read(sensors->energy, now_ns, &out->power_w);
    else
        sensors_unknown(&out->power_w, "%s", sensors->no_energy);
    out->cores = sensors->cores;
    out->n_cores = sensors->n_cores;
}
