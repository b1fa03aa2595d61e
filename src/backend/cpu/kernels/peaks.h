/* The loops of backend/cpu/peak.h, by instruction set; each fills everything but the name. */
#ifndef LLMIND_BACKEND_CPU_KERNELS_PEAKS_H
#define LLMIND_BACKEND_CPU_KERNELS_PEAKS_H

#include "backend/cpu/peak.h"

void reference_peak(struct peak *out);
void avx2_peak(struct peak *out);
void avx512_peak(struct peak *out);

#endif
