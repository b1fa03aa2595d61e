/* Temperature and power of the processor packages.
 *
 * Temperature: /sys/class/hwmon/hwmonN with the name of a driver of processors (Documentation/hwmon of the
 * kernel): its package sensor where it has one, else the hottest core; on boards without, the thermal zones
 * that are named after the processor. A zone of the board ("acpitz") is not the processor and is not taken.
 *
 * Power: RAPL's energy counters under /sys/class/powercap (intel-rapl, which serves AMD too), one per
 * package. Since CVE-2020-8694 most kernels show them to root only.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "platform/sensors_internal.h"
#include "platform/small_file.h"

enum { ENTRIES_MAX = 4096 }; /* of one folder */

static bool join(char *out, const char *folder, const char *name)
{
    int length = snprintf(out, SENSORS_PATH, "%s/%s", folder, name);
    return length > 0 && length < SENSORS_PATH;
}

static bool read_in(const char *folder, const char *name, char *out, size_t capacity)
{
    char path[SENSORS_PATH];
    return join(path, folder, name) && small_file_read(path, out, capacity);
}

/* Calls use(context, path of the entry, its name) for the entries that begin with a prefix. */
static void each_entry(const char *folder, const char *prefix,
                       void (*use)(void *context, const char *path, const char *name), void *context)
{
    DIR *directory = opendir(folder);
    if (!directory)
        return;
    const struct dirent *item;
    for (int i = 0; i < ENTRIES_MAX && (item = readdir(directory)); i++) {
        char path[SENSORS_PATH];
        if (strncmp(item->d_name, prefix, strlen(prefix)) == 0 && join(path, folder, item->d_name))
            use(context, path, item->d_name);
    }
    closedir(directory);
}

/* ---- temperature ---- */

/* Thousandths of a degree, possibly below zero. What no processor survives is a broken sensor. */
static bool read_celsius(const char *path, double *celsius)
{
    char text[32], *end;
    if (!small_file_read(path, text, sizeof text))
        return false;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < -60000 || value > 150000)
        return false;
    *celsius = (double)value / 1000;
    return true;
}

struct thermal_search {
    struct sensors_thermal *out;
    int best;              /* rank of what is in out */
    int device;            /* best rank of the device that is being looked at */
    const char *driver;    /* its name */
    uint32_t device_start; /* its first input in out */
};

static void take(struct thermal_search *search, const char *path, const char *driver, const char *label)
{
    struct sensors_thermal *out = search->out;
    if (out->n_inputs == SENSORS_INPUTS)
        return;
    snprintf(out->inputs[out->n_inputs++], SENSORS_PATH, "%s", path);
    if (!out->source[0])
        snprintf(out->source, sizeof out->source, "%s%s%s", driver, label[0] ? ": " : "", label);
}

/* Tctl of the older Ryzens is Tdie plus up to 27 degrees, so Tdie comes first. */
static int label_rank(const char *label, const char *name)
{
    if (strncasecmp(label, "Package id", 10) == 0 || strcasecmp(label, "Tdie") == 0)
        return 4;
    if (strcasecmp(label, "Tctl") == 0)
        return 3;
    return !label[0] && strcmp(name, "temp1_input") == 0 ? 2 : 1;
}

/* Keeps of one device all inputs of its best rank. */
static void use_input(void *context, const char *path, const char *name)
{
    struct thermal_search *search = context;
    char label_path[SENSORS_PATH], label[64] = "";
    double ignored;
    size_t stem = strlen(path);
    if (stem < 6 || strcmp(path + stem - 6, "_input") != 0 || !read_celsius(path, &ignored))
        return;
    if (snprintf(label_path, sizeof label_path, "%.*s_label", (int)(stem - 6), path) < SENSORS_PATH)
        (void)small_file_read(label_path, label, sizeof label);
    int rank = label_rank(label, name);
    if (rank < search->device)
        return;
    if (rank > search->device) {
        search->out->n_inputs = search->device_start;
        if (search->device_start == 0)
            search->out->source[0] = '\0';
        search->device = rank;
    }
    take(search, path, search->driver, label);
}

static void use_hwmon(void *context, const char *path, const char *name)
{
    (void)name;
    static const char *const drivers[] = {"coretemp", "k10temp",     "zenpower",
                                          "k8temp",   "via_cputemp", "cpu_thermal"};
    struct thermal_search *search = context;
    char driver[32];
    if (!read_in(path, "name", driver, sizeof driver))
        return;
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        if (strcmp(driver, drivers[i]) != 0)
            continue;
        search->device = 0;
        search->driver = driver;
        search->device_start = search->out->n_inputs;
        each_entry(path, "temp", use_input, search);
        search->driver = NULL;
    }
}

static void use_zone(void *context, const char *path, const char *name)
{
    (void)name;
    struct thermal_search *search = context;
    char type[64], input[SENSORS_PATH];
    double ignored;
    if (!read_in(path, "type", type, sizeof type) || !join(input, path, "temp") ||
        !read_celsius(input, &ignored))
        return;
    int rank =
        strcasestr(type, "cpu") || strcmp(type, "x86_pkg_temp") == 0 ? 2 : strcasestr(type, "soc") != 0;
    if (rank == 0 || rank < search->best)
        return;
    if (rank > search->best) {
        search->out->n_inputs = 0;
        search->out->source[0] = '\0';
        search->best = rank;
    }
    take(search, input, "thermal zone", type);
}

void sensors_thermal_find(const char *root, struct sensors_thermal *out)
{
    memset(out, 0, sizeof *out);
    struct thermal_search search = {.out = out};
    char folder[SENSORS_PATH];
    if (snprintf(folder, sizeof folder, "%s/sys/class/hwmon", root) < SENSORS_PATH)
        each_entry(folder, "hwmon", use_hwmon, &search);
    if (out->n_inputs == 0 && snprintf(folder, sizeof folder, "%s/sys/class/thermal", root) < SENSORS_PATH)
        each_entry(folder, "thermal_zone", use_zone, &search);
    if (out->n_inputs == 0)
        snprintf(out->reason, sizeof out->reason,
                 "no temperature sensor: neither /sys/class/hwmon nor /sys/class/thermal has one for the CPU "
                 "(virtual machines seldom do)");
}

void sensors_thermal_read(const struct sensors_thermal *thermal, struct sensors_value *out)
{
    if (thermal->n_inputs == 0) {
        sensors_unknown(out, "%s", thermal->reason);
        return;
    }
    double hottest = 0, here;
    uint32_t n = 0;
    for (uint32_t i = 0; i < thermal->n_inputs; i++)
        if (read_celsius(thermal->inputs[i], &here)) {
            hottest = n == 0 || here > hottest ? here : hottest;
            n++;
        }
    if (n > 0)
        sensors_know(out, hottest);
    else
        sensors_unknown(out, "the temperature sensor (%s) gives no sensible figure", thermal->source);
}

/* ---- power ---- */

static bool read_counter(const char *path, uint64_t *value)
{
    char text[32];
    return small_file_read(path, text, sizeof text) && small_file_number(text, value, NULL);
}

/* "intel-rapl:0" is a package, "intel-rapl:0:0" a part of it that is counted in it. */
static void use_package(void *context, const char *path, const char *name)
{
    struct sensors_energy *out = context;
    const char *number = strchr(name, ':');
    char kind[64], range[SENSORS_PATH], input[SENSORS_PATH];
    if (!number || strchr(number + 1, ':') || !read_in(path, "name", kind, sizeof kind) ||
        strncmp(kind, "package", 7) != 0 || out->n_packages == SENSORS_INPUTS)
        return;
    if (!join(input, path, "energy_uj") || !join(range, path, "max_energy_range_uj"))
        return;
    uint64_t value;
    if (!read_counter(input, &value)) {
        snprintf(
            out->reason, sizeof out->reason,
            "the processor counts its energy, but this user may not read it (%.60s/energy_uj: most kernels "
            "show it to root only)",
            strstr(path, "/sys/class") ? strstr(path, "/sys/class") : path);
        return;
    }
    uint32_t i = out->n_packages++;
    snprintf(out->inputs[i], SENSORS_PATH, "%s", input);
    if (!read_counter(range, &out->range_uj[i]))
        out->range_uj[i] = 0;
}

void sensors_energy_find(const char *root, struct sensors_energy *out)
{
    memset(out, 0, sizeof *out);
    char folder[SENSORS_PATH];
    if (snprintf(folder, sizeof folder, "%s/sys/class/powercap", root) < SENSORS_PATH)
        each_entry(folder, "intel-rapl:", use_package, out);
    if (out->reason[0])
        out->n_packages = 0; /* a sum without one of the packages would be wrong */
    else if (out->n_packages == 0)
        snprintf(out->reason, sizeof out->reason,
                 "no energy counter: /sys/class/powercap has no package (virtual machines seldom do)");
}

void sensors_energy_read(struct sensors_energy *energy, uint64_t now_ns, struct sensors_value *out)
{
    if (energy->n_packages == 0) {
        sensors_unknown(out, "%s", energy->reason);
        return;
    }
    uint64_t now_uj[SENSORS_INPUTS] = {0};
    double joules = 0;
    for (uint32_t i = 0; i < energy->n_packages; i++) {
        if (!read_counter(energy->inputs[i], &now_uj[i])) {
            energy->has_last = false;
            sensors_unknown(out, "the energy counter of package %u cannot be read any more", (unsigned)i);
            return;
        }
        uint64_t last = energy->last_uj[i];
        uint64_t gone = now_uj[i] >= last             ? now_uj[i] - last
                        : energy->range_uj[i] >= last ? energy->range_uj[i] - last + now_uj[i]
                                                      : 0;
        joules += (double)gone / 1e6;
    }
    bool comparable = energy->has_last && now_ns > energy->last_ns;
    if (comparable)
        sensors_know(out, joules / ((double)(now_ns - energy->last_ns) / 1e9));
    else
        sensors_unknown(out, "power is the difference of two readings, and this is the first");
    memcpy(energy->last_uj, now_uj, energy->n_packages * sizeof *now_uj);
    energy->last_ns = now_ns;
    energy->has_last = true;
}
