/* Rules about memory: is everything the model needs really there, and what else is? */
#include <math.h>

#include "profile/diagnose.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/thresholds.h"

/* Phases in which tokens are generated. */
static const char *generating(const struct facts *facts)
{
    return json_get_is(facts->report, "kind", "prove") ? "proof" : "decode";
}

bool diagnose_swapping(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double swap_in = facts_sensor_mean(facts, "swap_in_bytes_per_s", generating(facts));
    double change = json_get_number(facts->report, "host.swap_change_bytes");
    bool reads = swap_in >= SWAP_IN_BYTES_PER_S, grew = change >= SWAP_GROWTH_BYTES;
    if (!reads && !grew)
        return false;
    char a[FORMAT_MAX];
    finding_figure(out, "swap_in_bytes_per_s", swap_in);
    finding_figure(out, "swap_change_bytes", change);
    if (reads)
        finding_say(
            out, SEVERITY_HIGH, "Memory is swapped in while tokens are generated",
            "%s per second were read back from swap (memory that was moved out to the disk) on this machine "
            "while decoding. The model and what else runs here probably need more memory than there is, and "
            "tokens may wait for the disk.",
            format_bytes(a, swap_in));
    else
        finding_say(
            out, SEVERITY_MEDIUM, "Memory of the run went to swap",
            "%s of the run's memory went to swap (memory that was moved out to the disk). %s while tokens "
            "were generated, but memory seems to be short: a longer context may become slow.",
            format_bytes(a, change),
            isnan(swap_in) ? "It is not known whether any was read back" : "Little or nothing was read back");
    return true;
}

bool diagnose_not_resident(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_get(so_far, "swapping"))
        return false; /* the same shortage, already named */
    double faults = facts_sensor_mean(facts, "major_faults_per_s", generating(facts));
    if (!(faults >= FAULTS_PER_S))
        return false;
    finding_figure(out, "major_faults_per_s", faults);
    finding_figure(out, "weight_bytes", facts->model_bytes);
    finding_figure(out, "memory_bytes", facts->memory_bytes);
    finding_say(
        out, faults >= FAULTS_MANY_PER_S ? SEVERITY_HIGH : SEVERITY_MEDIUM,
        "Memory is read from disk while decoding",
        "%.0f pages of memory per second had to come from the disk while tokens were generated: probably not "
        "all of the weights stay in memory. Each such page takes far longer than one that is there.",
        faults);
    return true;
}

/* The weights were not in memory when the run began. That concerns loading and the first answer: the run
 * reads all of them before anything is timed. */
bool diagnose_cold_cache(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_get(so_far, "not_resident") || findings_get(so_far, "swapping"))
        return false;
    double resident = json_get_number(facts->report, "host.weights_resident_before");
    double absent = (1 - resident) * facts->model_bytes;
    if (!(resident < COLD_RESIDENT) || !(absent >= COLD_BYTES))
        return false;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    finding_figure(out, "weights_resident_before", resident);
    finding_figure(out, "weight_bytes", facts->model_bytes);
    finding_say(
        out, SEVERITY_LOW, "The run began with weights on the disk",
        "%s of the %s of weights were not in memory when the run began and had to come from the disk. No "
        "speed in this report contains that wait; the first answer after a start does.",
        format_bytes(a, absent), format_bytes(b, facts->model_bytes));
    return true;
}

bool diagnose_memory_tight(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_get(so_far, "swapping") || findings_get(so_far, "not_resident"))
        return false;
    double share = facts->footprint_peak_bytes / facts->memory_bytes;
    if (!(share >= MEMORY_TIGHT))
        return false;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    finding_figure(out, "footprint_peak_bytes", facts->footprint_peak_bytes);
    finding_figure(out, "memory_bytes", facts->memory_bytes);
    finding_say(
        out, share >= MEMORY_FULL ? SEVERITY_HIGH : SEVERITY_MEDIUM, "Memory is nearly full",
        "At its peak the run held %s of the %s it may have. A longer context, a second conversation or "
        "another program may push weights out of memory.",
        format_bytes(a, facts->footprint_peak_bytes), format_bytes(b, facts->memory_bytes));
    return true;
}

/* What the surplus is: memory of the process's own, or files that it has mapped. */
static const char *surplus(const struct facts *facts)
{
    double own = json_get_positive(facts->report, "memory.measured.anonymous_bytes") -
                 json_get_positive(facts->report, "memory.predicted.kv_bytes") -
                 json_get_positive(facts->report, "memory.predicted.scratch_bytes");
    double files = json_get_positive(facts->report, "memory.measured.file_resident_bytes") -
                   json_get_positive(facts->report, "memory.predicted.weights_bytes");
    double more = facts->footprint_peak_bytes - facts->predicted_bytes;
    if (isnan(own) || isnan(files))
        return "What the rest is could not be read.";
    return own >= 0.5 * more     ? "Most of the rest is other memory of the process's own."
           : files >= 0.5 * more ? "Most of the rest is files that are mapped beside the weights."
           : fmax(own, 0) + fmax(files, 0) >= 0.5 * more
               ? "The rest is other memory of the process and files that are mapped beside the weights."
               : "Most of the rest was needed for a moment only, perhaps while loading: it was gone when the "
                 "run ended.";
}

/* Small models stand beside tokenizers and code of tens of megabytes, hence the constant. */
bool diagnose_footprint(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double more = facts->footprint_peak_bytes - facts->predicted_bytes;
    if (!(facts->predicted_bytes > 0) || !(more > FOOTPRINT_EXCESS * facts->predicted_bytes) ||
        !(more > FOOTPRINT_BYTES))
        return false;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    finding_figure(out, "footprint_peak_bytes", facts->footprint_peak_bytes);
    finding_figure(out, "predicted_bytes", facts->predicted_bytes);
    finding_say(
        out, SEVERITY_LOW, "More memory is used than the model explains",
        "The peak was %s where weights, KV cache and the intermediate results of a step add up to %s. %s",
        format_bytes(a, facts->footprint_peak_bytes), format_bytes(b, facts->predicted_bytes),
        surplus(facts));
    return true;
}

bool diagnose_gpu_working_set(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double limit = json_get_positive(facts->report, "machine.gpu_working_set_bytes");
    if (!(facts->model_bytes > GPU_WORKING_SET * limit))
        return false;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    finding_figure(out, "weight_bytes", facts->model_bytes);
    finding_figure(out, "gpu_working_set_bytes", limit);
    finding_say(
        out, SEVERITY_HIGH, "The model takes nearly all of the GPU's working set, or more",
        "The weights take %s, and the system keeps at most %s ready for the GPU (its working set). Above "
        "90 %% of it, weights may be moved in and out while tokens are generated.",
        format_bytes(a, facts->model_bytes), format_bytes(b, limit));
    return true;
}
