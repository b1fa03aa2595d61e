/* Apple's chips by their names: what is printed on the box, for machines whose bandwidth was not measured.
 * Pure; works on any machine.
 */
#ifndef LLMIND_PROFILE_GUIDE_APPLE_H
#define LLMIND_PROFILE_GUIDE_APPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct apple_chip {
    uint32_t generation;    /* 1: M1 */
    const char *variant;    /* "", "Pro", "Max", "Ultra" */
    uint32_t gpu_cores[2];  /* the smaller and the larger version */
    uint32_t rated_gbps[2]; /* of each; the same where both have it */
    uint32_t max_memory_gb;
};

/* brand: "Apple M3 Max", as the processor calls itself (anything may follow a blank). NULL: no such chip is
 * in the table. */
const struct apple_chip *apple_chip_find(const char *brand);

/* GB/s by the number of GPU cores: that of the version with at least so many. gpu_cores 0: not known, and
 * where the versions differ the smaller figure. */
uint32_t apple_chip_gbps(const struct apple_chip *chip, uint32_t gpu_cores);

/* "Apple M2 Max (38 GPU cores, 400 GB/s rated)"; without gpu_cores "Apple M3 Max (300 or 400 GB/s rated)". */
void apple_chip_describe(const struct apple_chip *chip, uint32_t gpu_cores, char *out, size_t capacity);

size_t apple_chip_count(void);
const struct apple_chip *apple_chip_at(size_t i);

#endif
