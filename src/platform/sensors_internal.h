/* Between the sensors*.c files only. */
#ifndef LLMIND_PLATFORM_SENSORS_INTERNAL_H
#define LLMIND_PLATFORM_SENSORS_INTERNAL_H

#include <stdint.h>

#include "platform/sensors.h"

void sensors_know(struct sensors_value *value, double number);
void sensors_unknown(struct sensors_value *value, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* sensors_package_linux.c: what a processor package measures of itself. */
enum { SENSORS_INPUTS = 64, SENSORS_PATH = 512 };

struct sensors_thermal {
    uint32_t n_inputs; /* files with thousandths of a degree */
    char inputs[SENSORS_INPUTS][SENSORS_PATH];
    char source[SENSORS_NAME]; /* "coretemp: Package id 0" */
    char reason[SENSORS_REASON];
};
void sensors_thermal_find(const char *root, struct sensors_thermal *out);
void sensors_thermal_read(const struct sensors_thermal *thermal, struct sensors_value *out);

struct sensors_energy {
    uint32_t n_packages; /* files with microjoules */
    char inputs[SENSORS_INPUTS][SENSORS_PATH];
    uint64_t range_uj[SENSORS_INPUTS]; /* the counter goes from 0 to this and begins again */
    uint64_t last_uj[SENSORS_INPUTS], last_ns;
    bool has_last;
    char reason[SENSORS_REASON];
};
void sensors_energy_find(const char *root, struct sensors_energy *out);
void sensors_energy_read(struct sensors_energy *energy, uint64_t now_ns, struct sensors_value *out);

#endif
