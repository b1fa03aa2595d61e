/* Which table of kernels: by name, or the best this machine has. */
#include "backend/cpu/kernels/kernels.h"

#include <string.h>

#include "platform/cpu.h"

static const char *const only_reference[] = {"reference", NULL};

#if defined(__x86_64__)
static const char *const up_to_avx2[] = {"reference", "avx2", NULL};
static const char *const up_to_avx512[] = {"reference", "avx2", "avx512", NULL};
#endif

const char *const *kernels_available(void)
{
#if defined(__x86_64__)
    const struct cpu_features *features = &cpu_info()->features;
    if (features->avx512 && features->avx512_vbmi) /* avx512/ is compiled for both */
        return up_to_avx512;
    if (features->avx2)
        return up_to_avx2;
#endif
    return only_reference;
}

bool kernels_init(struct kernels *kernels, const char *isa)
{
    const char *const *names = kernels_available();
    size_t last = 0, rank = 0;
    while (names[last + 1])
        last++;
    if (!isa)
        isa = names[last];
    while (rank <= last && strcmp(names[rank], isa) != 0)
        rank++;
    if (rank > last)
        return false;
    /* The list is in order of strength, and each init overwrites what it does better than the ones before. */
    kernels_init_reference(kernels);
#if defined(__x86_64__)
    if (rank >= 1)
        kernels_init_avx2(kernels);
    if (rank >= 2)
        kernels_init_avx512(kernels);
#endif
    return true;
}
