/* One function for each row. Bounds are those of the profiler's diagnoses where it has one (steal 5 %,
 * throttling 1 %, 83 degrees); a problem is what spoils measurements or keeps the program from working, a
 * warning what costs something. What cannot be read is unknown, and that is no warning.
 */
#include "cli/doctor_checks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "profile/format.h"

enum { KEY_MIN_BYTES = 8 };

struct rows {
    struct doctor_row *row; /* the next one */
    size_t n;
};

static struct doctor_row *add(struct rows *rows, const char *id, const char *title, const char *expected)
{
    struct doctor_row *row = &rows->row[rows->n++];
    *row = (struct doctor_row){.id = id, .title = title};
    snprintf(row->expected, sizeof row->expected, "%s", expected);
    return row;
}

static void observed(struct doctor_row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void observed(struct doctor_row *row, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(row->observed, sizeof row->observed, format, arguments);
    va_end(arguments);
}

static void fix(struct doctor_row *row, enum doctor_state state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fix(struct doctor_row *row, enum doctor_state state, const char *format, ...)
{
    row->state = state;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(row->fix, sizeof row->fix, format, arguments);
    va_end(arguments);
}

static void unknown(struct doctor_row *row, const char *reason)
{
    observed(row, "%s", reason);
    row->state = DOCTOR_UNKNOWN;
}

/* ---- what computes ---- */

static void check_isa(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row =
        add(rows, "isa", "instructions", facts->x86 ? "avx2 or avx512" : "the best there is");
    observed(row, "%s", facts->isa);
    if (strcmp(facts->isa, "reference") == 0)
        fix(row, DOCTOR_WARN,
            facts->x86 ? "the processor, or the virtual machine's CPU model, lacks AVX2: choose a host CPU "
                         "model that passes it through"
                       : "this program has fast kernels for x86 with AVX2 only; here it computes in plain C");
}

static void check_quota(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "quota", "CPU quota", "at least as many cores as threads");
    const struct sensors_value *quota = &facts->levels.quota_cores;
    uint32_t threads = facts->threads;
    if (!quota->known) {
        observed(row, "none; %u thread%s", (unsigned)threads, threads == 1 ? "" : "s");
        return;
    }
    char cores[FORMAT_MAX];
    observed(row, "%s for %u thread%s", format_of(cores, quota->value, "core"), (unsigned)threads,
             threads == 1 ? "" : "s");
    if (threads <= quota->value)
        return;
    unsigned whole = quota->value >= 1 ? (unsigned)quota->value : 1;
    fix(row, threads >= quota->value + 1 ? DOCTOR_PROBLEM : DOCTOR_WARN,
        "all threads stand still when the quota is used up: raise it (docker --cpus, Kubernetes limits.cpu), "
        "or "
        "use --threads %u",
        whole);
}

static void check_threads(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "threads", "threads and cores", "no more threads than physical cores");
    const struct sensors_value *physical = &facts->setup.physical_cores;
    char threads[FORMAT_MAX], cpus[FORMAT_MAX], cores[FORMAT_MAX];
    format_of(threads, facts->threads, "thread");
    format_of(cpus, facts->cores_allowed, "CPU");
    if (facts->threads > facts->cores_allowed) {
        observed(row, "%s on %s", threads, cpus);
        fix(row, DOCTOR_PROBLEM, "threads wait for each other's time slices: use --threads %u, or fewer",
            (unsigned)facts->cores_allowed);
        return;
    }
    if (!physical->known) {
        observed(row, "%s on %s; %.150s", threads, cpus, physical->reason);
        row->state = DOCTOR_UNKNOWN;
        return;
    }
    observed(row, "%s, %s, %s", threads, cpus, format_of(cores, physical->value, "physical core"));
    if (facts->threads > physical->value)
        fix(row, DOCTOR_WARN,
            "two threads share a core (SMT), which can slow decoding down: compare with --threads %.0f "
            "(llmind "
            "profile tries it)",
            physical->value);
}

/* ---- what takes time away ---- */

static void check_throttling(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "throttling", "throttling by quota", "at most 1 % of the periods");
    const struct sensors_value *fraction = &facts->load.throttled_fraction;
    if (!fraction->known) {
        unknown(row, fraction->reason);
        return;
    }
    char text[FORMAT_MAX];
    if (facts->load.periods == 0) {
        observed(row, "none");
        return;
    }
    observed(row, "%s of the periods while all threads computed", format_percent(text, fraction->value));
    if (fraction->value > 0.01)
        fix(row, fraction->value > 0.1 ? DOCTOR_PROBLEM : DOCTOR_WARN,
            "the control group's CPU quota is too small for %u threads: raise it, or use fewer threads",
            (unsigned)facts->threads);
}

static void check_steal(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "steal", "withheld by the hypervisor", "less than 5 %");
    const struct sensors_value *steal = &facts->busy_steal;
    char text[FORMAT_MAX];
    if (!steal->known) {
        unknown(row, steal->reason);
        return;
    }
    observed(row, "%s while all threads computed", format_percent(text, steal->value));
    if (steal->value >= 0.05)
        fix(row, steal->value >= 0.2 ? DOCTOR_PROBLEM : DOCTOR_WARN,
            "the hypervisor withholds these cores, probably for other virtual machines: figures measured now "
            "cannot be compared; choose an instance with cores of its own");
}

static void check_quiet(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "quiet", "other work", "less than 10 % of the CPUs");
    char text[FORMAT_MAX];
    if (!facts->rest_busy.known) {
        unknown(row, facts->rest_busy.reason);
        return;
    }
    observed(row, "%s of the CPUs were busy before anything was measured",
             format_percent(text, facts->rest_busy.value));
    if (facts->rest_busy.value >= 0.1)
        fix(row, DOCTOR_WARN, "something else computes: end it before measuring (top shows what it is)");
}

/* ---- how fast the processor runs ---- */

static void check_governor(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "governor", "frequency", "governor performance, boost on");
    const struct setup *setup = &facts->setup;
    char mhz[64] = "";
    if (facts->mhz.known)
        snprintf(mhz, sizeof mhz, "; %.0f MHz%s", facts->mhz.value,
                 facts->mhz_source && strcmp(facts->mhz_source, "cpuinfo") == 0 ? " (nominal)" : "");
    if (!setup->governor.value[0]) {
        observed(row, "%.180s%s", setup->governor.reason, mhz);
        row->state = DOCTOR_UNKNOWN;
        return;
    }
    bool boost_off = setup->boost.known && setup->boost.value == 0;
    observed(row, "governor %s%s%s", setup->governor.value, boost_off ? ", boost off" : "", mhz);
    if (strcmp(setup->governor.value, "performance") != 0)
        fix(row, DOCTOR_WARN,
            "the first tokens may run at a low frequency: sudo cpupower frequency-set -g performance");
    else if (boost_off)
        fix(row, DOCTOR_WARN,
            "the cores stay at their nominal frequency: echo 1 | sudo tee "
            "/sys/devices/system/cpu/cpufreq/boost (Intel: echo 0 to intel_pstate/no_turbo beside it)");
}

static void check_temperature(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "temperature", "temperature", "readable, below 83 °C");
    if (!facts->temperature_c.known) {
        unknown(row, facts->temperature_c.reason);
        if (!facts->setup.virtual_machine && facts->x86)
            fix(row, DOCTOR_UNKNOWN,
                "load the sensor's driver: sudo modprobe coretemp (Intel) or k10temp (AMD)");
        return;
    }
    observed(row, "%.1f °C (%s)", facts->temperature_c.value, facts->temperature_source);
    if (facts->temperature_c.value >= 83)
        fix(row, DOCTOR_WARN, "the processor is hot and may slow down: look at fans, dust and the room");
}

static void check_power(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "power", "power", "readable (RAPL, its energy counter)");
    if (facts->power_w.known) {
        observed(row, "%.1f W while all threads computed", facts->power_w.value);
        return;
    }
    unknown(row, facts->power_w.reason);
    if (strstr(facts->power_w.reason, "may not read"))
        fix(row, DOCTOR_WARN,
            "for joules per token: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj (until the next "
            "start; it lets other users watch the power too, CVE-2020-8694)");
}

/* ---- memory ---- */

static void check_huge_pages(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "huge_pages", "huge pages", "madvise or always");
    const struct setup_word *pages = &facts->setup.huge_pages;
    if (!pages->value[0]) {
        unknown(row, pages->reason);
        return;
    }
    observed(row, "%s", pages->value);
    if (strcmp(pages->value, "never") == 0)
        fix(row, DOCTOR_WARN,
            "caches and activations are read through small pages: echo madvise | sudo tee "
            "/sys/kernel/mm/transparent_hugepage/enabled");
}

static void check_memory(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "memory", "memory", "2 GB available, or more");
    const struct sensors_value *available = &facts->levels.memory_available_bytes;
    char text[FORMAT_MAX];
    if (!available->known) {
        unknown(row, available->reason);
        return;
    }
    observed(row, "%s available", format_bytes(text, available->value));
    if (available->value < 2e9)
        fix(row, available->value < 0.5e9 ? DOCTOR_PROBLEM : DOCTOR_WARN,
            "end what takes memory, raise the container's limit, or stay with small models");
}

static void check_swap(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "swap", "swap", "nothing comes back from it");
    const struct pressure_levels *levels = &facts->levels;
    const struct sensors_value *rate = &facts->load.swap_in_bytes_per_s;
    char used[FORMAT_MAX], total[FORMAT_MAX], speed[FORMAT_MAX];
    if (!levels->swap_total_bytes.known) {
        unknown(row, levels->swap_total_bytes.reason);
        return;
    }
    if (levels->swap_total_bytes.value == 0) {
        observed(row, "none");
        return;
    }
    format_bytes(used, levels->swap_used_bytes.value);
    format_bytes(total, levels->swap_total_bytes.value);
    if (rate->known)
        observed(row, "%s of %s in use, %s/s read back", used, total, format_bytes(speed, rate->value));
    else
        observed(row, "%s of %s in use; what is read back is not known", used, total);
    if (rate->known && rate->value > 0)
        fix(row, rate->value > 1e6 ? DOCTOR_PROBLEM : DOCTOR_WARN,
            "memory is short, or was: what is read back from swap is waited for; end what takes memory, or "
            "use a smaller model");
}

static void check_pressure(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "pressure", "waiting for memory", "less than 5 % of the last 10 s");
    const struct sensors_value *memory = &facts->levels.memory;
    char text[FORMAT_MAX];
    if (!memory->known) {
        unknown(row, memory->reason);
        return;
    }
    observed(row, "%s of the last 10 s", format_percent(text, memory->value));
    if (memory->value >= 0.05)
        fix(row, memory->value >= 0.2 ? DOCTOR_PROBLEM : DOCTOR_WARN,
            "programs wait for memory that has to be fetched: end what takes memory, or use a smaller model");
}

/* ---- the rest ---- */

static void check_gpu(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "gpu", "GPU", "none is needed: the cpu backend does without");
    observed(row, "%s", facts->gpus[0] ? facts->gpus : facts->no_gpu);
}

static void check_port(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "port", "port", "free");
    if (facts->port_error == 0) {
        observed(row, "%u is free", (unsigned)facts->port);
        return;
    }
    observed(row, "%u: %s", (unsigned)facts->port, strerror(facts->port_error));
    if (facts->port_error == EADDRINUSE)
        fix(row, DOCTOR_WARN,
            "another program listens there (a running LLMind, perhaps): end it, or use llmind serve --port "
            "N");
    else
        fix(row, DOCTOR_PROBLEM, "llmind serve cannot open it: use llmind serve --port N");
}

static void check_data(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row = add(rows, "data", "data folder", "writable, 100 MB free");
    const struct doctor_place *data = &facts->data;
    char text[FORMAT_MAX];
    if (!data->writable) {
        observed(row, "%.200s", data->problem);
        fix(row, DOCTOR_PROBLEM,
            "chats, settings and runs cannot be kept: give yourself the right to write there, or set "
            "LLMIND_DATA_DIR to another folder");
        return;
    }
    observed(row, "%.200s, %s free", data->path, format_bytes(text, data->free_bytes));
    if (data->free_bytes < 100e6)
        fix(row, DOCTOR_PROBLEM, "the disk is nearly full: chats and runs cannot be kept");
}

static void check_key(struct rows *rows, const struct doctor_facts *facts)
{
    struct doctor_row *row =
        add(rows, "api_key", "API key", "none, or 8 bytes and more; one is needed to serve other machines");
    size_t length = facts->api_key ? strlen(facts->api_key) : 0;
    if (length == 0) {
        observed(row, "none: the server is for this machine alone");
        return;
    }
    observed(row, "LLMIND_API_KEY is set (%zu bytes)", length);
    if (length < KEY_MIN_BYTES)
        fix(row, DOCTOR_PROBLEM,
            "it is too short, so llmind serve refuses it: openssl rand -hex 24 makes one");
}

size_t doctor_check(const struct doctor_facts *facts, struct doctor_row rows[DOCTOR_MAX_ROWS])
{
    static void (*const checks[])(struct rows * rows, const struct doctor_facts *facts) = {
        check_isa,      check_quota,       check_threads, check_throttling, check_steal,  check_quiet,
        check_governor, check_temperature, check_power,   check_huge_pages, check_memory, check_swap,
        check_pressure, check_gpu,         check_port,    check_data,       check_key};
    _Static_assert(sizeof checks / sizeof *checks <= DOCTOR_MAX_ROWS, "more checks than rows");
    struct rows written = {.row = rows};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](&written, facts);
    return written.n;
}

const char *doctor_state_name(enum doctor_state state)
{
    static const char *const names[] = {"ok", "unknown", "warn", "problem"};
    return names[state];
}
