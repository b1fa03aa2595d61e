/* Reads /proc/self/cgroup (cgroups(7)) and /proc/self/mountinfo (proc(5)), then the limits.
 *
 * /proc/self/cgroup:     ID:CONTROLLER,CONTROLLER:/path     (version 2: "0::/path")
 * /proc/self/mountinfo:  ID PARENT DEV ROOT MOUNTPOINT OPTIONS [FIELD...] - TYPE SOURCE SUPER_OPTIONS
 *
 * The folder of a group is MOUNTPOINT + (path less ROOT).
 */
#include "platform/cgroup_linux.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/file.h"
#include "platform/small_file.h"

enum { TABLE_BYTES_MAX = 16 << 20 }; /* a host with thousands of containers has thousands of mounts */

struct mount {
    char root[PATH_MAX];  /* the part of the hierarchy that is mounted */
    char point[PATH_MAX]; /* where */
};

/* True when the comma-separated list has the item. */
static bool list_has(const char *list, const char *item)
{
    size_t length = strlen(item);
    for (const char *at = list; at; at = strchr(at, ',')) {
        if (*at == ',')
            at++;
        if (!strncmp(at, item, length) && (at[length] == ',' || !at[length]))
            return true;
    }
    return false;
}

static char *read_table(const char *root, const char *name)
{
    char path[PATH_MAX];
    char *text = NULL;
    size_t length;
    int written = snprintf(path, sizeof path, "%s%s", root, name);
    if (written > 0 && (size_t)written < sizeof path)
        (void)file_read(path, TABLE_BYTES_MAX, &text, &length, NULL); /* absent: text stays NULL */
    return text;
}

/* Space, tab, newline and backslash stand as \ooo in mountinfo. */
static void copy_unescaped(char *out, size_t capacity, const char *text)
{
    size_t length = 0;
    while (*text && length + 1 < capacity) {
        if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' && text[2] <= '7' &&
            text[3] >= '0' && text[3] <= '7') {
            out[length++] = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
            text += 4;
        } else {
            out[length++] = *text++;
        }
    }
    out[length] = '\0';
}

/* One line of mountinfo, which is cut into pieces. */
static bool parse_mount(char *line, const char *controller, int version, struct mount *out)
{
    char *separator = strstr(line, " - "), *save = NULL;
    if (!separator)
        return false;
    *separator = '\0';
    const char *type = strtok_r(separator + 3, " ", &save);
    const char *source = strtok_r(NULL, " ", &save);
    const char *options = strtok_r(NULL, " ", &save);
    if (!type || !source)
        return false;
    if (version == 2 ? strcmp(type, "cgroup2") != 0
                     : strcmp(type, "cgroup") != 0 || !options || !list_has(options, controller))
        return false;
    const char *field[5];
    save = NULL;
    for (int i = 0; i < 5; i++) {
        field[i] = strtok_r(i ? NULL : line, " ", &save);
        if (!field[i])
            return false;
    }
    copy_unescaped(out->root, sizeof out->root, field[3]);
    copy_unescaped(out->point, sizeof out->point, field[4]);
    return true;
}

static bool find_mount(const char *root, const char *controller, int version, struct mount *out)
{
    char *table = read_table(root, "/proc/self/mountinfo"), *save = NULL;
    bool found = false;
    for (char *line = table ? strtok_r(table, "\n", &save) : NULL; line && !found;
         line = strtok_r(NULL, "\n", &save))
        found = parse_mount(line, controller, version, out);
    free(table);
    return found;
}

/* The path of the own group in the hierarchy. */
static bool find_group(const char *root, const char *controller, int version, char *out, size_t capacity)
{
    char *table = read_table(root, "/proc/self/cgroup"), *save = NULL;
    bool found = false;
    for (char *line = table ? strtok_r(table, "\n", &save) : NULL; line && !found;
         line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        controllers++;
        found = version == 2 ? !strncmp(line, "0:", 2) && !*controllers : list_has(controllers, controller);
        if (found)
            snprintf(out, capacity, "%s", path);
    }
    free(table);
    return found;
}

/* True for "/../x": a group above the cgroup namespace of this process. */
static bool leaves_namespace(const char *group)
{
    for (const char *at = strstr(group, "/.."); at; at = strstr(at + 1, "/.."))
        if (at[3] == '/' || !at[3])
            return true;
    return false;
}

/* The group's path below the mount, "" for its top: also for a path that lies outside of what is mounted. */
static const char *below_mount(const char *group, const char *mount_root)
{
    if (leaves_namespace(group))
        return "";
    if (!strcmp(mount_root, "/"))
        return strcmp(group, "/") ? group : "";
    size_t length = strlen(mount_root);
    if (!strncmp(group, mount_root, length) && (group[length] == '/' || !group[length]))
        return group + length;
    return "";
}

static void walk(const char *root, const char *controller, int version, cgroup_visit *visit, void *context)
{
    struct mount mount;
    char group[PATH_MAX], folder[3 * PATH_MAX];
    if (!find_mount(root, controller, version, &mount) ||
        !find_group(root, controller, version, group, sizeof group))
        return;
    int top = snprintf(folder, sizeof folder, "%s%s", root, mount.point);
    if (top < 0 || (size_t)top >= sizeof folder - PATH_MAX)
        return;
    snprintf(folder + top, sizeof folder - (size_t)top, "%s", below_mount(group, mount.root));
    for (;;) {
        visit(folder, version, context);
        char *slash = strrchr(folder + top, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
}

void cgroup_walk(const char *root, const char *controller, cgroup_visit *visit, void *context)
{
    walk(root, controller, 2, visit, context);
    walk(root, controller, 1, visit, context);
}

static bool read_limit_file(const char *folder, const char *name, char *out, size_t capacity)
{
    char path[3 * PATH_MAX + 64];
    int written = snprintf(path, sizeof path, "%s/%s", folder, name);
    return written > 0 && (size_t)written < sizeof path && small_file_read(path, out, capacity);
}

/* cpu.max: "QUOTA PERIOD" or "max PERIOD", microseconds. Version 1 has a file for each, and -1 for none. */
static void visit_cpu(const char *folder, int version, void *context)
{
    double *cores = context;
    char quota_text[128], period_text[64];
    uint64_t quota, period;
    const char *rest;
    if (version == 2) {
        if (!read_limit_file(folder, "cpu.max", quota_text, sizeof quota_text) ||
            !small_file_number(quota_text, &quota, &rest) || *rest != ' ' ||
            !small_file_number(rest + 1, &period, NULL))
            return;
    } else {
        if (!read_limit_file(folder, "cpu.cfs_quota_us", quota_text, sizeof quota_text) ||
            !read_limit_file(folder, "cpu.cfs_period_us", period_text, sizeof period_text) ||
            !small_file_number(quota_text, &quota, NULL) || !small_file_number(period_text, &period, NULL))
            return;
    }
    if (quota == 0 || period == 0)
        return;
    double here = (double)quota / (double)period;
    if (*cores == 0 || here < *cores)
        *cores = here;
}

double cgroup_cpu_quota(const char *root)
{
    double cores = 0;
    cgroup_walk(root, "cpu", visit_cpu, &cores);
    return cores;
}

/* memory.max: bytes or "max". Version 1 says "none" with the largest multiple of a page in 63 bits. */
static void visit_memory(const char *folder, int version, void *context)
{
    uint64_t *limit = context, here;
    char text[64];
    if (!read_limit_file(folder, version == 2 ? "memory.max" : "memory.limit_in_bytes", text, sizeof text) ||
        !small_file_number(text, &here, NULL) || here == 0 || here >= UINT64_C(1) << 60)
        return;
    if (*limit == 0 || here < *limit)
        *limit = here;
}

uint64_t cgroup_memory_limit(const char *root)
{
    uint64_t limit = 0;
    cgroup_walk(root, "memory", visit_memory, &limit);
    return limit;
}
