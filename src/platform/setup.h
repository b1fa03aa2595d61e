/* How a machine is set up, as far as it decides how fast it computes: what `llmind doctor` looks at, and what
 * a measurement should be read with. Nothing here changes from one second to the next.
 */
#ifndef LLMIND_PLATFORM_SETUP_H
#define LLMIND_PLATFORM_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/sensors.h"

enum { SETUP_WORD = 32 };

/* A word that the system uses for itself. "" is not known. */
struct setup_word {
    char value[SETUP_WORD];
    char reason[SENSORS_REASON];
};

struct setup {
    struct sensors_value physical_cores;   /* those that the allowed CPUs belong to */
    struct sensors_value core_cache_bytes; /* level 2, of one core */
    struct setup_word governor;            /* cpufreq: "performance", "schedutil", ...; "mixed" */
    struct sensors_value boost;   /* 1: cores may run above their nominal frequency, 0: switched off */
    struct setup_word huge_pages; /* transparent ones: "always", "madvise", "never" */
    bool virtual_machine;         /* a hypervisor shows itself; false: none does */
};

/* root: "" for this machine, or a folder with a recorded tree, whose CPUs are then all allowed. */
void setup_read(const char *root, struct setup *out);

#endif
