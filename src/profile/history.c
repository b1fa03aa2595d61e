/* The history: what the database has and what memory has to answer for, as one list.
 *
 * Rows are copied out first and made into JSON afterwards: the trend of a row needs to know how much sessions
 * of its series differ, which is another query. That spread is estimated from the successive differences of
 * the series' runs, by their median (so that a real change of speed, which is one large difference, does not
 * count), and only once there are some.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json_text.h"
#include "profile/jobs_internal.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/proof.h"
#include "profile/render.h"
#include "profile/stats.h"

enum {
    DEFAULT_LIMIT = 50,
    MAX_LIMIT = 500,
    SERIES_RUNS = 12,    /* newest runs that the spread between sessions is estimated from */
    SERIES_MIN_RUNS = 5, /* fewer say nothing */
    PREFIX_MIN = 4
};

/* The estimate is trusted within these bounds (log units). */
static const double session_sd_min = 0.01, session_sd_max = 0.06;

/* ---- the spread between sessions ---- */

struct session_means {
    double mean[SERIES_RUNS];
    size_t n;
};

static int see_mean(void *context, const struct store_run *run, struct error *error)
{
    struct session_means *means = context;
    (void)error;
    if (isfinite(run->decode_log_mean) && means->n < SERIES_RUNS)
        means->mean[means->n++] = run->decode_log_mean;
    return 0;
}

static double spread_of(struct session_means *means)
{
    double steps[SERIES_RUNS];
    struct stats stats;
    if (means->n < SERIES_MIN_RUNS)
        return PAIRS_SESSION_SD;
    for (size_t i = 0; i + 1 < means->n; i++)
        steps[i] = fabs(means->mean[i + 1] - means->mean[i]);
    if (!stats_compute(steps, means->n - 1, &stats))
        return PAIRS_SESSION_SD;
    double sd =
        1.4826 * stats.median / sqrt(2.0); /* of a normal distribution; a step is a difference of two */
    return fmin(fmax(sd, session_sd_min), session_sd_max);
}

static double session_sd(struct jobs *jobs, const char *series)
{
    struct session_means means = {.n = 0};
    if (!series || !jobs->store ||
        store_runs_series(jobs->store, series, SERIES_RUNS, see_mean, &means, NULL))
        return PAIRS_SESSION_SD;
    return spread_of(&means);
}

/* ---- rows ---- */

/* What is collected: copies of rows, with why they are not saved (NULL: they are). */
struct collected {
    struct store_run run;
    char *why;
};

struct collection {
    struct jobs *jobs; /* saving is held */
    struct collected *items;
    size_t n, capacity;
    bool brief;   /* without requests and reports */
    bool orphans; /* open rows that are not ours are nobody's, and the database could not be told */
};

static bool is_ours(struct jobs *jobs, const char *id)
{
    pthread_mutex_lock(&jobs->lock);
    bool ours = jobs_find_job(jobs, id) || strcmp(jobs->current, id) == 0;
    pthread_mutex_unlock(&jobs->lock);
    return ours;
}

static int collect(struct collection *into, const struct store_run *run, const char *why, struct error *error)
{
    if (into->n == into->capacity) {
        size_t capacity = into->capacity ? 2 * into->capacity : 64;
        struct collected *items = realloc(into->items, capacity * sizeof *items);
        if (!items)
            return error_memory(error, "the history", capacity * sizeof *items);
        into->items = items;
        into->capacity = capacity;
    }
    struct collected *item = &into->items[into->n];
    struct store_run row = *run;
    if (into->brief)
        row.request = row.report = NULL;
    if (into->orphans && run_is_open(run) && !is_ours(into->jobs, run->id))
        row.status = "interrupted";
    item->why = why ? strdup(why) : NULL;
    if (why && !item->why)
        return error_memory(error, "the history", 0);
    int status = run_copy(&row, &item->run, error);
    if (status)
        free(item->why);
    else
        into->n++;
    return status;
}

/* The database's row, unless memory has a newer one. */
static int collect_row(void *context, const struct store_run *run, struct error *error)
{
    struct collection *into = context;
    return kept_find(into->jobs, run->id) ? 0 : collect(into, run, NULL, error);
}

/* The run before a kept one in its series, among those that are kept too; else the database's newest. */
static int see_previous(void *context, const struct store_run *run, struct error *error)
{
    struct store_run *of = context;
    (void)error;
    if (run == of || of->previous_id || !run_is_success(run) || run->imported || !run->series ||
        strcmp(run->series, of->series) != 0 || run->created_ms > of->created_ms)
        return 0;
    of->previous_id = strdup(run->id);
    of->previous_log_mean = run->decode_log_mean;
    of->previous_log_sd = run->decode_log_sd;
    of->previous_n = run->decode_n;
    return 0;
}

static int collect_kept(struct collection *into, const struct kept *entry, struct error *error)
{
    struct store_run run = entry->run;
    run.previous_id = NULL;
    if (run_is_success(&run) && run.series) {
        for (const struct kept *older = entry->next; older; older = older->next)
            see_previous(&run, &older->run, NULL);
        if (into->jobs->store)
            store_runs_series(into->jobs->store, run.series, 1, see_previous, &run, NULL);
    }
    int status = collect(into, &run, entry->why, error);
    free((char *)run.previous_id);
    return status;
}

static void free_collection(struct collection *collection)
{
    for (size_t i = 0; i < collection->n; i++) {
        run_free(&collection->items[i].run);
        free(collection->items[i].why);
    }
    free(collection->items);
}

/* ---- one ---- */

int history_find(struct jobs *jobs, const char *id, struct found_run *out, struct error *error)
{
    memset(out, 0, sizeof *out);
    if (!jobs_id_is_valid(id))
        return jobs_not_found(error);
    struct collection into = {.jobs = jobs, .orphans = jobs_look(jobs)};
    pthread_mutex_lock(&jobs->saving);
    const struct kept *entry = kept_find(jobs, id);
    int status = entry         ? collect_kept(&into, entry, error)
                 : jobs->store ? store_run_get(jobs->store, id, collect_row, &into, error)
                               : jobs_not_found(error);
    pthread_mutex_unlock(&jobs->saving);
    if (!status && into.n > 0) {
        out->run = into.items[0].run;
        out->unsaved = into.items[0].why != NULL;
        snprintf(out->why, sizeof out->why, "%s", out->unsaved ? into.items[0].why : "");
        out->session_sd = session_sd(jobs, out->run.series);
        memset(&into.items[0].run, 0, sizeof into.items[0].run);
    } else if (!status) {
        status = jobs_not_found(error);
    }
    free_collection(&into);
    return status;
}

void found_run_free(struct found_run *found)
{
    run_free(&found->run);
}

json_t *history_parse(const char *text)
{
    if (!text || json_text_measure(text, strlen(text)).depth > JSON_TEXT_MAX_DEPTH)
        return NULL;
    return json_loads(text, 0, NULL);
}

static void put_parsed(json_t *object, const char *name, const char *text, const char *reason)
{
    json_t *value = history_parse(text);
    if (value)
        json_object_set_new(object, name, value);
    else
        json_put_null(object, name, text ? "what is stored cannot be read" : reason);
}

int jobs_get(struct jobs *jobs, const char *id, json_t **out, struct error *error)
{
    struct found_run found;
    *out = NULL;
    int status = history_find(jobs, id, &found, error);
    if (status)
        return status;
    const struct store_run *run = &found.run;
    *out = run_json(run, found.session_sd, found.unsaved ? found.why : NULL);
    put_parsed(*out, "request", run->request, "it was imported");
    put_parsed(*out, "report", run->report,
               run_is_open(run) ? "the run is not over" : "the run ended before there was one");
    if (!run->imported) { /* what another machine's report says of its proofs is its own */
        json_t *proofs = jobs_proofs(jobs, run->id);
        proof_attach(json_object_get(*out, "report"), proofs);
        json_decref(proofs);
    }
    found_run_free(&found);
    return *out ? 0 : error_memory(error, "a profiling run", 0);
}

/* ---- lists ---- */

static bool is_newer(const struct store_run *a, const struct store_run *b)
{
    if (a->created_ms != b->created_ms)
        return a->created_ms > b->created_ms;
    return strcmp(a->id, b->id) > 0;
}

static int by_time(const void *a, const void *b)
{
    const struct collected *x = a, *y = b;
    return is_newer(&x->run, &y->run) ? -1 : 1;
}

static bool is_or_any(const char *wanted, const char *text)
{
    return !wanted || (text && strcmp(wanted, text) == 0);
}

/* Rows on both sides of a page, from memory and from the database, sorted; perhaps more than are asked for.
 */
static int collect_page(struct collection *into, const struct store_runs_filter *filter, struct error *error)
{
    struct jobs *jobs = into->jobs;
    const struct store_run before = {.created_ms = filter->before_ms, .id = filter->before_id};
    int status = 0;
    for (const struct kept *entry = jobs->kept; entry && !status; entry = entry->next) {
        const struct store_run *run = &entry->run;
        if (is_or_any(filter->model, run->model) && is_or_any(filter->kind, run->kind) &&
            is_or_any(filter->status, run->status) &&
            (!filter->imported || *filter->imported == run->imported) &&
            (!filter->has_before || is_newer(&before, run)))
            status = collect_kept(into, entry, error);
    }
    if (!status && jobs->store)
        status = store_runs_list(jobs->store, filter, collect_row, into, error);
    if (!status && into->n > 1)
        qsort(into->items, into->n, sizeof *into->items, by_time);
    return status;
}

/* Spreads that were asked for already. */
struct session_sds {
    struct {
        const char *series;
        double sd;
    } known[MAX_LIMIT];
    size_t n;
};

static double known_sd(struct jobs *jobs, const char *series, struct session_sds *sds)
{
    for (size_t i = sds->n; i > 0; i--) /* the last first: neighbours are often of one series */
        if (strcmp(sds->known[i - 1].series, series) == 0)
            return sds->known[i - 1].sd;
    double sd = session_sd(jobs, series);
    sds->known[sds->n].series = series;
    sds->known[sds->n++].sd = sd;
    return sd;
}

static json_t *page_json(struct jobs *jobs, const struct collection *page, size_t n)
{
    struct session_sds sds = {.n = 0};
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) { /* at most MAX_LIMIT */
        const struct collected *item = &page->items[i];
        bool has_trend = item->run.previous_id && item->run.series;
        double sd = has_trend ? known_sd(jobs, item->run.series, &sds) : PAIRS_SESSION_SD;
        json_array_append_new(list, run_json(&item->run, sd, item->why));
    }
    return list;
}

static int read_before(struct jobs *jobs, const char *before, struct store_runs_filter *filter,
                       struct error *error)
{
    struct found_run found;
    if (!before)
        return 0;
    if (history_find(jobs, before, &found, NULL))
        return error_set(error, ERROR_INVALID, "before: there is no profiling run with this id");
    filter->has_before = true;
    filter->before_ms = found.run.created_ms;
    filter->before_id = before;
    found_run_free(&found);
    return 0;
}

static int check_status(const char *status, struct error *error)
{
    static const char *const known[] = {"waiting", "running",   "success",
                                        "failed",  "cancelled", "interrupted"};
    for (size_t i = 0; status && i < sizeof known / sizeof *known; i++)
        if (strcmp(status, known[i]) == 0)
            return 0;
    return status ? error_set(error, ERROR_INVALID,
                              "status: waiting, running, success, failed, cancelled or interrupted is wanted")
                  : 0;
}

int jobs_list(struct jobs *jobs, const struct jobs_filter *filter, json_t **out, struct error *error)
{
    *out = NULL;
    size_t limit = filter->limit ? filter->limit : DEFAULT_LIMIT;
    if (limit > MAX_LIMIT)
        return error_set(error, ERROR_INVALID, "limit: at most %d", MAX_LIMIT);
    struct store_runs_filter wanted = {.model = filter->model,
                                       .kind = filter->kind,
                                       .status = filter->status,
                                       .imported = filter->imported,
                                       .limit = (uint32_t)limit + 1}; /* one more: is there a next page? */
    int status = check_status(filter->status, error);
    if (!status)
        status = read_before(jobs, filter->before, &wanted, error);
    if (status)
        return status;
    struct collection into = {.jobs = jobs, .brief = true, .orphans = jobs_look(jobs)};
    pthread_mutex_lock(&jobs->saving);
    status = collect_page(&into, &wanted, error);
    pthread_mutex_unlock(&jobs->saving);
    if (!status) {
        size_t n = into.n < limit ? into.n : limit;
        const char *next = into.n > limit ? into.items[limit - 1].run.id : NULL;
        json_t *list = page_json(jobs, &into, n);
        *out = json_pack("{s:o}", "runs", list);
        json_put_string(*out, "next", next, "this is the last page");
        if (!*out)
            status = error_memory(error, "the history", 0);
    }
    free_collection(&into);
    return status;
}

int jobs_find(struct jobs *jobs, const char *prefix, char id[JOBS_ID], struct error *error)
{
    size_t length = strlen(prefix);
    id[0] = '\0';
    if (strspn(prefix, "0123456789abcdef") != length || length > JOBS_ID - 1)
        return error_set(error, ERROR_NOT_FOUND, "'%.40s' is no id of a profiling run (hexadecimal digits)",
                         prefix);
    if (length < PREFIX_MIN)
        return error_set(error, ERROR_INVALID, "'%s' is too short for an id: %d digits are the least", prefix,
                         PREFIX_MIN);
    struct collection into = {.jobs = jobs};
    int status = 0;
    pthread_mutex_lock(&jobs->saving);
    for (const struct kept *entry = jobs->kept; entry && !status; entry = entry->next)
        if (strncmp(entry->run.id, prefix, length) == 0)
            status = collect(&into, &entry->run, NULL, error);
    if (!status && jobs->store)
        status = store_runs_find(jobs->store, prefix, 2, collect_row, &into, error);
    pthread_mutex_unlock(&jobs->saving);
    if (!status && into.n == 0)
        status =
            error_set(error, ERROR_NOT_FOUND, "there is no profiling run whose id begins with %s", prefix);
    else if (!status && into.n > 1)
        status = error_set(error, ERROR_INVALID, "%s begins the ids of several runs: %.12s, %.12s, ...",
                           prefix, into.items[0].run.id, into.items[1].run.id);
    else if (!status)
        memcpy(id, into.items[0].run.id, JOBS_ID);
    free_collection(&into);
    return status;
}

/* ---- changing ---- */

int history_forget(struct jobs *jobs, const char *id, struct error *error)
{
    pthread_mutex_lock(&jobs->saving);
    struct kept *entry = kept_find(jobs, id);
    int status = 0;
    if (!entry || entry->on_disk)
        status = jobs->store ? store_run_delete(jobs->store, id, error) : jobs_not_found(error);
    if (!status && entry)
        kept_drop(jobs, entry);
    if (!status)
        kept_save_all(jobs);
    pthread_mutex_unlock(&jobs->saving);
    return status;
}

int jobs_delete(struct jobs *jobs, const char *id, struct error *error)
{
    struct found_run found;
    int status = history_find(jobs, id, &found, error);
    if (status)
        return status;
    if (run_is_open(&found.run))
        status = error_set(error, ERROR_BUSY, "this run is going on: cancel it first");
    found_run_free(&found);
    return status ? status : history_forget(jobs, id, error);
}

/* When the report was made; now, when it does not say so in a way that can be believed. */
static int64_t created_of(const json_t *report)
{
    int64_t now = jobs_now_ms();
    struct tm utc = {0};
    const char *end = strptime(json_get_text(report, "created", ""), "%Y-%m-%dT%H:%M:%SZ", &utc);
    int64_t then = end && !*end ? (int64_t)timegm(&utc) * 1000 : now;
    return then > 0 && then < now ? then : now;
}

int jobs_import(struct jobs *jobs, const json_t *report, char id[JOBS_ID], struct error *error)
{
    struct report_row row;
    id[0] = '\0';
    int status = report_check(report, error);
    if (!status)
        status = jobs_new_id(id, error);
    if (status)
        return status;
    report_row(report, &row);
    row.run.id = id;
    row.run.created_ms = created_of(report);
    row.run.imported = true;
    if (!row.run.status || run_is_open(&row.run))
        return error_set(error, ERROR_INVALID, "status: the report is of a run that is over, or of none");
    json_t *copy = json_copy((json_t *)(uintptr_t)report); /* shallow: one member is ours */
    json_object_set_new(copy, "run_id", json_string(id));
    char *text = copy ? json_dumps(copy, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(copy);
    if (!text)
        return error_memory(error, "a report", 0);
    row.run.report = text;
    if (strlen(text) > STORE_RUN_REPORT_BYTES)
        status = error_set(error, ERROR_LIMIT, "the report has %zu bytes; at most %d are kept", strlen(text),
                           STORE_RUN_REPORT_BYTES);
    pthread_mutex_lock(&jobs->saving);
    if (!status)
        status = kept_has_room(jobs, error);
    pthread_mutex_unlock(&jobs->saving);
    if (!status)
        status = jobs_save_new(jobs, &row.run, error);
    free(text);
    return status;
}
