/* A Poisson process: users who do not know of each other. Evenly spaced requests would hide every queue. */
#include <math.h>
#include <stdlib.h>

#include "profile/load_internal.h"

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014). */
static uint64_t next(uint64_t *state)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* In (0, 1]: its logarithm exists. */
static double uniform(uint64_t *state)
{
    return ((double)(next(state) >> 11) + 1) / 9007199254740992.0;
}

uint64_t *load_arrivals(uint64_t seed, double rate, double duration_s, size_t most, size_t *n)
{
    uint64_t *moments = calloc(most ? most : 1, sizeof *moments);
    double at_s = 0;
    *n = 0;
    while (moments) {
        at_s -= log(uniform(&seed)) / rate;
        if (!(at_s < duration_s))
            return moments;
        if (*n == most)
            break;
        moments[(*n)++] = (uint64_t)(at_s * 1e9);
    }
    free(moments);
    *n = 0;
    return NULL;
}
