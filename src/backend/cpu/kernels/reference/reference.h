/* The plain C kernels, by file, and how they read a weight. Slow and obviously right: every other ISA is held
 * against them. Long sums are taken in double and in the order of the elements, so that what differs between
 * them and a fast kernel is the fast kernel's rounding. */
#ifndef LLMIND_BACKEND_CPU_KERNELS_REFERENCE_REFERENCE_H
#define LLMIND_BACKEND_CPU_KERNELS_REFERENCE_REFERENCE_H

#include "backend/cpu/kernels/kernels.h"

enum { REFERENCE_PAIR_BLOCK = 64 };

void reference_linear_init(struct kernels *kernels);
void reference_attend_init(struct kernels *kernels);

#endif
