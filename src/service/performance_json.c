/* The shape of a sample: docs and the web page read these names. */
#include <unistd.h>

#include "platform/memory.h"
#include "platform/process_usage.h"
#include "service/performance_internal.h"

static const char NO_MODEL[] = "no model is loaded; the next request loads one";

static const char *phase_name(enum host_phase phase)
{
    switch (phase) {
    case HOST_LOADING:
        return "loading";
    case HOST_READY:
        return "ready";
    case HOST_CHANGING:
        return "changing";
    case HOST_PARKED:
        return "parked";
    default:
        return "empty";
    }
}

static void put_info(struct figures *figures, json_t *root, const struct host_state *state)
{
    const struct engine_info *info = &state->info;
    json_t *model = figures_object(figures, root, "model");
    figures_text(figures, model, "name", state->model, "");
    figures_text(figures, model, "architecture", info->architecture, "the model does not say");
    figures_text(figures, model, "quantization", info->quantization, "the model does not say");
    figures_text(figures, model, "adapter", info->adapter, "the model is served without one");
    figures_text(figures, model, "backend", info->backend, "the engine does not say");
    figures_text(figures, model, "isa", info->isa, "the backend has none");
    figures_count(figures, model, "n_threads", info->n_threads);
    figures_count(figures, model, "context", info->context);
    figures_count(figures, model, "max_sequences", info->max_sequences);
    figures_count(figures, model, "prefill_chunk", info->prefill_chunk);
    figures_count(figures, model, "kv_bits", info->kv_bits);
    figures_count(figures, model, "prompt_lookup", info->prompt_lookup);
    figures_flag(figures, model, "precise", info->precise);
    figures_count(figures, model, "parameters", info->parameters);
    figures_count(figures, model, "weight_bytes", info->weight_bytes);
    figures_count(figures, model, "file_bytes", info->file_bytes);
    figures_number(figures, model, "load_ms", info->load_ms, "");
    figures_time(figures, model, "loaded_at", state->loaded_unix);
}

static void put_allocator(struct figures *figures, json_t *root, const struct engine_stats *stats)
{
    if (!stats->allocator_peak_bytes) {
        figures_null(figures, root, "allocator",
                     "this backend takes its memory from the system, or has not computed yet");
        return;
    }
    json_t *allocator = figures_object(figures, root, "allocator");
    figures_count(figures, allocator, "active_bytes", stats->allocator_active_bytes);
    figures_count(figures, allocator, "peak_bytes", stats->allocator_peak_bytes);
    figures_count(figures, allocator, "cache_bytes", stats->allocator_cache_bytes);
}

void performance_put_model(struct figures *figures, json_t *root, const struct host_state *state)
{
    const struct engine_stats *stats = &state->stats;
    figures_text(figures, root, "phase", phase_name(state->phase), "");
    figures_count(figures, root, "waiting_for_model", state->waiting);
    if (!state->has_info) {
        static const char *const names[] = {"model", "active_sequences", "queued_requests", "kv",
                                            "allocator"};
        const char *reason = state->phase == HOST_EMPTY ? NO_MODEL : "the model is being loaded";
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            figures_null(figures, root, names[i], reason);
        return;
    }
    put_info(figures, root, state);
    figures_count(figures, root, "active_sequences", stats->active_sequences);
    figures_count(figures, root, "queued_requests", stats->queued_requests);
    json_t *kv = figures_object(figures, root, "kv");
    figures_count(figures, kv, "pages_total", stats->pages_total);
    figures_count(figures, kv, "pages_used", stats->pages_used);
    figures_count(figures, kv, "pages_cached", stats->pages_cached);
    figures_count(figures, kv, "bytes", stats->kv_bytes);
    figures_count(figures, kv, "used_bytes", stats->kv_used_bytes);
    put_allocator(figures, root, stats);
}

/* ---- memory ---- */

static void put_machine(struct figures *figures, json_t *memory)
{
    struct memory_machine machine;
    memory_machine_read(&machine);
    if (machine.known) {
        figures_count(figures, memory, "total_bytes", machine.total_bytes);
        figures_count(figures, memory, "available_bytes", machine.available_bytes);
    } else {
        figures_null(figures, memory, "total_bytes", "the system does not tell");
        figures_null(figures, memory, "available_bytes", "the system does not tell");
    }
    if (machine.limit_bytes)
        figures_count(figures, memory, "limit_bytes", machine.limit_bytes);
    else
        figures_null(figures, memory, "limit_bytes", "no control group limits it");
}

static void put_process(struct figures *figures, json_t *memory, const char *name, pid_t pid)
{
    struct process_usage process;
    process_usage_read(pid, &process);
    if (!process.memory.known) {
        figures_null(figures, memory, name, pid > 0 ? "the process is gone" : "there is no such process now");
        return;
    }
    json_t *object = figures_object(figures, memory, name);
    figures_count(figures, object, "pid", (uint64_t)pid);
    figures_count(figures, object, "resident_bytes", process.memory.resident_bytes);
    figures_count(figures, object, "resident_peak_bytes", process.memory.resident_peak_bytes);
    figures_count(figures, object, "anonymous_bytes", process.memory.anonymous_bytes);
    figures_count(figures, object, "file_bytes", process.memory.file_bytes);
    figures_count(figures, object, "swap_bytes", process.memory.swap_bytes);
    if (process.known) {
        figures_number(figures, object, "cpu_s", process.cpu_s, "");
        figures_count(figures, object, "threads", process.threads);
    } else {
        figures_null(figures, object, "cpu_s", "the system does not tell");
        figures_null(figures, object, "threads", "the system does not tell");
    }
}

void performance_put_memory(struct figures *figures, json_t *root, const struct host_state *state)
{
    json_t *memory = figures_object(figures, root, "memory");
    put_machine(figures, memory);
    put_process(figures, memory, "server", getpid());
    put_process(figures, memory, "worker", state->worker_pid);
}

/* ---- processors ---- */

void performance_put_cpu(struct figures *figures, json_t *root, const struct sensors_cpu_reading *reading)
{
    json_t *cpu = figures_object(figures, root, "cpu");
    figures_sensor(figures, cpu, "busy", &reading->busy);
    figures_sensor(figures, cpu, "steal", &reading->steal);
    figures_sensor(figures, cpu, "cgroup_cores", &reading->cgroup_cores);
    figures_sensor(figures, cpu, "mhz", &reading->mhz);
    figures_text(figures, cpu, "mhz_source", reading->mhz_source, reading->mhz.reason);
    figures_sensor(figures, cpu, "temperature_c", &reading->temperature_c);
    figures_text(figures, cpu, "temperature_source", reading->temperature_source,
                 reading->temperature_c.reason);
    figures_sensor(figures, cpu, "power_w", &reading->power_w);
    json_t *cores = figures_array(figures, cpu, "cores");
    for (uint32_t i = 0; i < reading->n_cores; i++) {
        json_t *core = figures_item(figures, cores);
        figures_count(figures, core, "id", reading->cores[i].id);
        figures_number(figures, core, "busy", reading->cores[i].busy,
                       reading->busy.known ? "no time was counted for it since the sample before"
                                           : reading->busy.reason);
        figures_number(figures, core, "mhz", reading->cores[i].mhz,
                       reading->mhz.known ? "this core tells none" : reading->mhz.reason);
    }
}

/* ---- GPUs ---- */

void performance_put_gpus(struct figures *figures, json_t *root, struct sensors_gpus *gpus)
{
    const char *reason;
    uint32_t n = sensors_gpus_count(gpus, &reason);
    if (n == 0) {
        figures_null(figures, root, "gpus", reason);
        return;
    }
    json_t *array = figures_array(figures, root, "gpus");
    for (uint32_t i = 0; i < n; i++) {
        struct sensors_gpu_reading reading;
        sensors_gpus_read(gpus, i, &reading);
        json_t *gpu = figures_item(figures, array);
        figures_text(figures, gpu, "name", reading.name, "");
        figures_sensor(figures, gpu, "busy", &reading.busy);
        figures_sensor(figures, gpu, "memory_total_bytes", &reading.memory_total_bytes);
        figures_sensor(figures, gpu, "memory_used_bytes", &reading.memory_used_bytes);
        figures_sensor(figures, gpu, "temperature_c", &reading.temperature_c);
        figures_sensor(figures, gpu, "power_w", &reading.power_w);
        figures_sensor(figures, gpu, "power_limit_w", &reading.power_limit_w);
        figures_sensor(figures, gpu, "graphics_mhz", &reading.graphics_mhz);
        figures_sensor(figures, gpu, "memory_mhz", &reading.memory_mhz);
    }
}
