/* NVIDIA's management library, as nvml.h of the CUDA toolkit declares it, loaded at run time: the program
 * neither needs it to be built nor to start. Only the few calls and types that are used are declared here;
 * their layout is part of the driver's stable ABI. Every figure that the driver refuses (a virtual GPU, an
 * old card) is unknown with the driver's own words.
 */
#include "platform/sensors.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/sensors_internal.h"

typedef struct nvml_device *nvml_device;
struct nvml_utilization {
    unsigned gpu, memory; /* percent */
};
struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_memory_2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
enum { NVML_MEMORY_2 = sizeof(struct nvml_memory_2) | 2 << 24 };
enum { NVML_SUCCESS = 0, NVML_TEMPERATURE_GPU = 0, NVML_CLOCK_GRAPHICS = 0, NVML_CLOCK_MEMORY = 2 };

struct nvml {
    int (*init)(void);
    int (*shutdown)(void);
    const char *(*error_string)(int result);
    int (*count)(unsigned *count);
    int (*handle)(unsigned index, nvml_device *device);
    int (*name)(nvml_device device, char *name, unsigned length);
    int (*utilization)(nvml_device device, struct nvml_utilization *utilization);
    int (*memory)(nvml_device device, struct nvml_memory *memory);
    int (*memory_2)(nvml_device device, struct nvml_memory_2 *memory); /* NULL before driver 510 */
    int (*temperature)(nvml_device device, int sensor, unsigned *celsius);
    int (*power)(nvml_device device, unsigned *milliwatts);
    int (*power_limit)(nvml_device device, unsigned *milliwatts);
    int (*clock)(nvml_device device, int type, unsigned *mhz);
};

struct sensors_gpus {
    void *library;
    bool initialized;
    struct nvml nvml;
    uint32_t count;
    nvml_device devices[SENSORS_MAX_GPUS];
    char reason[SENSORS_REASON];
};

/* POSIX lets dlsym's object pointer stand for a function; ISO C wants it to go through memory. */
static bool load_symbol(void *library, const char *name, void *function_pointer)
{
    void *symbol = dlsym(library, name);
    memcpy(function_pointer, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool load_symbols(void *library, struct nvml *nvml)
{
    const struct {
        const char *name;
        void *pointer;
    } symbols[] = {
        {"nvmlInit_v2", &nvml->init},
        {"nvmlShutdown", &nvml->shutdown},
        {"nvmlErrorString", &nvml->error_string},
        {"nvmlDeviceGetCount_v2", &nvml->count},
        {"nvmlDeviceGetHandleByIndex_v2", &nvml->handle},
        {"nvmlDeviceGetName", &nvml->name},
        {"nvmlDeviceGetUtilizationRates", &nvml->utilization},
        {"nvmlDeviceGetMemoryInfo", &nvml->memory},
        {"nvmlDeviceGetTemperature", &nvml->temperature},
        {"nvmlDeviceGetPowerUsage", &nvml->power},
        {"nvmlDeviceGetEnforcedPowerLimit", &nvml->power_limit},
        {"nvmlDeviceGetClockInfo", &nvml->clock},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        if (!load_symbol(library, symbols[i].name, symbols[i].pointer))
            return false;
    (void)load_symbol(library, "nvmlDeviceGetMemoryInfo_v2", &nvml->memory_2);
    return true;
}

static void find_devices(struct sensors_gpus *gpus, const char *library)
{
    gpus->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!gpus->library) {
        snprintf(gpus->reason, sizeof gpus->reason,
                 "no NVIDIA GPU: the driver's library %.60s is not installed", library);
        return;
    }
    if (!load_symbols(gpus->library, &gpus->nvml)) {
        snprintf(gpus->reason, sizeof gpus->reason, "%.60s is not the driver's library, or too old", library);
        return;
    }
    int result = gpus->nvml.init();
    unsigned count = 0;
    if (result == NVML_SUCCESS) {
        gpus->initialized = true;
        result = gpus->nvml.count(&count);
    }
    for (unsigned i = 0; result == NVML_SUCCESS && i < count && i < SENSORS_MAX_GPUS; i++)
        if (gpus->nvml.handle(i, &gpus->devices[gpus->count]) == NVML_SUCCESS)
            gpus->count++;
    if (result != NVML_SUCCESS)
        snprintf(gpus->reason, sizeof gpus->reason, "the NVIDIA driver does not answer: %.120s",
                 gpus->nvml.error_string(result));
    else if (gpus->count == 0)
        snprintf(gpus->reason, sizeof gpus->reason, "the NVIDIA driver is installed and shows no GPU");
}

int sensors_gpus_open(const char *library, struct sensors_gpus **out, struct error *error)
{
    *out = NULL;
    struct sensors_gpus *gpus = calloc(1, sizeof *gpus);
    if (!gpus)
        return error_memory(error, "the sensors", sizeof *gpus);
    find_devices(gpus, library ? library : "libnvidia-ml.so.1");
    *out = gpus;
    return 0;
}

void sensors_gpus_close(struct sensors_gpus *gpus)
{
    if (!gpus)
        return;
    if (gpus->initialized)
        (void)gpus->nvml.shutdown();
    if (gpus->library)
        dlclose(gpus->library);
    free(gpus);
}

uint32_t sensors_gpus_count(const struct sensors_gpus *gpus, const char **reason)
{
    if (reason)
        *reason = gpus->count ? NULL : gpus->reason;
    return gpus->count;
}

static void set(const struct nvml *nvml, struct sensors_value *value, int result, double number)
{
    if (result == NVML_SUCCESS)
        sensors_know(value, number);
    else
        sensors_unknown(value, "the driver says: %.150s", nvml->error_string(result));
}

/* The older call counts as used what the driver keeps for itself; nvidia-smi does not. */
static void read_memory(const struct nvml *nvml, nvml_device device, struct sensors_gpu_reading *out)
{
    struct nvml_memory_2 memory = {.version = NVML_MEMORY_2};
    struct nvml_memory older = {0};
    int result = NVML_SUCCESS + 1;
    if (nvml->memory_2)
        result = nvml->memory_2(device, &memory);
    if (result != NVML_SUCCESS) {
        result = nvml->memory(device, &older);
        memory.total = older.total;
        memory.used = older.used;
    }
    set(nvml, &out->memory_total_bytes, result, (double)memory.total);
    set(nvml, &out->memory_used_bytes, result, (double)memory.used);
}

void sensors_gpus_read(struct sensors_gpus *gpus, uint32_t index, struct sensors_gpu_reading *out)
{
    memset(out, 0, sizeof *out);
    const struct nvml *nvml = &gpus->nvml;
    nvml_device device = gpus->devices[index];
    struct nvml_utilization utilization = {0};
    unsigned number = 0;
    if (nvml->name(device, out->name, sizeof out->name) != NVML_SUCCESS)
        snprintf(out->name, sizeof out->name, "NVIDIA GPU %u", (unsigned)index);
    int result = nvml->utilization(device, &utilization);
    set(nvml, &out->busy, result, (double)utilization.gpu / 100);
    read_memory(nvml, device, out);
    result = nvml->temperature(device, NVML_TEMPERATURE_GPU, &number);
    set(nvml, &out->temperature_c, result, number);
    result = nvml->power(device, &number);
    set(nvml, &out->power_w, result, (double)number / 1000);
    result = nvml->power_limit(device, &number);
    set(nvml, &out->power_limit_w, result, (double)number / 1000);
    result = nvml->clock(device, NVML_CLOCK_GRAPHICS, &number);
    set(nvml, &out->graphics_mhz, result, number);
    result = nvml->clock(device, NVML_CLOCK_MEMORY, &number);
    set(nvml, &out->memory_mhz, result, number);
}
