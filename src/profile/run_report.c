/* "llmind.report/1", put together from what a run has: also from a run that ended early, whose report then
 * says what it did not come to. The schema is docs/report.schema.json.
 */
#include <math.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/version.h"
#include "platform/cpu.h"
#include "platform/file.h"
#include "platform/setup.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/run_internal.h"
#include "profile/run_predict.h"
#include "profile/run_remote.h"

static const char untold[] = "this system does not tell";

/* Why a part that belongs to a model of this machine is not there. */
static const char *no_lab(const struct run *run)
{
    return run->target                             ? RUN_REMOTE_REASON
           : run->request->kind == PROFILE_COMPARE ? "several models: see comparison"
                                                   : "the model could not be opened";
}

static void put_known(json_t *o, const char *key, bool known, uint64_t bytes, const char *reason)
{
    if (known)
        json_put_integer(o, key, bytes);
    else
        json_put_null(o, key, reason);
}

static json_t *tool_json(void)
{
    json_t *o = json_object();
    json_put_string(o, "name", "llmind", "");
    json_put_string(o, "version", version_number(), "");
    json_put_string(o, "commit", version_commit(), "built outside a git checkout");
    return o;
}

static bool is_path(const char *name)
{
    return name[0] == '/' || name[0] == '.' || name[0] == '~' || file_is_folder(name);
}

/* Of a model that was never opened, its name is what the user called it. */
static json_t *model_json(const struct run *run)
{
    const char *called = run->request->n_models ? run->request->models[0].name : NULL;
    json_t *o = json_deep_copy(json_get_object(run->lab_info, "model"));
    static const char *const figures[] = {"path",       "architecture", "quantization", "revision", "sha256",
                                          "parameters", "weight_bytes", "file_bytes",   "vocab"};
    if (!o) {
        o = json_object();
        called = run->target ? json_get_string(run->target, "model") : called;
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            json_put_null(o, figures[i], no_lab(run));
        json_put_string(o, "name", called ? called : "unknown", "not known");
    } else if (called && !is_path(called)) {
        json_put_string(o, "name", called, "not known");
    }
    return o;
}

static json_t *machine_json(const struct run *run)
{
    const struct cpu_info *cpu = cpu_info();
    const struct memory_machine *memory = &run->host_before.machine;
    struct utsname name;
    char os[160] = "";
    if (uname(&name) == 0)
        snprintf(os, sizeof os, "%.60s %.60s", name.sysname, name.release);
    json_t *o = json_object();
    json_put_string(o, "cpu", cpu->name, "not known");
    json_put_integer(o, "cores_online", cpu->cores_online);
    json_put_integer(o, "cores_allowed", cpu->cores_allowed);
    struct setup setup;
    setup_read("", &setup);
    json_put_number(o, "cores_physical", setup.physical_cores.known ? setup.physical_cores.value : NAN,
                    setup.physical_cores.reason);
    json_put_number(o, "quota_cores", cpu->quota_cores > 0 ? cpu->quota_cores : NAN, "no CPU quota is set");
    put_known(o, "last_level_cache_bytes", cpu->last_level_cache_bytes > 0, cpu->last_level_cache_bytes,
              untold);
    put_known(o, "memory_bytes", memory->known, memory->total_bytes, untold);
    if (memory->known && memory->limit_bytes == 0)
        json_put_null(o, "memory_limit_bytes", "no memory limit is set");
    else
        put_known(o, "memory_limit_bytes", memory->known, memory->limit_bytes, untold);
    json_put_string(o, "os", os[0] ? os : NULL, untold);
    json_put_null(o, "gpu", "a GPU computes only through the mlx backend, which does not describe it yet");
    return o;
}

static json_t *protocol_json(const struct run *run)
{
    json_t *o = json_object();
    json_put_integer(o, "repeats", run->repeats ? run->repeats : 1); /* a proof that did not begin */
    json_put_integer(o, "warmups", 1);
    if (run->request->kind == PROFILE_PROVE)
        json_put_null(o, "greedy", "each configuration has its own temperature");
    else
        json_put_bool(o, "greedy", true);
    json_put_bool(o, "ignore_eos", true);
    json_put_bool(o, "cold_prompts", true);
    if (run->target)
        run_remote_protocol(run, o);
    json_put_bool(o, "traced", false);
    json_put_number(o, "budget_s", run->budget_s > 0 ? run->budget_s : NAN, "only quick mode has a budget");
    json_object_set(o, "cuts", run->cuts);
    return o;
}

/* A figure of a sensor over the whole run, or why there is none. A kind of sensor that is missing as a whole
 * has one series, `kind`, that says why. */
static void put_sensor(json_t *o, const char *key, const struct run *run, const char *id, const char *kind,
                       const char *figure)
{
    const json_t *series = json_get_where(run->sensors, "series", "id", id);
    if (!series)
        series = json_get_where(run->sensors, "series", "id", kind);
    const char *reason = run->sensors ? json_get_text(series, "reason", untold) : run->sensors_reason;
    if (json_get_is(series, "quality", "nominal"))
        json_put_null(o, key, "the system tells only the nominal value, which says nothing of this run");
    else
        json_put_number(o, key, json_get_number(series, figure), *reason ? reason : untold);
}

static json_t *host_json(const struct run *run)
{
    const struct lab_memory *memory = &run->memory;
    const char *why = run->lab_info ? untold : no_lab(run);
    json_t *o = json_object();
    json_put_number(o, "load_before", run->host_before.load_1min, untold);
    json_put_number(o, "load_after", run->host_after.load_1min, untold);
    json_put_number(o, "steal_fraction", host_steal(&run->host_before, &run->host_after), untold);
    json_put_number(o, "swap_change_bytes",
                    memory->known ? (double)memory->swap_bytes - (double)run->swap_first_bytes : NAN, why);
    json_put_number(o, "weights_resident_before", run->weights_resident,
                    run->lab_info ? "the system does not tell which pages of a file are in memory" : why);
    json_put_number(o, "major_faults", memory->known ? (double)memory->major_faults : NAN, why);
    put_sensor(o, "temperature_c", run, "cpu_temperature_c", "cpu_temperature_c", "max");
    put_sensor(o, "frequency_mhz", run, "cpu_mhz", "cpu_mhz", "mean");
    put_sensor(o, "power_w", run, "cpu_power_w", "cpu_power_w", "mean");
    put_sensor(o, "gpu_utilization", run, "gpu_0_busy", "gpu", "mean");
    return o;
}

static json_t *memory_json(const struct run *run)
{
    const struct lab_memory *memory = &run->memory;
    json_t *o = json_object(), *predicted = json_object(), *measured = json_object();
    uint64_t parts[3], sum = 0;
    static const char *const from[] = {"weight_bytes", "kv_bytes", "scratch_bytes"};
    static const char *const to[] = {"weights_bytes", "kv_bytes", "scratch_bytes"};
    for (int i = 0; i < 3; i++) {
        parts[i] = (uint64_t)json_integer_value(json_get(run->lab_info, from[i]));
        sum += parts[i];
        json_put_integer(predicted, to[i], parts[i]);
    }
    json_put_integer(predicted, "footprint_bytes", sum);
    put_known(measured, "file_resident_bytes", memory->known, memory->file_resident_bytes, untold);
    put_known(measured, "anonymous_bytes", memory->known, memory->anonymous_bytes, untold);
    put_known(measured, "footprint_bytes", memory->known, memory->footprint_bytes, untold);
    put_known(measured, "footprint_peak_bytes", memory->known, memory->footprint_peak_bytes, untold);
    bool own = memory->known && memory->allocator_peak_bytes;
    const char *none =
        memory->known ? "this backend takes its memory from the system, or nothing was computed" : untold;
    put_known(measured, "allocator_active_bytes", own, memory->allocator_active_bytes, none);
    put_known(measured, "allocator_peak_bytes", own, memory->allocator_peak_bytes, none);
    put_known(measured, "allocator_cache_bytes", own, memory->allocator_cache_bytes, none);
    json_put_integer(o, "kv_bytes_per_token",
                     (uint64_t)json_integer_value(json_get(run->lab_info, "kv_bytes_per_token")));
    json_object_set_new(o, "predicted", predicted);
    json_object_set_new(o, "measured", measured);
    return o;
}

/* A part that somebody else made: value is kept by the run. */
static void put_part(json_t *o, const char *key, json_t *value, const char *reason)
{
    if (value)
        json_object_set(o, key, value);
    else
        json_put_null(o, key, reason);
}

static void put_predicted(json_t *o, const struct run *run)
{
    const char *reason;
    json_t *predicted = run_predicted_json(run, &reason);
    if (predicted)
        json_object_set_new(o, "predicted", predicted);
    else
        json_put_null(o, "predicted", run->lab_info ? reason : no_lab(run));
}

static const char *status_name(int status, const char *message)
{
    return status == ERROR_CANCELLED ? "cancelled" : status || message ? "failed" : "success";
}

json_t *run_report(const struct run *run, int status, const char *message)
{
    json_t *o = json_object();
    bool compare = run->request->kind == PROFILE_COMPARE, proof = run->request->kind == PROFILE_PROVE;
    json_put_string(o, "schema", "llmind.report/1", "");
    json_put_string(o, "kind", profile_kind_name(run->request->kind), "");
    json_put_string(o, "created", run->created, "");
    json_put_string(o, "status", status_name(status, message), "");
    if (message)
        json_put_string(o, "message", message, "");
    json_put_string(o, "mode", run->request->quick ? "quick" : "full", "");
    json_put_number(o, "duration_s", run_elapsed_s(run), "");
    if (json_array_size(run->notes))
        json_object_set(o, "notes", run->notes);
    json_object_set_new(o, "tool", tool_json());
    if (compare)
        json_put_null(o, "model", no_lab(run));
    else
        json_object_set_new(o, "model", model_json(run));
    json_object_set_new(o, "machine", machine_json(run));
    put_part(o, "flags", (json_t *)(uintptr_t)json_get_object(run->lab_info, "flags"), no_lab(run));
    json_object_set_new(o, "protocol", protocol_json(run));
    json_object_set_new(o, "host", host_json(run));
    if (run->lab_info && !proof)
        json_object_set_new(o, "memory", memory_json(run));
    else
        json_put_null(o, "memory", proof ? PROOF_REASON : no_lab(run));
    put_predicted(o, run);
    put_part(o, "ceilings", run->ceilings,
             run->ceilings_reason[0] ? run->ceilings_reason
             : proof                 ? PROOF_REASON
                                     : no_lab(run));
    put_part(o, "sensors", run->sensors, run->sensors_reason);
    json_object_set_new(o, "summary", run_summary_json(run));
    json_t *tests = run_tests_json(run);
    if (run->target)
        run_remote_tests(run, tests);
    json_object_set_new(o, "tests", tests);
    json_object_set(o, "configurations", run->configurations);
    json_object_set(o, "traces", run->traces);
    put_part(o, "comparison", run->comparison,
             compare ? "the comparison ended before that"
             : proof ? PROOF_REASON
                     : "one model was profiled");
    put_part(o, "target", run->target, "a model of this machine");
    json_put_null(o, "analysis", proof ? PROOF_REASON : "the run ended before that");
    if (proof)
        json_put_null(o, "proof", "the run ended before that");
    return o;
}
