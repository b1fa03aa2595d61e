/* Untried: no Mac has built this yet. macOS has no quotas and no stall accounting; it counts pages that come
 * back from swap, and what memory is free (vm_statistics64, xsw_usage of sysctl(3)). */
#include "platform/pressure.h"

#include <mach/mach.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "platform/memory.h"
#include "platform/sensors_internal.h"

struct pressure {
    uint64_t last_ns, swap_pages;
    bool has_swap;
};

int pressure_open(const char *root, struct pressure **out, struct error *error)
{
    (void)root;
    *out = calloc(1, sizeof **out);
    return *out ? 0 : error_memory(error, "the pressure gauges", sizeof **out);
}

void pressure_close(struct pressure *pressure)
{
    free(pressure);
}

static void read_swap_in(struct pressure *pressure, double seconds, struct sensors_value *out)
{
    vm_statistics64_data_t pages = {0};
    mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
    if (host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&pages, &count) != KERN_SUCCESS) {
        pressure->has_swap = false;
        sensors_unknown(out, "macOS does not tell of its pages");
        return;
    }
    if (pressure->has_swap && seconds > 0 && pages.swapins >= pressure->swap_pages)
        sensors_know(out, (double)(pages.swapins - pressure->swap_pages) * (double)sysconf(_SC_PAGESIZE) /
                              seconds);
    else
        sensors_unknown(out, "a rate needs two readings, and this is the first");
    pressure->has_swap = true;
    pressure->swap_pages = pages.swapins;
}

static void read_memory(struct pressure_levels *out)
{
    struct memory_machine machine;
    memory_machine_read(&machine);
    if (machine.known)
        sensors_know(&out->memory_available_bytes, (double)machine.available_bytes);
    else
        sensors_unknown(&out->memory_available_bytes, "macOS does not tell of its memory");
    struct xsw_usage swap = {0};
    size_t size = sizeof swap;
    if (!sysctlbyname("vm.swapusage", &swap, &size, NULL, 0)) {
        sensors_know(&out->swap_total_bytes, (double)swap.xsu_total);
        sensors_know(&out->swap_used_bytes, (double)swap.xsu_used);
    } else {
        sensors_unknown(&out->swap_total_bytes, "macOS does not tell of its swap");
        out->swap_used_bytes = out->swap_total_bytes;
    }
}

void pressure_read_rates(struct pressure *pressure, uint64_t now_ns, struct pressure_rates *out)
{
    memset(out, 0, sizeof *out);
    double seconds =
        pressure->last_ns && now_ns > pressure->last_ns ? (double)(now_ns - pressure->last_ns) / 1e9 : 0;
    sensors_know(&out->throttled_fraction, 0); /* what has no quota is not throttled by one */
    sensors_know(&out->throttled_s_per_s, 0);
    read_swap_in(pressure, seconds, &out->swap_in_bytes_per_s);
    pressure->last_ns = now_ns;
}

void pressure_read_levels(struct pressure *pressure, struct pressure_levels *out)
{
    (void)pressure;
    memset(out, 0, sizeof *out);
    sensors_unknown(&out->quota_cores, "macOS has no CPU quotas");
    sensors_unknown(&out->cpu, "macOS accounts for no stalls");
    out->memory = out->io = out->cpu;
    read_memory(out);
    double load;
    if (getloadavg(&load, 1) == 1)
        sensors_know(&out->load_1min, load);
    else
        sensors_unknown(&out->load_1min, "the system does not tell its load");
}
