/* Plain C, as the compiler makes it for the oldest machine that the program runs on. The empty asm statement
 * says that the bytes may have changed, so that their dot product is computed in every round. */
#include "backend/cpu/kernels/peaks.h"

#include <stddef.h>

enum { CHAINS = 8, FLOATS = 4, BYTES = 64 };

typedef float floats __attribute__((vector_size(16)));

static uint32_t run_f32(uint32_t rounds)
{
    floats sum[CHAINS], factor = {0.999f, 0.998f, 0.997f, 0.996f}, term = {0.001f, 0.002f, 0.003f, 0.004f};
    for (int i = 0; i < CHAINS; i++)
        sum[i] = (floats){1, 1, 1, 1} * (float)(i + 1);
    for (uint32_t round = 0; round < rounds; round++)
        for (int i = 0; i < CHAINS; i++)
            sum[i] = sum[i] * factor + term;
    for (int i = 1; i < CHAINS; i++)
        sum[0] += sum[i];
    return (uint32_t)(sum[0][0] + sum[0][1] + sum[0][2] + sum[0][3]);
}

static uint32_t run_int8(uint32_t rounds)
{
    int8_t x[BYTES];
    uint8_t weights[BYTES];
    uint32_t sum = 0;
    for (int i = 0; i < BYTES; i++) {
        x[i] = (int8_t)(i - BYTES / 2);
        weights[i] = (uint8_t)(3 * i);
    }
    for (uint32_t round = 0; round < rounds; round++) {
        __asm__ volatile("" : : "r"(x), "r"(weights) : "memory");
        int32_t dot = 0;
        for (int i = 0; i < BYTES; i++)
            dot += x[i] * weights[i];
        sum += (uint32_t)dot;
    }
    return sum;
}

void reference_peak(struct peak *out)
{
    *out = (struct peak){.int8 = {"plain C", 2.0 * BYTES, run_int8},
                         .f32 = {"plain C, 128-bit vectors", 2.0 * CHAINS * FLOATS, run_f32}};
}
