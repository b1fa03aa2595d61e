/* One thread sleeps, reads a row (monitor_series.h), stores it (monitor_rows.h). When the room is full, every
 * two rows become one, and the thread reads half as often.
 *
 * Two locks: `lock` guards what the owner tells (phases, stop), and the thread holds it only to look; rows
 * belong to the thread until it has been joined.
 */
#include "profile/monitor.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "platform/clock.h"
#include "profile/monitor_rows.h"
#include "profile/monitor_series.h"

#define NS_PER_S UINT64_C(1000000000)
enum { LAST_ROW_NS = 10 * 1000 * 1000 };

struct phase {
    char *name;
    uint64_t start_ns, end_ns; /* end 0: still going on */
};

struct monitor {
    struct sampler *sampler;
    pthread_t thread;
    atomic_int watched;
    uint64_t start_ns, period_ns;

    pthread_mutex_t lock;
    pthread_cond_t stopping;
    bool stop;                               /* under lock */
    struct phase phases[MONITOR_MAX_PHASES]; /* under lock */
    size_t n_phases;

    /* the thread's */
    struct monitor_rows rows;
    double *row; /* [n_series] the present one */
    uint64_t last_ns, cpu_ns, end_ns;
};

/* ---- the thread ---- */

static void take_row(struct monitor *monitor)
{
    uint64_t now_ns = clock_now_ns();
    bool halved;
    sampler_read(monitor->sampler, now_ns, atomic_load(&monitor->watched));
    for (size_t i = 0; i < monitor->sampler->n_series; i++)
        monitor->row[i] = monitor->sampler->series[i].value;
    monitor_rows_add(&monitor->rows, (double)(now_ns - monitor->start_ns) / 1e9, monitor->row, &halved);
    if (halved)
        monitor->period_ns *= 2;
    monitor->last_ns = now_ns;
}

/* True: it is time to stop. */
static bool sleep_until(struct monitor *monitor, uint64_t due_ns)
{
    struct timespec due = clock_at(due_ns);
    int waited = 0;
    pthread_mutex_lock(&monitor->lock);
    while (!monitor->stop && waited != ETIMEDOUT)
        waited = clock_cond_wait(&monitor->stopping, &monitor->lock, &due);
    bool stop = monitor->stop;
    pthread_mutex_unlock(&monitor->lock);
    return stop;
}

static void *monitor_main(void *argument)
{
    struct monitor *monitor = argument;
    uint64_t cpu_start = clock_thread_cpu_ns(), due = monitor->start_ns + monitor->period_ns;
    while (!sleep_until(monitor, due)) {
        take_row(monitor);
        due += monitor->period_ns;
        if (due <= monitor->last_ns) /* the machine was too busy for us: no hurry afterwards */
            due = monitor->last_ns + monitor->period_ns;
    }
    if (clock_now_ns() - monitor->last_ns > LAST_ROW_NS)
        take_row(monitor);
    monitor->end_ns = clock_now_ns();
    monitor->cpu_ns = clock_thread_cpu_ns() - cpu_start;
    return NULL;
}

static int start(struct monitor *monitor, struct error *error)
{
    pthread_mutex_init(&monitor->lock, NULL);
    clock_cond_init(&monitor->stopping);
    monitor->period_ns = NS_PER_S / MONITOR_HZ;
    size_t n_series = monitor->sampler->n_series, fit = MONITOR_MAX_BYTES / (n_series * sizeof(float));
    monitor->rows.width = n_series;
    monitor->rows.max_rows = fit < MONITOR_MAX_SAMPLES ? fit : MONITOR_MAX_SAMPLES;
    monitor->row = calloc(n_series, sizeof *monitor->row);
    if (!monitor->row)
        return error_memory(error, "the monitor", n_series * sizeof *monitor->row);
    if (pthread_create(&monitor->thread, NULL, monitor_main, monitor))
        return error_set(error, ERROR_LIMIT, "cannot start the monitor's thread: the system refuses more");
    return 0;
}

static void free_monitor(struct monitor *monitor)
{
    pthread_cond_destroy(&monitor->stopping);
    pthread_mutex_destroy(&monitor->lock);
    for (size_t i = 0; i < monitor->n_phases; i++)
        free(monitor->phases[i].name);
    sampler_close(monitor->sampler);
    monitor_rows_free(&monitor->rows);
    free(monitor->row);
    free(monitor);
}

int monitor_open(const char *root, struct monitor **out, struct error *error)
{
    *out = NULL;
    struct monitor *monitor = calloc(1, sizeof *monitor);
    if (!monitor)
        return error_memory(error, "the monitor", sizeof *monitor);
    monitor->start_ns = monitor->last_ns = clock_now_ns();
    int status = sampler_open(root, monitor->start_ns, &monitor->sampler, error);
    if (status) {
        free(monitor);
        return status;
    }
    status = start(monitor, error);
    if (status)
        free_monitor(monitor);
    else
        *out = monitor;
    return status;
}

void monitor_watch(struct monitor *monitor, pid_t pid)
{
    atomic_store(&monitor->watched, pid);
}

/* ---- phases ---- */

/* Whole characters, at most so many bytes; NULL: memory, or it is not text. */
static char *copy_name(const char *name)
{
    size_t length = 0, step;
    while (length < MONITOR_MAX_PHASE_NAME && name[length] &&
           (step = utf8_character(name + length, strnlen(name + length, 4))) > 0 &&
           length + step <= MONITOR_MAX_PHASE_NAME)
        length += step;
    return strndup(name, length);
}

void monitor_phase(struct monitor *monitor, const char *name)
{
    uint64_t now_ns = clock_now_ns();
    char *copy = name ? copy_name(name) : NULL;
    pthread_mutex_lock(&monitor->lock);
    if (monitor->n_phases > 0 && monitor->phases[monitor->n_phases - 1].end_ns == 0)
        monitor->phases[monitor->n_phases - 1].end_ns = now_ns;
    if (copy && monitor->n_phases < MONITOR_MAX_PHASES) {
        monitor->phases[monitor->n_phases++] = (struct phase){copy, now_ns, 0};
        copy = NULL;
    }
    pthread_mutex_unlock(&monitor->lock);
    free(copy);
}

/* ---- JSON ---- */

struct writer {
    const struct monitor *monitor;
    bool failed;
};

/* Takes the value; NULL, or no array, is remembered. */
static void append(struct writer *writer, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value))
        writer->failed = true;
}

static void set(struct writer *writer, json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value))
        writer->failed = true;
}

/* A float has seven digits; more of them would be noise, and a report should not be made of it. */
static json_t *rounded(double value, int decimals)
{
    if (!isfinite(value))
        return json_null();
    if (decimals == 0 && fabs(value) < 9e15)
        return json_integer((json_int_t)llround(value));
    double scale = pow(10, decimals);
    return json_real(round(value * scale) / scale);
}

static json_t *write_phases(struct writer *writer)
{
    const struct monitor *monitor = writer->monitor;
    json_t *list = json_array();
    for (size_t i = 0; i < monitor->n_phases; i++) {
        const struct phase *phase = &monitor->phases[i];
        uint64_t end_ns = phase->end_ns ? phase->end_ns : monitor->end_ns;
        json_t *o = json_object();
        set(writer, o, "name", json_string(phase->name));
        set(writer, o, "start_s", rounded((double)(phase->start_ns - monitor->start_ns) / 1e9, 4));
        set(writer, o, "end_s", rounded((double)(end_ns - monitor->start_ns) / 1e9, 4));
        append(writer, list, o);
    }
    return list;
}

static json_t *write_values(struct writer *writer, size_t column)
{
    const struct monitor *monitor = writer->monitor;
    const struct sampler *sampler = monitor->sampler;
    json_t *list = json_array();
    for (size_t i = 0; i < monitor->rows.n; i++)
        append(
            writer, list,
            rounded(monitor->rows.values[i * sampler->n_series + column], sampler->series[column].decimals));
    return list;
}

/* The mean share of throttled periods is that of all periods, not the mean of intervals' shares. */
static double mean_of(const struct sampler *sampler, const struct series *series)
{
    if (strcmp(series->id, "throttled_fraction") == 0 && sampler->periods > 0)
        return (double)sampler->throttled / (double)sampler->periods;
    return series->sum / (double)series->n;
}

static json_t *write_series(struct writer *writer, size_t column)
{
    const struct monitor *monitor = writer->monitor;
    const struct series *series = &monitor->sampler->series[column];
    int digits = series->decimals ? series->decimals + 2 : 0;
    bool known = series->n > 0;
    json_t *o = json_object();
    set(writer, o, "id", json_string(series->id));
    set(writer, o, "label", json_string(series->label));
    set(writer, o, "unit", json_string(series->unit));
    set(writer, o, "source", json_string(series->source));
    set(writer, o, "hz", json_real((double)NS_PER_S / (double)monitor->period_ns / series->every));
    set(writer, o, "quality", json_string(known ? series->quality : "unknown"));
    set(writer, o, "values", known ? write_values(writer, column) : json_null());
    if (!known)
        set(writer, o, "reason", json_string(series->reason));
    set(writer, o, "min", known ? rounded(series->min, digits) : json_null());
    set(writer, o, "mean", known ? rounded(mean_of(monitor->sampler, series), digits) : json_null());
    set(writer, o, "max", known ? rounded(series->max, digits) : json_null());
    return o;
}

static json_t *write_json(const struct monitor *monitor)
{
    struct writer writer = {.monitor = monitor};
    json_t *root = json_object(), *t_s = json_array(), *series = json_array();
    double wall_ns = (double)(monitor->end_ns - monitor->start_ns);
    for (size_t i = 0; i < monitor->rows.n; i++)
        append(&writer, t_s, rounded(monitor->rows.t_s[i], 4));
    for (size_t i = 0; i < monitor->sampler->n_series; i++)
        append(&writer, series, write_series(&writer, i));
    set(&writer, root, "hz", json_real((double)NS_PER_S / (double)monitor->period_ns));
    set(&writer, root, "start_s", json_real((double)monitor->start_ns / 1e9));
    set(&writer, root, "cpu_cost_fraction",
        rounded(wall_ns > 0 ? (double)monitor->cpu_ns / wall_ns : NAN, 6));
    set(&writer, root, "t_s", t_s);
    set(&writer, root, "phases", write_phases(&writer));
    set(&writer, root, "series", series);
    if (!writer.failed)
        return root;
    json_decref(root);
    return NULL;
}

int monitor_close(struct monitor *monitor, json_t **out, struct error *error)
{
    if (out)
        *out = NULL;
    if (!monitor)
        return 0;
    pthread_mutex_lock(&monitor->lock);
    monitor->stop = true;
    pthread_cond_signal(&monitor->stopping);
    pthread_mutex_unlock(&monitor->lock);
    pthread_join(monitor->thread, NULL);
    int status = 0;
    if (out) {
        *out = write_json(monitor);
        if (!*out)
            status = error_memory(error, "the sensors' figures", monitor->rows.n * sizeof(float));
    }
    free_monitor(monitor);
    return status;
}
