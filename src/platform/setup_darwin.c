/* Untried: no Mac has built this yet (sysctl(3)). */
#include "platform/setup.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysctl.h>

#include "platform/sensors_internal.h"

static void read_sysctl(const char *name, struct sensors_value *out)
{
    uint64_t wide = 0;
    size_t size = sizeof wide;
    if (sysctlbyname(name, &wide, &size, NULL, 0) == 0 && wide > 0) /* 4 bytes of it are set, or 8 */
        sensors_know(out, (double)wide);
    else
        sensors_unknown(out, "macOS does not tell %s", name);
}

void setup_read(const char *root, struct setup *out)
{
    (void)root;
    memset(out, 0, sizeof *out);
    read_sysctl("hw.physicalcpu", &out->physical_cores);
    read_sysctl("hw.perflevel0.l2cachesize", &out->core_cache_bytes);
    snprintf(out->governor.reason, sizeof out->governor.reason, "macOS chooses the frequency itself");
    snprintf(out->huge_pages.reason, sizeof out->huge_pages.reason, "macOS has no such choice");
    sensors_unknown(&out->boost, "macOS has no switch for it");
    struct sensors_value guest;
    read_sysctl("kern.hv_vmm_present", &guest);
    out->virtual_machine = guest.known;
}
