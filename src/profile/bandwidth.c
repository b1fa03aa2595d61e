/* One loop, compiled for each vector width. It does nothing but load and XOR, so that nothing but the memory
 * system limits it: 16-byte loads reach what DRAM gives, but not what a cache gives. */
#include "profile/bandwidth.h"

#include <string.h>

#include "platform/cpu.h"

typedef uint64_t lanes __attribute__((vector_size(64), aligned(1), may_alias));

static inline __attribute__((always_inline)) uint64_t read_lanes(const uint8_t *data, size_t length)
{
    lanes a = {0}, b = {0}, c = {0}, d = {0};
    size_t i = 0;
    for (; i + 256 <= length; i += 256) {
        __builtin_prefetch(data + i + 4096);
        __builtin_prefetch(data + i + 4160);
        __builtin_prefetch(data + i + 4224);
        __builtin_prefetch(data + i + 4288);
        a ^= *(const lanes *)(data + i);
        b ^= *(const lanes *)(data + i + 64);
        c ^= *(const lanes *)(data + i + 128);
        d ^= *(const lanes *)(data + i + 192);
    }
    a ^= b ^ c ^ d;
    uint64_t mixed = 0;
    for (int k = 0; k < 8; k++)
        mixed ^= a[k];
    for (; i < length; i++)
        mixed = mixed * 31 + data[i];
    return mixed;
}

static uint64_t read_baseline(const uint8_t *data, size_t length)
{
    return read_lanes(data, length);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t read_avx2(const uint8_t *data, size_t length)
{
    return read_lanes(data, length);
}

__attribute__((target("avx512f"))) static uint64_t read_avx512(const uint8_t *data, size_t length)
{
    return read_lanes(data, length);
}
#endif

uint64_t bandwidth_read(const uint8_t *data, size_t length)
{
#if defined(__x86_64__)
    const struct cpu_features *features = &cpu_info()->features;
    if (features->avx512)
        return read_avx512(data, length);
    if (features->avx2)
        return read_avx2(data, length);
#endif
    return read_baseline(data, length);
}
