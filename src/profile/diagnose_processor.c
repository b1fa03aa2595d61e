/* Rules about processor time: who takes it away, and do the threads fit the cores? */
#include <math.h>
#include <stdio.h>

#include "profile/diagnose.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/thresholds.h"

/* What the kernel counted beats what the numbers suggest: threads may be more than the quota and idle. */
bool diagnose_cpu_quota(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double throttled = facts_sensor_mean(facts, "throttled_fraction", NULL);
    bool counted = throttled > THROTTLED;
    bool suspected = isnan(throttled) && facts->threads > facts->quota_cores + 0.01;
    if (!counted && !suspected)
        return false;
    finding_figure(out, "throttled_fraction", throttled);
    finding_figure(out, "quota_cores", facts->quota_cores);
    finding_figure(out, "threads", facts->threads);
    char a[FORMAT_MAX], b[FORMAT_MAX];
    if (counted)
        finding_say(
            out, throttled > THROTTLED_MUCH ? SEVERITY_HIGH : SEVERITY_MEDIUM,
            "The CPU quota of this container stops the threads",
            "In %.1f %% of the scheduling periods (usually 100 ms each) the container had used up its "
            "quota, and all threads were stopped until the next one. Threads that wait for a stopped one "
            "lose time too: using no more threads than the quota has cores can be many times faster.",
            100 * throttled);
    else
        finding_say(
            out, SEVERITY_MEDIUM, "More threads than the CPU quota allows",
            "A CPU quota of %s is there for %s. Whether the system stopped them could not be read; when it "
            "does, all wait for its next scheduling period (usually 100 ms).",
            format_of(a, facts->quota_cores, "core"), format_of(b, facts->threads, "thread"));
    return true;
}

bool diagnose_oversubscribed(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    if (!(facts->threads > facts->cores_allowed))
        return false;
    finding_figure(out, "threads", facts->threads);
    finding_figure(out, "cores_allowed", facts->cores_allowed);
    char cores[FORMAT_MAX];
    finding_say(
        out, SEVERITY_HIGH, "More threads than cores",
        "%.0f compute threads share %s. At every operation all threads wait for the slowest, which is "
        "usually one that had to wait for a core.",
        facts->threads, format_of(cores, facts->cores_allowed, "core"));
    return true;
}

bool diagnose_smt(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    if (findings_get(so_far, "oversubscribed") || findings_get(so_far, "cpu_quota") ||
        !(facts->threads > facts->cores_physical))
        return false;
    char id[32];
    snprintf(id, sizeof id, "threads=%.0f", facts->cores_physical);
    const json_t *tried = facts_configuration(facts, id);
    if (tried && !json_get_is(tried, "verdict", "higher"))
        return false; /* measured, and the second threads do no harm */
    double gain = json_get_number(tried, "change_pct");
    finding_figure(out, "threads", facts->threads);
    finding_figure(out, "cores_physical", facts->cores_physical);
    finding_figure(out, "change_pct", gain);
    char cores[FORMAT_MAX];
    finding_say(
        out, tried ? SEVERITY_MEDIUM : SEVERITY_LOW, "Two threads share one physical core",
        "%.0f threads run on %s. Threads of one core share its units and caches: reading prompts may gain "
        "a little, decoding usually loses.",
        facts->threads, format_of(cores, facts->cores_physical, "physical core"));
    return true;
}

bool diagnose_steal(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double steal = facts_sensor_mean(facts, "steal", NULL);
    if (isnan(steal))
        steal = json_get_positive(facts->report, "host.steal_fraction");
    if (!(steal >= STEAL))
        return false;
    finding_figure(out, "steal_fraction", steal);
    finding_say(
        out, steal >= STEAL_MUCH ? SEVERITY_HIGH : SEVERITY_MEDIUM, "The hypervisor withholds processor time",
        "This is a virtual machine, and its hypervisor (the host's program that shares the processors out) "
        "withheld %.0f %% of the processor time, usually to give it to other machines. The figures of this "
        "run say how fast the model was then, not how fast it can be here: do not compare them with other "
        "runs.",
        100 * steal);
    return true;
}

/* What others of this machine used: all cores' busy time less our own process. */
bool diagnose_busy_host(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double busy = facts_sensor_mean(facts, "cpu_busy", NULL);
    double own = facts_sensor_mean(facts, "process_cores", NULL);
    double others = busy * facts->cores_online - own;
    /* a neighbour on a core that we do not need is no neighbour */
    bool crowded = others + facts->threads > facts->cores_online + CROWDED_CORES;
    if (!(others >= fmax(OTHERS_CORES, OTHERS_SHARE * facts->cores_online)) || !crowded)
        return false;
    finding_figure(out, "others_cores", others);
    finding_figure(out, "process_cores", own);
    finding_figure(out, "cores_online", facts->cores_online);
    char cores[FORMAT_MAX], threads[FORMAT_MAX];
    finding_say(out, others >= OTHERS_MUCH * facts->cores_online ? SEVERITY_HIGH : SEVERITY_MEDIUM,
                "Other programs used the processors during the run",
                "Other programs took %.1f of %s while this run was timed and left it less than its %s "
                "could use. A step waits for every thread that is held up.",
                others, format_of(cores, facts->cores_online, "core"),
                format_of(threads, facts->threads, "thread"));
    return true;
}

/* A clock that falls while the work is the same, a processor that is hot, or power at its limit. */
bool diagnose_thermal(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    bool gpu = facts_use_gpu(facts);
    double cpu_clock = facts_sensor_change(facts, "cpu_mhz"),
           gpu_clock = gpu ? facts_sensor_change(facts, "gpu_0_mhz") : NAN;
    double cpu_c = facts_sensor_max(facts, "cpu_temperature_c"),
           gpu_c = gpu ? facts_sensor_max(facts, "gpu_0_temperature_c") : NAN;
    double hot = fmax(cpu_c, gpu_c);
    double limit_w = gpu ? facts_sensor_max(facts, "gpu_0_power_limit_w") : NAN;
    double at_limit = facts_sensor_share(facts, "gpu_0_power_w", POWER_AT_LIMIT * limit_w);
    double fall = fmin(cpu_clock, gpu_clock);
    bool slowed = fall <= -CLOCK_FALL, too_hot = hot >= HOT_C, limited = at_limit > POWER_LIMIT_TIME;
    if (!slowed && !too_hot && !limited)
        return false;
    finding_figure(out, "frequency_change", fall);
    finding_figure(out, "temperature_c", hot);
    finding_figure(out, "power_limit_w", limit_w);
    finding_figure(out, "time_share_at_power_limit", at_limit);
    if (slowed)
        finding_say(
            out, fall <= -CLOCK_FALL_MUCH ? SEVERITY_HIGH : SEVERITY_MEDIUM, "The clock fell during the run",
            "The frequency was %.0f %% lower at the end of the run than at its beginning%s. Longer work is "
            "probably slower than these figures say.",
            -100 * fall,
            !too_hot       ? ""
            : hot == gpu_c ? ", and the GPU was hot"
                           : ", and the processor was hot");
    else if (too_hot)
        finding_say(out, SEVERITY_MEDIUM, hot == gpu_c ? "The GPU is hot" : "The processor is hot",
                    "It reached %.0f °C. %s; in longer work it may fall.", hot,
                    isnan(hot == gpu_c ? gpu_clock : cpu_clock) ? "Whether the clock held could not be read"
                                                                : "The clock hardly fell during this run");
    else
        finding_say(
            out, SEVERITY_MEDIUM, "Power is at its limit",
            "For %.0f %% of the time the GPU drew %.0f %% or more of its power limit (%.0f W): that probably "
            "holds its clock down.",
            100 * at_limit, 100 * POWER_AT_LIMIT, limit_w);
    return true;
}

bool diagnose_numa(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    (void)so_far;
    double remote = facts_sensor_mean(facts, "numa_remote_fraction", NULL);
    if (!(remote >= NUMA_REMOTE))
        return false;
    finding_figure(out, "numa_remote_fraction", remote);
    finding_say(
        out, remote >= NUMA_REMOTE_MUCH ? SEVERITY_HIGH : SEVERITY_MEDIUM,
        "Weights are read from another socket's memory",
        "%.0f %% of what the threads read lies in the memory of another processor socket (another "
        "NUMA node) and could lie nearer; the link to it is slower than a socket's own memory. This is "
        "told from where pages lie and threads run.",
        100 * remote);
    return true;
}

/* The worst decode test. A tail that a cause above explains is not a finding of its own. */
bool diagnose_itl_tail(const struct facts *facts, const struct findings *so_far, struct finding *out)
{
    /* tokens that were guessed come together, and their gaps say nothing */
    if (findings_disturbed(so_far) || json_get_number(facts->report, "flags.prompt_lookup") > 0)
        return false;
    const json_t *tests = json_get_array(facts->report, "tests");
    double worst = 0, p50 = NAN, p99 = NAN;
    for (size_t i = 0; i < json_get_count(tests, "") && i < 256; i++) {
        const json_t *test = json_get_item(tests, i);
        if (!json_get_is(test, "kind", "decode"))
            continue;
        double low = json_get_positive(test, "summary.itl_p50_ms.median");
        double high = json_get_positive(test, "summary.itl_p99_ms.median");
        if (high / low > worst && isfinite(high / low)) {
            worst = high / low;
            p50 = low;
            p99 = high;
        }
    }
    if (!(worst > ITL_TAIL) || !(p99 - p50 >= ITL_TAIL_MS))
        return false;
    finding_figure(out, "itl_p50_ms", p50);
    finding_figure(out, "itl_p99_ms", p99);
    finding_figure(out, "ratio", worst);
    finding_say(
        out, worst > ITL_SEVERE ? SEVERITY_HIGH : SEVERITY_MEDIUM, "Some tokens come much later than others",
        "One gap between tokens in a hundred was %.3g ms or longer, %.1f times the usual %.3g ms. Something "
        "seems to interrupt the work: another program, the system, or requests that wait for each other.",
        p99, worst, p50);
    return true;
}
