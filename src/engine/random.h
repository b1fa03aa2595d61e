/* Random numbers that belong to a place in a text, not to a moment.
 *
 * Number `index` of the stream `seed` is a pure function of both, so that a seeded answer is the same alone
 * and beside others, and a token can be drawn again without replaying those before it. The function is
 * SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014) jumped to
 * its index-th state; the seed is mixed first because nearby seeds would otherwise walk through the same
 * states.
 */
#ifndef LLMIND_ENGINE_RANDOM_H
#define LLMIND_ENGINE_RANDOM_H

#include <stdint.h>

static inline uint64_t random_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static inline uint64_t random_u64(uint64_t seed, uint64_t index)
{
    const uint64_t golden = UINT64_C(0x9E3779B97F4A7C15);
    return random_mix(random_mix(seed ^ golden) + (index + 1) * golden);
}

/* Uniform in [0, 1), all 53 bits of a double. */
static inline double random_unit(uint64_t seed, uint64_t index)
{
    return (double)(random_u64(seed, index) >> 11) * 0x1p-53;
}

#endif
