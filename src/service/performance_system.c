/* What does not change while the program runs: the machine and the program itself. */
#include <math.h>
#include <sys/utsname.h>

#include "backend/backend.h"
#include "base/version.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "service/performance_internal.h"

static void put_cpu(struct figures *figures, json_t *root)
{
    const struct cpu_info *info = cpu_info();
    json_t *cpu = figures_object(figures, root, "cpu");
    figures_text(figures, cpu, "name", info->name, "");
    figures_count(figures, cpu, "cores_online", info->cores_online);
    figures_count(figures, cpu, "cores_allowed", info->cores_allowed);
    figures_number(figures, cpu, "quota_cores", info->quota_cores > 0 ? info->quota_cores : NAN,
                   "no control group limits it");
    figures_count(figures, cpu, "usable_threads", cpu_usable_threads());
    if (info->last_level_cache_bytes)
        figures_count(figures, cpu, "last_level_cache_bytes", info->last_level_cache_bytes);
    else
        figures_null(figures, cpu, "last_level_cache_bytes", "the system does not tell");

    const struct {
        const char *name;
        bool present;
    } features[] = {
        {"avx2", info->features.avx2},
        {"avx_vnni", info->features.avx_vnni},
        {"avx512", info->features.avx512},
        {"avx512_vbmi", info->features.avx512_vbmi},
        {"avx512_bf16", info->features.avx512_bf16},
        {"neon_dotprod", info->features.neon_dotprod},
    };
    json_t *list = figures_object(figures, cpu, "features");
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        figures_flag(figures, list, features[i].name, features[i].present);
}

static void put_memory(struct figures *figures, json_t *root)
{
    struct memory_machine machine;
    memory_machine_read(&machine);
    json_t *memory = figures_object(figures, root, "memory");
    if (machine.known)
        figures_count(figures, memory, "total_bytes", machine.total_bytes);
    else
        figures_null(figures, memory, "total_bytes", "the system does not tell");
    if (machine.limit_bytes)
        figures_count(figures, memory, "limit_bytes", machine.limit_bytes);
    else
        figures_null(figures, memory, "limit_bytes", "no control group limits it");
}

static void put_os(struct figures *figures, json_t *root)
{
    struct utsname system;
    if (uname(&system)) {
        figures_null(figures, root, "os", "the system does not tell");
        return;
    }
    json_t *os = figures_object(figures, root, "os");
    figures_text(figures, os, "name", system.sysname, "");
    figures_text(figures, os, "release", system.release, "the system does not tell");
    figures_text(figures, os, "machine", system.machine, "the system does not tell");
}

static void put_backends(struct figures *figures, json_t *root)
{
    json_t *list = json_array();
    for (const char *const *name = backend_names(); *name; name++)
        figures->failed = json_array_append_new(list, json_string(*name)) || figures->failed;
    figures->failed = json_object_set_new(root, "backends", list) || figures->failed;
}

json_t *performance_system(struct performance *performance)
{
    struct figures figures = {0};
    json_t *root = json_object();
    json_t *program = figures_object(&figures, root, "program");
    figures_text(&figures, program, "name", "llmind", "");
    figures_text(&figures, program, "version", version_number(), "");
    figures_text(&figures, program, "commit", version_commit(), "not built from a git checkout");
    figures_number(&figures, program, "uptime_s", performance_uptime_s(performance), "");
    put_backends(&figures, root);
    put_cpu(&figures, root);
    put_memory(&figures, root);
    put_os(&figures, root);
    pthread_mutex_lock(&performance->lock);
    performance_put_gpus(&figures, root, performance->gpus);
    pthread_mutex_unlock(&performance->lock);
    if (figures.failed) {
        json_decref(root);
        root = NULL;
    }
    return root;
}
