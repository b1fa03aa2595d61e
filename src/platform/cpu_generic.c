/* An instruction set that no file here knows: the reference kernels run. */
#include "platform/cpu_internal.h"

void cpu_read_features(struct cpu_features *features)
{
    (void)features;
}
