/* Which loops belong to which kernels. */
#include "backend/cpu/peak.h"

#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/peaks.h"

bool peak_find(const char *isa, struct peak *out)
{
    struct kernels kernels;
    if (!kernels_init(&kernels, isa))
        return false;
    reference_peak(out);
#if defined(__x86_64__)
    if (strcmp(kernels.isa, "avx2") == 0)
        avx2_peak(out);
    else if (strcmp(kernels.isa, "avx512") == 0)
        avx512_peak(out);
#endif
    out->isa = kernels.isa;
    return true;
}
