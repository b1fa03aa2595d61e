/* Counter-based random numbers: number i of a stream is a pure function of both, so that any part of a tensor
 * can be written without the parts before it. The mixer is SplitMix64's (Steele, Lea, Flood 2014). Good
 * enough for weights; not for secrets. */
#ifndef LLMIND_SYNTH_RANDOM_H
#define LLMIND_SYNTH_RANDOM_H

#include <stdint.h>

static inline uint64_t random_at(uint64_t stream, uint64_t counter)
{
    uint64_t z = stream + (counter + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static inline float random_uniform(uint64_t bits)
{
    return (float)(bits >> 40) * 0x1p-24f;
}

/* A stream of its own for every name (FNV-1a of the name, mixed with the seed). */
static inline uint64_t random_stream(uint64_t seed, const char *name)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (const char *c = name; *c; c++)
        hash = (hash ^ (uint64_t)(unsigned char)*c) * UINT64_C(0x100000001B3);
    return random_at(hash, seed);
}

#endif
