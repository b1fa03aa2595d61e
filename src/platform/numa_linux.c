/* /sys/devices/system/node/nodeN/cpulist (ABI/stable/sysfs-devices-node), /proc/PID/numa_maps (numa(7)) and
 * /proc/PID/task/TID/stat (proc(5)). */
#include "platform/numa.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/sensors_internal.h"
#include "platform/small_file.h"

/* Fields of /proc/PID/task/TID/stat in stat(5)'s own count; the name in field 2 may hold spaces and brackets.
 */
enum { MAX_CPUS = 8192, MAX_NODES = 64, NO_NODE = 255, FIELD_STATE = 3, FIELD_CPU = 39 };

struct numa {
    char *root;
    uint32_t n_nodes;
    uint8_t node_of[MAX_CPUS];
};

/* ---- nodes ---- */

static void read_node(struct numa *numa, const char *folder, unsigned node)
{
    char path[SENSORS_PATH], list[4096];
    size_t low, high;
    snprintf(path, sizeof path, "%s/node%u/cpulist", folder, node);
    const char *at = small_file_read(path, list, sizeof list) ? list : ""; /* a node may have no processor */
    while (small_file_range(&at, MAX_CPUS, &low, &high))
        for (size_t cpu = low; cpu <= high; cpu++)
            numa->node_of[cpu] = (uint8_t)node;
    numa->n_nodes++;
}

static void read_nodes(struct numa *numa)
{
    char folder[SENSORS_PATH / 2];
    int length = snprintf(folder, sizeof folder, "%s/sys/devices/system/node", numa->root);
    DIR *list = length > 0 && (size_t)length < sizeof folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    memset(numa->node_of, NO_NODE, sizeof numa->node_of);
    while (list && (entry = readdir(list))) {
        uint64_t node;
        if (strncmp(entry->d_name, "node", 4) == 0 && small_file_number(entry->d_name + 4, &node, NULL) &&
            node < MAX_NODES)
            read_node(numa, folder, (unsigned)node);
    }
    if (list)
        closedir(list);
}

int numa_open(const char *root, struct numa **out, struct error *error)
{
    struct numa *numa = *out = calloc(1, sizeof *numa);
    if (numa)
        numa->root = strdup(root);
    if (!numa || !numa->root) {
        numa_close(numa);
        *out = NULL;
        return error_memory(error, "the machine's memory nodes", sizeof *numa);
    }
    read_nodes(numa);
    return 0;
}

void numa_close(struct numa *numa)
{
    if (numa)
        free(numa->root);
    free(numa);
}

/* ---- a process ---- */

/* Adds the pages of one mapping: "... N0=10 N1=6 kernelpagesize_kB=4". Changes the line. */
static void count_pages(char *line, double kilobytes[MAX_NODES])
{
    static const char page_size[] = "kernelpagesize_kB=";
    uint64_t pages[MAX_NODES] = {0}, size = 4, node, n;
    char *rest;
    for (char *word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        char *equals = word[0] == 'N' ? strchr(word, '=') : NULL;
        if (equals) {
            *equals = '\0';
            if (small_file_number(word + 1, &node, NULL) && node < MAX_NODES &&
                small_file_number(equals + 1, &n, NULL))
                pages[node] = n;
        } else if (strncmp(word, page_size, sizeof page_size - 1) == 0) {
            (void)small_file_number(word + sizeof page_size - 1, &size, NULL);
        }
    }
    for (size_t i = 0; i < MAX_NODES; i++)
        kilobytes[i] += (double)pages[i] * (double)size;
}

/* False when the process has no memory, or none that it is allowed to look at. */
static bool read_memory(const struct numa *numa, pid_t pid, double kilobytes[MAX_NODES], double *total)
{
    char path[SENSORS_PATH], *line = NULL;
    size_t capacity = 0;
    *total = 0;
    int length = snprintf(path, sizeof path, "%s/proc/%d/numa_maps", numa->root, (int)pid);
    FILE *maps = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    if (!maps)
        return false;
    while (getline(&line, &capacity, maps) >= 0)
        count_pages(line, kilobytes);
    free(line);
    fclose(maps);
    for (size_t i = 0; i < MAX_NODES; i++)
        *total += kilobytes[i];
    return *total > 0;
}

/* The node of the processor that a thread is running on; NO_NODE when it is waiting. */
static unsigned running_on(const struct numa *numa, const char *stat)
{
    const char *at = strrchr(stat, ')');
    uint64_t cpu;
    if (!at)
        return NO_NODE;
    at++;
    for (int field = FIELD_STATE; field < FIELD_CPU; field++) {
        at += strspn(at, " ");
        if (field == FIELD_STATE && *at != 'R')
            return NO_NODE;
        at += strcspn(at, " ");
    }
    at += strspn(at, " ");
    return small_file_number(at, &cpu, NULL) && cpu < MAX_CPUS ? numa->node_of[cpu] : NO_NODE;
}

/* How many of the process's threads are running, by node. */
static uint32_t count_threads(const struct numa *numa, pid_t pid, uint32_t threads[MAX_NODES])
{
    char folder[SENSORS_PATH / 2], path[SENSORS_PATH], stat[1024];
    uint32_t running = 0;
    int length = snprintf(folder, sizeof folder, "%s/proc/%d/task", numa->root, (int)pid);
    DIR *list = length > 0 && (size_t)length < sizeof folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    while (list && (entry = readdir(list))) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "%s/%.20s/stat", folder, entry->d_name);
        unsigned node = small_file_read(path, stat, sizeof stat) ? running_on(numa, stat) : NO_NODE;
        if (node < MAX_NODES) {
            threads[node]++;
            running++;
        }
    }
    if (list)
        closedir(list);
    return running;
}

void numa_read_remote(struct numa *numa, pid_t pid, struct sensors_value *out)
{
    double kilobytes[MAX_NODES] = {0}, total, near = 0, best = 0;
    uint32_t threads[MAX_NODES] = {0};
    if (numa->n_nodes < 2) {
        sensors_unknown(out, numa->n_nodes ? "this machine has one memory node"
                                           : "the system tells of no memory nodes");
        return;
    }
    if (pid <= 0) {
        sensors_unknown(out, "no process was watched");
        return;
    }
    uint32_t running = count_threads(numa, pid, threads);
    if (!running) {
        sensors_unknown(out, "no thread of the process was running when it was looked at");
        return;
    }
    if (!read_memory(numa, pid, kilobytes, &total)) {
        sensors_unknown(out, "the system does not tell where the process's pages lie");
        return;
    }
    for (size_t i = 0; i < MAX_NODES; i++) {
        double share = (double)threads[i] / running;
        near += share * kilobytes[i] / total;
        best += share * share; /* what is near where memory lies as the threads do */
    }
    sensors_know(out, best > near ? best - near : 0);
}
