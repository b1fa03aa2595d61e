/* The fastest that the cores can multiply and add with the instructions of one set of kernels: loops that do
 * nothing else, on registers, with enough of them under way to fill the pipes. What the kernels reach is a
 * share of this. Pure: no memory is touched, any thread.
 */
#ifndef LLMIND_BACKEND_CPU_PEAK_H
#define LLMIND_BACKEND_CPU_PEAK_H

#include <stdbool.h>
#include <stdint.h>

struct peak_loop {
    const char *instructions;         /* "vpdpbusd, 512 bits" */
    double ops_per_round;             /* a multiplication with its addition is 2 */
    uint32_t (*run)(uint32_t rounds); /* the result depends on every round, so that none is left out */
};

struct peak {
    const char *isa;
    struct peak_loop int8; /* u8 times s8, summed in 32 bits: the quantized matrix products */
    struct peak_loop f32;
};

/* isa: as in backend_options, NULL for the best here. False: this machine does not have it. */
bool peak_find(const char *isa, struct peak *out);

#endif
