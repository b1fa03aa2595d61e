/* Instruction sets of 64-bit ARM. Linux tells them in the auxiliary vector, macOS by sysctl. Untried on
 * macOS. */
#include "platform/cpu_internal.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>

void cpu_read_features(struct cpu_features *features)
{
    int value = 0;
    size_t size = sizeof value;
    features->neon_dotprod =
        !sysctlbyname("hw.optional.arm.FEAT_DotProd", &value, &size, NULL, 0) && value != 0;
}

#else
#include <asm/hwcap.h>
#include <sys/auxv.h>

void cpu_read_features(struct cpu_features *features)
{
    features->neon_dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

#endif
