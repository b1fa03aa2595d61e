/* A Mac tells its temperatures and its power to root only (powermetrics), and its frequencies to nobody:
 * everything is unknown here, with that reason. */
#include "platform/sensors.h"

#include <stdlib.h>
#include <string.h>

#include "platform/sensors_internal.h"

struct sensors_cpu {
    char unused;
};

int sensors_cpu_open(const char *root, struct sensors_cpu **out, struct error *error)
{
    (void)root;
    *out = calloc(1, sizeof **out);
    return *out ? 0 : error_memory(error, "the sensors", sizeof **out);
}

void sensors_cpu_close(struct sensors_cpu *sensors)
{
    free(sensors);
}

void sensors_cpu_read(struct sensors_cpu *sensors, uint64_t now_ns, struct sensors_cpu_reading *out)
{
    (void)sensors;
    (void)now_ns;
    memset(out, 0, sizeof *out);
    sensors_unknown(&out->busy, "not read on macOS");
    out->steal = out->cgroup_cores = out->busy;
    sensors_unknown(&out->mhz, "macOS tells no frequency");
    sensors_unknown(&out->temperature_c, "macOS tells temperatures to root only");
    sensors_unknown(&out->power_w, "macOS tells power to root only");
}
