/* What the files of one system or one instruction set give to cpu.c. Internal to src/platform. */
#ifndef LLMIND_PLATFORM_CPU_INTERNAL_H
#define LLMIND_PLATFORM_CPU_INTERNAL_H

#include "platform/cpu.h"

/* Fills everything but features; *info comes zeroed, and what cannot be read stays so. One file per system.
 */
void cpu_read_system(struct cpu_info *info);

/* Fills *features, which come all false. One file per instruction set. */
void cpu_read_features(struct cpu_features *features);

#endif
