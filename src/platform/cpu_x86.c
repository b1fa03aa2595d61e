/* Instruction sets by CPUID (Intel SDM volume 2, AMD APM volume 3). A set counts only when the operating
 * system also saves its registers, which XGETBV tells: without that the first instruction would be illegal.
 */
#include <cpuid.h>

#include "platform/cpu_internal.h"

enum {
    XCR0_AVX = 0x6,     /* XMM and the upper halves of YMM */
    XCR0_AVX512 = 0xE6, /* and the mask registers, the upper halves of ZMM, ZMM16 to 31 */
};

static uint32_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has(uint32_t bits, int position)
{
    return bits >> position & 1;
}

void cpu_read_features(struct cpu_features *features)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return;
    bool osxsave = has(c, 27), avx = has(c, 28), fma = has(c, 12), f16c = has(c, 29);
    if (!osxsave || !avx)
        return;
    uint32_t saved = read_xcr0();
    if ((saved & XCR0_AVX) != XCR0_AVX || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return;
    uint32_t leaf7_b = b, leaf7_c = c;
    uint32_t leaf7_1_a = 0;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) /* EAX of leaf 7.0 is the highest sub-leaf */
        leaf7_1_a = a;

    features->avx2 = has(leaf7_b, 5) && fma && f16c;
    features->avx_vnni = features->avx2 && has(leaf7_1_a, 4);
    features->avx512 = features->avx2 && (saved & XCR0_AVX512) == XCR0_AVX512 && has(leaf7_b, 16) && /* F */
                       has(leaf7_b, 17) &&                                                           /* DQ */
                       has(leaf7_b, 30) &&                                                           /* BW */
                       has(leaf7_b, 31) &&                                                           /* VL */
                       has(leaf7_c, 11); /* VNNI */
    features->avx512_vbmi = features->avx512 && has(leaf7_c, 1);
    features->avx512_bf16 = features->avx512 && has(leaf7_1_a, 5);
}
