/* `llmind doctor`: is this machine set up so that models run as fast as it can, and figures mean something?
 *
 * It looks at the machine at rest for a moment, then lets as many threads as a model would use compute for
 * another one: a quota throttles and a hypervisor steals only then. What it concludes is in doctor_checks.c.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "backend/cpu/peak.h"
#include "cli/commands.h"
#include "cli/doctor_checks.h"
#include "cli/options.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/places.h"
#include "profile/team.h"

enum { REST_MS = 250, LOAD_MS = 450, DEFAULT_PORT = 8000, MAX_THREADS = 1024 };
enum { ID_JSON = 300, ID_THREADS, ID_PORT };

static const struct cli_option options[] = {
    {ID_THREADS, 't', "threads", "N",
     "threads that a model would use (default: LLMIND_THREADS, else as the engine chooses)"},
    {ID_PORT, 'p', "port", "N", "port that a server would use (default 8000)"},
    {ID_JSON, 0, "json", NULL, "an object instead of lines"},
    {0, 0, NULL, NULL, NULL}};

static const struct cli_spec spec = {
    .command = "doctor",
    .arguments = "[--json]",
    .about = "Looks at this machine: what is observed, what is expected, and how to fix what differs.\n"
             "Ends with 1 when there is a problem, with 0 when there are only warnings.",
    .options = options,
    .examples = "  llmind doctor\n"
                "  llmind doctor --threads 8 --json\n"};

/* ---- what is read ---- */

static void compute(void *context, uint32_t index, uint32_t n)
{
    const struct peak *peak = context;
    uint64_t end = clock_now_ns() + UINT64_C(1000000) * LOAD_MS;
    volatile uint32_t sink = 0;
    (void)index;
    (void)n;
    while (clock_now_ns() < end)
        sink = peak->int8.run(10000);
    (void)sink;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static int measure(struct doctor_facts *facts, struct peak *peak, struct error *error)
{
    struct sensors_cpu *sensors = NULL;
    struct pressure *pressure = NULL;
    struct team *team = NULL;
    struct sensors_cpu_reading reading;
    int status = sensors_cpu_open("", &sensors, error);
    if (!status)
        status = pressure_open("", &pressure, error);
    if (!status)
        status = team_open(facts->threads < facts->cores_allowed ? facts->threads : facts->cores_allowed,
                           &team, error);
    if (status)
        goto out;
    sensors_cpu_read(sensors, clock_now_ns(), &reading);
    sleep_ms(REST_MS);
    sensors_cpu_read(sensors, clock_now_ns(), &reading);
    facts->rest_busy = reading.busy;
    pressure_read_levels(pressure, &facts->levels);
    pressure_read_rates(pressure, clock_now_ns(), &facts->load);
    (void)team_time(team, compute, peak);
    sensors_cpu_read(sensors, clock_now_ns(), &reading);
    pressure_read_rates(pressure, clock_now_ns(), &facts->load);
    facts->busy_steal = reading.steal;
    facts->mhz = reading.mhz;
    facts->mhz_source = reading.mhz_source;
    facts->temperature_c = reading.temperature_c;
    facts->power_w = reading.power_w;
    snprintf(facts->temperature_source, sizeof facts->temperature_source, "%s", reading.temperature_source);
out:
    team_close(team);
    pressure_close(pressure);
    sensors_cpu_close(sensors);
    return status;
}

static int read_gpus(struct doctor_facts *facts, struct error *error)
{
    struct sensors_gpus *gpus;
    const char *reason;
    int status = sensors_gpus_open(NULL, &gpus, error);
    if (status)
        return status;
    uint32_t n = sensors_gpus_count(gpus, &reason);
    struct sensors_gpu_reading first;
    if (n > 0) {
        sensors_gpus_read(gpus, 0, &first);
        snprintf(facts->gpus, sizeof facts->gpus, "%u, the first: %.80s (watched only)", (unsigned)n,
                 first.name);
    } else
        snprintf(facts->no_gpu, sizeof facts->no_gpu, "%s", reason);
    sensors_gpus_close(gpus);
    return 0;
}

/* As llmind serve opens it; a connection that was closed lately does not count. */
static int try_port(uint32_t port)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (listener < 0)
        return errno;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int failed =
        bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1) ? errno : 0;
    close(listener);
    return failed;
}

/* The folder, or the nearest one above it that is there: where it would be made. */
static void find_existing(const char *path, char *out, size_t capacity)
{
    struct stat status;
    snprintf(out, capacity, "%s", path);
    while (stat(out, &status) && (errno == ENOENT || errno == ENOTDIR)) {
        char *slash = strrchr(out, '/');
        if (!slash || slash == out) {
            snprintf(out, capacity, "%s", slash ? "/" : ".");
            return;
        }
        *slash = '\0';
    }
}

static void try_place(struct doctor_place *place)
{
    struct error error;
    struct statvfs disk;
    char folder[512], name[600];
    place->free_bytes = NAN;
    if (places_data(place->path, sizeof place->path, &error)) {
        place->path[0] = '\0';
        snprintf(place->problem, sizeof place->problem, "%.250s", error.message);
        return;
    }
    find_existing(place->path, folder, sizeof folder);
    snprintf(name, sizeof name, "%s/.llmind-doctor-XXXXXX", folder);
    int file = mkstemp(name); /* asks the file system itself: rights alone do not say it */
    if (file < 0) {
        snprintf(place->problem, sizeof place->problem, "%.180s: %s", folder, strerror(errno));
        return;
    }
    close(file);
    unlink(name);
    place->writable = true;
    if (statvfs(folder, &disk) == 0)
        place->free_bytes = (double)disk.f_bavail * (double)disk.f_frsize;
}

static int gather(struct doctor_facts *facts, struct error *error)
{
    struct peak peak;
    if (!peak_find(NULL, &peak))
        return error_set(error, ERROR_INTERNAL, "there are no kernels for this machine");
    facts->isa = peak.isa;
#if defined(__x86_64__)
    facts->x86 = true;
#endif
    facts->cores_allowed = cpu_info()->cores_allowed;
    if (facts->threads == 0)
        facts->threads = cpu_usable_threads();
    setup_read("", &facts->setup);
    facts->port_error = try_port(facts->port);
    try_place(&facts->data);
    facts->api_key = getenv("LLMIND_API_KEY");
    int status = read_gpus(facts, error);
    return status ? status : measure(facts, &peak, error);
}

/* ---- how it is told ---- */

/* What is unknown does not count: a virtual machine knows neither its power nor its temperature. */
static enum doctor_state worst(const struct doctor_row *rows, size_t n)
{
    enum doctor_state state = DOCTOR_OK;
    for (size_t i = 0; i < n; i++)
        if (rows[i].state >= DOCTOR_WARN && rows[i].state > state)
            state = rows[i].state;
    return state;
}

static bool print_json(const struct doctor_row *rows, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct doctor_row *row = &rows[i];
        const char *fix = row->fix[0] ? row->fix : NULL;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?}", "id", row->id, "title",
                                              row->title, "state", doctor_state_name(row->state), "observed",
                                              row->observed, "expected", row->expected, "fix", fix));
    }
    bool whole = json_array_size(list) == n;
    json_t *root = json_pack("{s:s, s:o}", "state", doctor_state_name(worst(rows, n)), "checks", list);
    char *text = root && whole ? json_dumps(root, JSON_INDENT(2)) : NULL;
    if (text)
        puts(text);
    free(text);
    json_decref(root);
    return text != NULL;
}

static void print_rows(const struct doctor_row *rows, size_t n)
{
    static const char *const colors[] = {"\033[32m", "\033[2m", "\033[33m", "\033[31m"};
    bool color = terminal_has_color(stdout);
    size_t count[4] = {0};
    for (size_t i = 0; i < n; i++) {
        const struct doctor_row *row = &rows[i];
        printf("%s%-8s%s %-24s ", color ? colors[row->state] : "", doctor_state_name(row->state),
               color ? "\033[0m" : "", row->title);
        terminal_write_text(stdout, row->observed, strlen(row->observed));
        printf("\n");
        if (row->state >= DOCTOR_WARN)
            printf("%9sexpected: %s\n", "", row->expected);
        if (row->fix[0])
            printf("%9sto do: %s\n", "", row->fix);
        count[row->state]++;
    }
    printf("\n%zu ok, %zu unknown, %zu warning%s, %zu problem%s\n", count[DOCTOR_OK], count[DOCTOR_UNKNOWN],
           count[DOCTOR_WARN], count[DOCTOR_WARN] == 1 ? "" : "s", count[DOCTOR_PROBLEM],
           count[DOCTOR_PROBLEM] == 1 ? "" : "s");
}

int cli_doctor(int argc, char **argv)
{
    struct cli_parser parser;
    struct doctor_facts facts = {.port = DEFAULT_PORT};
    struct doctor_row rows[DOCTOR_MAX_ROWS];
    struct error error = {0};
    bool json = false;
    int id;
    cli_begin(&parser, &spec, argc, argv);
    const char *threads = getenv("LLMIND_THREADS");
    if (threads && *threads) {
        snprintf(parser.option, sizeof parser.option, "LLMIND_THREADS");
        parser.value = threads;
        cli_u32(&parser, 1, MAX_THREADS, &facts.threads);
    }
    while ((id = cli_next(&parser)) > 0)
        switch (id) {
        case ID_THREADS:
            cli_u32(&parser, 1, MAX_THREADS, &facts.threads);
            break;
        case ID_PORT:
            cli_u32(&parser, 1, 65535, &facts.port);
            break;
        default:
            json = true;
            break;
        }
    if (id < 0)
        return cli_leave(&parser, id);
    if (gather(&facts, &error))
        return cli_failed("doctor", &error);
    size_t n = doctor_check(&facts, rows);
    if (!json)
        print_rows(rows, n);
    else if (!print_json(rows, n))
        return cli_failed("doctor", &(struct error){ERROR_MEMORY, "not enough memory for the answer"});
    return worst(rows, n) == DOCTOR_PROBLEM ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}
