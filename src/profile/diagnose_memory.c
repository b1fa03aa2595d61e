/* Rules about memory: is everything the model needs really there, and what else is? */
#include <math.h>

#include "profile/diagnose.h"
#include "profile/format.h"
#include "profile/json_get.h"

bool diagnose_swapping(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double swap_in = facts_sensor_mean(facts, "swap_in_bytes_per_s", "decode");
    double change = json_get_number(facts->report, "host.swap_change_bytes");
    bool reads = swap_in >= 1e6, grew = change >= 64e6;
    if (!reads && !grew)
        return false;
    char a[FORMAT_MAX];
    finding_figure(out, "swap_in_bytes_per_s", swap_in);
    finding_figure(out, "swap_change_bytes", change);
    if (reads)
        finding_say(out, SEVERITY_HIGH, "Memory is swapped in while tokens are generated",
                    "%s were read back from swap every second of decoding. The model and what else runs here "
                    "need more memory than there is, and each token waits for the disk.",
                    format_bytes(a, swap_in));
    else
        finding_say(out, SEVERITY_MEDIUM, "The run pushed memory into swap",
                    "%s went to swap during the run. Nothing was read back while tokens were generated, but "
                    "memory is short: the next longer context will be slow.",
                    format_bytes(a, change));
    return true;
}

bool diagnose_not_resident(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_get(so_far, "swapping"))
        return false; /* the same shortage, already named */
    double faults = facts_sensor_mean(facts, "major_faults_per_s", "decode");
    if (!(faults >= 5))
        return false;
    finding_figure(out, "major_faults_per_s", faults);
    finding_figure(out, "weight_bytes", facts->model_bytes);
    finding_figure(out, "memory_bytes", facts->memory_bytes);
    finding_say(
        out, faults >= 50 ? SEVERITY_HIGH : SEVERITY_MEDIUM, "Weights are read from disk while decoding",
        "%.0f pages a second had to come from the disk while tokens were generated: the weights do not "
        "stay in memory. A page fault costs as much time as reading megabytes that are there.",
        faults);
    return true;
}

/* The weights were not in memory when the run began. That concerns loading and the first answer: the run reads
 * all of them before anything is timed. */
bool diagnose_cold_cache(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_get(so_far, "not_resident") || findings_get(so_far, "swapping"))
        return false;
    double resident = json_get_number(facts->report, "host.weights_resident_before");
    double absent = (1 - resident) * facts->model_bytes;
    if (!(resident < 0.9) || !(absent >= 64e6)) /* less is read before anybody notices */
        return false;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    finding_figure(out, "weights_resident_before", resident);
    finding_figure(out, "weight_bytes", facts->model_bytes);
    finding_say(out, SEVERITY_LOW, "The run began with a cold page cache",
                "%s of the %s of weights were not in memory when the run began and had to come from the disk. "
                "Nothing of that is in any figure here; it is what the first answer after a start waits for.",
                format_bytes(a, absent), format_bytes(b, facts->model_bytes));
    return true;
}

bool diagnose_memory_tight(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_get(so_far, "swapping") || findings_get(so_far, "not_resident"))
        return false;
    double share = facts->footprint_peak_bytes / facts->memory_bytes;
    if (!(share >= 0.9))
        return false;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    finding_figure(out, "footprint_peak_bytes", facts->footprint_peak_bytes);
    finding_figure(out, "memory_bytes", facts->memory_bytes);
    finding_say(
        out, share >= 0.97 ? SEVERITY_HIGH : SEVERITY_MEDIUM, "Memory is nearly full",
        "At its peak the run held %s of the %s it may have. A longer context, a second conversation or "
        "another program will push weights out of memory.",
        format_bytes(a, facts->footprint_peak_bytes), format_bytes(b, facts->memory_bytes));
    return true;
}

/* Small models stand beside tokenizers and code of tens of megabytes, hence the constant. */
bool diagnose_footprint(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double more = facts->footprint_peak_bytes - facts->predicted_bytes;
    if (!(facts->predicted_bytes > 0) || !(more > 0.5 * facts->predicted_bytes) || !(more > 400e6))
        return false;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    finding_figure(out, "footprint_peak_bytes", facts->footprint_peak_bytes);
    finding_figure(out, "predicted_bytes", facts->predicted_bytes);
    finding_say(
        out, SEVERITY_LOW, "More memory is used than weights, KV cache and scratch explain",
        "The peak was %s where weights, KV cache and scratch add up to %s. The rest is the allocator's, "
        "or memory that was needed only while loading.",
        format_bytes(a, facts->footprint_peak_bytes), format_bytes(b, facts->predicted_bytes));
    return true;
}

bool diagnose_gpu_working_set(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double limit = json_get_positive(facts->report, "machine.gpu_working_set_bytes");
    if (!(facts->model_bytes > 0.9 * limit))
        return false;
    char a[FORMAT_MAX], b[FORMAT_MAX];
    finding_figure(out, "weight_bytes", facts->model_bytes);
    finding_figure(out, "gpu_working_set_bytes", limit);
    finding_say(out, SEVERITY_HIGH, "The model is as large as the GPU's working set",
                "The weights take %s, and the system keeps %s resident for the GPU. Above nine tenths of it "
                "weights are moved in and out while tokens are generated.",
                format_bytes(a, facts->model_bytes), format_bytes(b, limit));
    return true;
}
