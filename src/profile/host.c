#include "profile/host.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/file.h"

enum { STAT_MAX_BYTES = 1 << 20, STAT_FIELDS = 8, STAT_STEAL = 7 };

bool host_parse_stat(const char *text, struct host_reading *out)
{
    if (strncmp(text, "cpu ", 4) != 0)
        return false;
    const char *at = text + 4;
    uint64_t total = 0, steal = 0;
    for (int i = 0; i < STAT_FIELDS; i++) {
        char *end;
        unsigned long long value = strtoull(at, &end, 10);
        if (end == at)
            return false;
        total += value;
        if (i == STAT_STEAL)
            steal = value;
        at = end;
    }
    out->ticks_total = total;
    out->ticks_steal = steal;
    return true;
}

void host_read(struct host_reading *out)
{
    memset(out, 0, sizeof *out);
    if (getloadavg(&out->load_1min, 1) != 1)
        out->load_1min = NAN;
    char *text;
    size_t length;
    if (file_read("/proc/stat", STAT_MAX_BYTES, &text, &length, NULL) == 0) {
        out->ticks_known = host_parse_stat(text, out);
        free(text);
    }
    memory_process_read(&out->process);
    memory_machine_read(&out->machine);
}

double host_steal(const struct host_reading *before, const struct host_reading *after)
{
    if (!before->ticks_known || !after->ticks_known || after->ticks_total <= before->ticks_total ||
        after->ticks_steal < before->ticks_steal)
        return NAN;
    return (double)(after->ticks_steal - before->ticks_steal) /
           (double)(after->ticks_total - before->ticks_total);
}

double host_weights_resident(const char *folder)
{
    static const char ending[] = ".safetensors";
    DIR *files = opendir(folder);
    if (!files)
        return NAN;
    double there = 0, all = 0;
    bool known = true;
    for (const struct dirent *entry; known && (entry = readdir(files)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length < sizeof ending || strcmp(entry->d_name + length - (sizeof ending - 1), ending) != 0)
            continue;
        char path[4096];
        uint64_t resident, size;
        known = file_join(path, sizeof path, folder, entry->d_name, NULL) == 0 &&
                file_resident_bytes(path, &resident, &size);
        if (known) {
            there += (double)resident;
            all += (double)size;
        }
    }
    closedir(files);
    return known && all > 0 ? there / all : NAN;
}
