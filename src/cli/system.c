/* `llmind system`: what this machine is, what it was measured to do, which sensors it has; and the
 * calibration that estimates are priced with. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "platform/sensors.h"
#include "profile/calibrate.h"
#include "profile/ceilings.h"
#include "profile/format.h"
#include "profile/guide.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/table.h"

enum {
    OPTION_JSON = 300,
    OPTION_CALIBRATE,
    OPTION_THOROUGH,
    OPTION_ISA,
    MAX_THREADS = 1024,
    SENSOR_MS = 200
};

static const struct cli_option options[] = {
    {OPTION_CALIBRATE, 0, "calibrate", NULL, "measure what operations cost here, and keep it for estimates"},
    {OPTION_THOROUGH, 0, "thorough", NULL, "with --calibrate: every group size, more rounds (minutes)"},
    {'t', 't', "threads", "N", "threads to measure with (default: as the engine chooses)"},
    {OPTION_ISA, 0, "isa", "NAME", "instruction set to measure (default: the best)"},
    {OPTION_JSON, 0, "json", NULL, "one JSON object instead of text"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "system",
    .arguments = "[--calibrate [--thorough]] [--json]",
    .about =
        "What this machine is and can do: processor, memory, measured ceilings, sensors, and whether it is\n"
        "calibrated. --calibrate runs small made-up models through the real backend for about half a minute\n"
        "and keeps what each kind of operation costs; estimates need it. Nothing else should run meanwhile.",
    .options = options,
    .examples = "  llmind system\n"
                "  llmind system --calibrate\n"
                "  llmind system --calibrate --thorough --threads 4\n"
                "  llmind system --json\n"};

/* ---- as JSON ---- */

static void put_sensor(json_t *o, const char *name, const struct sensors_value *value)
{
    json_put_number(o, name, value->known ? value->value : NAN, value->reason);
}

static json_t *gpus_json(void)
{
    struct sensors_gpus *gpus;
    const char *reason;
    json_t *list = json_array();
    if (sensors_gpus_open(NULL, &gpus, NULL))
        return list;
    for (uint32_t i = 0; i < sensors_gpus_count(gpus, &reason); i++) {
        struct sensors_gpu_reading reading;
        sensors_gpus_read(gpus, i, &reading);
        json_t *o = json_object();
        json_put_string(o, "name", reading.name, "not known");
        put_sensor(o, "memory_total_bytes", &reading.memory_total_bytes);
        put_sensor(o, "busy", &reading.busy);
        put_sensor(o, "temperature_c", &reading.temperature_c);
        put_sensor(o, "power_w", &reading.power_w);
        json_array_append_new(list, o);
    }
    sensors_gpus_close(gpus);
    return list;
}

static json_t *sensors_json(void)
{
    struct sensors_cpu *sensors;
    struct sensors_cpu_reading reading;
    json_t *o = json_object();
    if (sensors_cpu_open("", &sensors, NULL))
        return o;
    sensors_cpu_read(sensors, clock_now_ns(), &reading);
    usleep(SENSOR_MS * 1000);
    sensors_cpu_read(sensors, clock_now_ns(), &reading);
    put_sensor(o, "cpu_busy", &reading.busy);
    put_sensor(o, "cpu_steal", &reading.steal);
    put_sensor(o, "cpu_mhz", &reading.mhz);
    put_sensor(o, "cpu_temperature_c", &reading.temperature_c);
    put_sensor(o, "cpu_power_w", &reading.power_w);
    sensors_cpu_close(sensors);
    return o;
}

static json_t *machine_json(void)
{
    const struct cpu_info *cpu = cpu_info();
    struct memory_machine memory;
    char profile[256];
    json_t *o = json_object();
    memory_machine_read(&memory);
    guide_hardware_profile(profile, sizeof profile);
    json_put_string(o, "hardware_profile", profile, "not known");
    json_put_string(o, "cpu", cpu->name, "not known");
    json_put_integer(o, "cores_online", cpu->cores_online);
    json_put_integer(o, "cores_allowed", cpu->cores_allowed);
    json_put_number(o, "quota_cores", cpu->quota_cores > 0 ? cpu->quota_cores : NAN, "there is no quota");
    json_put_integer(o, "usable_threads", cpu_usable_threads());
    json_put_number(o, "last_level_cache_bytes",
                    cpu->last_level_cache_bytes ? (double)cpu->last_level_cache_bytes : NAN,
                    "this system does not tell");
    json_put_number(o, "memory_bytes", memory.known ? (double)memory.total_bytes : NAN,
                    "this system does not tell");
    json_put_number(o, "memory_available_bytes", memory.known ? (double)memory.available_bytes : NAN,
                    "this system does not tell");
    json_put_number(o, "memory_limit_bytes", memory.limit_bytes ? (double)memory.limit_bytes : NAN,
                    "there is no limit");
    json_object_set_new(o, "gpus", gpus_json());
    json_object_set_new(o, "sensors", sensors_json());
    return o;
}

static void put_calibration(json_t *o, const char *isa, uint32_t threads)
{
    struct calibration calibration;
    char reason[240], key[CALIBRATION_KEY];
    calibration_key(key, isa, threads);
    json_put_string(o, "calibration_key", key, "");
    if (calibration_load(isa, threads, &calibration, reason, sizeof reason))
        json_object_set_new(o, "calibration", calibration_json(&calibration));
    else
        json_put_null(o, "calibration", reason);
}

/* ---- as text ---- */

static void print_bytes(const json_t *o, const char *name, const char *label)
{
    char number[FORMAT_MAX];
    double value = json_get_positive(o, name);
    if (value >= 0)
        printf("  %-22s %s\n", label, format_bytes(number, value));
    else
        printf("  %-22s - (%s)\n", label, json_get_reason(o, name, "not known"));
}

static void print_figure(const json_t *o, const char *name, const char *label, const char *unit,
                         double factor)
{
    char number[FORMAT_MAX];
    double value = json_get_number(o, name);
    if (isnan(value))
        printf("  %-22s - (%s)\n", label, json_get_reason(o, name, "not known"));
    else
        printf("  %-22s %s %s\n", label, format_number(number, value * factor), unit);
}

static void print_ceilings(const json_t *ceilings)
{
    static const struct {
        const char *name, *label;
    } rows[] = {{"memory_read", "reading memory"},
                {"cache_read", "reading the cache"},
                {"int8", "int8 products"},
                {"f32", "f32 products"}};
    char a[FORMAT_MAX], b[FORMAT_MAX];
    printf("\nMeasured ceilings\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const json_t *item = json_get_object(ceilings, rows[i].name);
        double value = json_get_positive(item, "value");
        if (value >= 0)
            printf("  %-22s %s %s, one thread %s\n", rows[i].label, format_number(a, value),
                   json_get_text(item, "unit", ""), format_number(b, json_get_positive(item, "one_thread")));
        else
            printf("  %-22s - (%s)\n", rows[i].label, json_get_text(item, "reason", "not measured"));
    }
}

static void print_calibration(const json_t *root)
{
    const json_t *calibration = json_get_object(root, "calibration");
    printf("\nCalibration\n");
    if (!calibration) {
        printf("  none: %s\n", json_get_reason(root, "calibration", ""));
        return;
    }
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX], threads[FORMAT_MAX];
    printf("  of %s, %s, %s; whole small models were predicted within %s (decode) and %s (prefill)\n",
           json_get_text(calibration, "measured", ""), json_get_text(calibration, "isa", ""),
           format_of(threads, json_get_number(calibration, "n_threads"), "thread"),
           format_percent(a, 2 * json_get_number(calibration, "decode_spread")),
           format_percent(b, 2 * json_get_number(calibration, "prefill_spread")));
    struct table table;
    /* stated for CALIBRATION_GOPS, shown for the pace that this machine had */
    double gops = json_get_number(calibration, "pace.int8_gops") * 1000 / CALIBRATION_GOPS;
    table_init(&table, "lrrr");
    static const char *const heading[] = {"weights", "of read bandwidth", "1 row, G mul-add/s", "512 rows"};
    for (size_t i = 0; i < sizeof heading / sizeof *heading; i++)
        table_cell(&table, "%s", heading[i]);
    const json_t *products = json_get_array(calibration, "products");
    for (size_t i = 0; i < json_get_count(products, ""); i++) {
        const json_t *item = json_get_item(products, i);
        table_cell(&table, "%s %.0f-bit, group %.0f", json_get_text(item, "format", ""),
                   json_get_number(item, "bits"), json_get_number(item, "group_size"));
        table_cell(&table, "%s", format_percent(a, json_get_number(item, "efficiency")));
        table_cell(&table, "%s", format_number(b, gops / 1000 / json_get_number(item, "ns.0")));
        table_cell(&table, "%s", format_number(c, gops / 1000 * 512 / json_get_number(item, "ns.7")));
    }
    table_print(&table, stdout, terminal_has_color(stdout) ? TABLE_TEXT_COLOR : TABLE_TEXT, 2);
    table_free(&table);
}

static void print_text(const json_t *root)
{
    const json_t *machine = json_get_object(root, "machine"), *sensors = json_get_object(machine, "sensors");
    printf("%s\n", json_get_text(machine, "hardware_profile", "-"));
    print_bytes(machine, "memory_bytes", "memory");
    print_bytes(machine, "memory_available_bytes", "available");
    print_bytes(machine, "last_level_cache_bytes", "last-level cache");
    print_figure(machine, "usable_threads", "threads", "", 1);
    printf("\nSensors\n");
    print_figure(sensors, "cpu_busy", "processor busy", "%", 100);
    print_figure(sensors, "cpu_steal", "withheld (steal)", "%", 100);
    print_figure(sensors, "cpu_mhz", "frequency", "MHz", 1);
    print_figure(sensors, "cpu_temperature_c", "temperature", "°C", 1);
    print_figure(sensors, "cpu_power_w", "power", "W", 1);
    print_ceilings(json_get_object(root, "ceilings"));
    print_calibration(root);
}

/* ---- */

static void progress(void *context, const char *what, double done)
{
    uint64_t begin = *(const uint64_t *)context;
    double passed = (double)(clock_now_ns() - begin) / 1e9;
    terminal_progress(what, done, done > 0.05 ? passed * (1 - done) / done : NAN);
}

static int run_calibration(const char *isa, uint32_t threads, bool thorough, struct error *error)
{
    struct calibration calibration;
    uint64_t begin = clock_now_ns();
    struct calibrate_options wish = {.isa = isa,
                                     .n_threads = threads,
                                     .thorough = thorough,
                                     .cancel = &cli_interrupts,
                                     .on_progress = progress,
                                     .context = &begin};
    cli_catch_interrupts();
    int status = calibrate(&wish, &calibration, error);
    terminal_progress_end();
    return status ? status : calibration_save(&calibration, error);
}

int cli_system(int argc, char **argv)
{
    struct cli_parser parser;
    bool json = false, wants = false, thorough = false;
    uint32_t threads = 0;
    const char *isa = NULL;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    while ((id = cli_next(&parser)) > 0) {
        if (id == 't')
            cli_u32(&parser, 1, MAX_THREADS, &threads);
        if (id == OPTION_ISA)
            isa = parser.value;
        json = json || id == OPTION_JSON;
        wants = wants || id == OPTION_CALIBRATE;
        thorough = thorough || id == OPTION_THOROUGH;
    }
    if (id < 0)
        return cli_leave(&parser, id);
    if (thorough && !wants)
        return cli_usage(&parser, "--thorough goes with --calibrate");
    struct error error = {0};
    json_t *ceilings = NULL;
    int status = wants ? run_calibration(isa, threads, thorough, &error) : 0;
    if (!status)
        status =
            ceilings_measure(&(struct ceilings_options){.n_threads = threads, .isa = isa}, &ceilings, &error);
    if (status)
        return cli_failed("system", &error);
    json_t *root = json_object();
    json_object_set_new(root, "machine", machine_json());
    json_object_set_new(root, "ceilings", ceilings);
    put_calibration(root, isa, threads);
    if (json) {
        char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
        if (text)
            puts(text);
        free(text);
    } else {
        print_text(root);
    }
    json_decref(root);
    return CLI_EXIT_OK;
}
