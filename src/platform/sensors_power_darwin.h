/* The energy that Apple's chips count for their processor cores. Internal to src/platform. */
#ifndef LLMIND_PLATFORM_SENSORS_POWER_DARWIN_H
#define LLMIND_PLATFORM_SENSORS_POWER_DARWIN_H

#include <stdint.h>

#include "platform/sensors.h"

struct apple_energy;

/* NULL, with the reason: this Mac, or this macOS, does not tell. */
struct apple_energy *apple_energy_open(char reason[SENSORS_REASON]);
void apple_energy_close(struct apple_energy *energy); /* NULL is legal */
/* Mean power since the reading before. */
void apple_energy_read(struct apple_energy *energy, uint64_t now_ns, struct sensors_value *out);

#endif
