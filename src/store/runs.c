/* Profiling runs: rows, and beside them the long texts. Lists read rows only, and look up the run before each
 * (of the same series) by an index that holds nothing but what may be compared. */
#include "store/runs.h"

#include <math.h>
#include <string.h>

#include "store/connection.h"

#define RUN_COLUMNS                                                                                          \
    "r.id, r.kind, r.status, r.model, r.quantization, r.mode, r.machine, r.grade, r.message, r.series, "     \
    "r.created_ms, r.duration_s, r.tokens_per_second, r.decode_tps, r.prefill_tps, r.ttft_ms, "              \
    "r.memory_bytes, r.decode_log_mean, r.decode_log_sd, r.decode_n, r.imported, r.proves, r.proof"

/* The run before r in its series, as p. The condition on q is that of the index run_by_series. */
#define WITH_PREVIOUS                                                                                        \
    "LEFT JOIN run p ON r.status = 'success' AND p.number = "                                                \
    "(SELECT q.number FROM run q WHERE q.series = r.series AND q.status = 'success' AND q.imported = 0 "     \
    "AND (q.created_ms, q.id) < (r.created_ms, r.id) ORDER BY q.created_ms DESC, q.id DESC LIMIT 1) "

enum { COLUMN_PREVIOUS = 23, COLUMN_REQUEST = 27, COLUMN_REPORT };

static const char insert_sql[] =
    "INSERT INTO run (id, kind, status, model, quantization, mode, machine, grade, message, series, proves, "
    "proof, duration_s, tokens_per_second, decode_tps, prefill_tps, ttft_ms, memory_bytes, decode_log_mean, "
    "decode_log_sd, decode_n, created_ms, imported) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
    "?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";
static const char insert_text_sql[] =
    "INSERT INTO run_text (run, request, report) VALUES (last_insert_rowid(), ?1, ?2)";
static const char finish_sql[] =
    "UPDATE run SET kind = ?2, status = ?3, model = ?4, quantization = ?5, mode = ?6, machine = ?7, "
    "grade = ?8, message = ?9, series = ?10, proves = ?11, proof = ?12, duration_s = ?13, "
    "tokens_per_second = ?14, decode_tps = ?15, prefill_tps = ?16, ttft_ms = ?17, memory_bytes = ?18, "
    "decode_log_mean = ?19, decode_log_sd = ?20, decode_n = ?21 WHERE id = ?1";
static const char finish_text_sql[] =
    "UPDATE run_text SET report = ?2 WHERE run = (SELECT number FROM run WHERE id = ?1)";
static const char begin_sql[] = "UPDATE run SET status = ?2 WHERE id = ?1";
static const char open_sql[] = "SELECT 1 FROM run WHERE status IN ('waiting', 'running') LIMIT 1";
static const char interrupt_sql[] =
    "UPDATE run SET status = 'interrupted', message = ?1 WHERE status IN ('waiting', 'running')";
static const char delete_sql[] = "DELETE FROM run WHERE id = ?1";

static const char list_sql[] =
    "SELECT " RUN_COLUMNS ", p.id, p.decode_log_mean, p.decode_log_sd, p.decode_n FROM run r " WITH_PREVIOUS
    "WHERE (?1 IS NULL OR r.model = ?1) "
    "AND (?2 IS NULL OR r.kind = ?2) AND (?3 IS NULL OR r.status = ?3) "
    "AND (?4 IS NULL OR (r.created_ms, r.id) < (?4, ?5)) AND (?7 IS NULL OR r.imported = ?7) "
    "ORDER BY r.created_ms DESC, r.id DESC LIMIT ?6";
static const char one_sql[] =
    "SELECT " RUN_COLUMNS ", p.id, p.decode_log_mean, p.decode_log_sd, p.decode_n, t.request, t.report "
    "FROM run r LEFT JOIN run_text t ON t.run = r.number " WITH_PREVIOUS "WHERE r.id = ?1";
static const char find_sql[] = "SELECT " RUN_COLUMNS " FROM run r WHERE r.id GLOB ?1 || '*' "
                               "ORDER BY r.created_ms DESC, r.id DESC LIMIT ?2";
static const char series_sql[] =
    "SELECT " RUN_COLUMNS " FROM run r WHERE r.series = ?1 AND r.status = 'success' AND r.imported = 0 "
    "ORDER BY r.created_ms DESC, r.id DESC LIMIT ?2";
static const char proofs_sql[] =
    "SELECT " RUN_COLUMNS " FROM run r WHERE r.proves = ?1 AND r.status = 'success' AND r.imported = 0 "
    "ORDER BY r.created_ms DESC, r.id DESC LIMIT ?2";

static int not_found(struct error *error)
{
    return error_set(error, ERROR_NOT_FOUND, "there is no run with this id");
}

/* ---- writing ---- */

static int check_lengths(const struct store_run *run, struct error *error)
{
    size_t request = run->request ? strlen(run->request) : 0, report = run->report ? strlen(run->report) : 0;
    if (request > STORE_RUN_REQUEST_BYTES)
        return error_set(error, ERROR_LIMIT, "the request of the run has %zu bytes; at most %d are kept",
                         request, STORE_RUN_REQUEST_BYTES);
    if (report > STORE_RUN_REPORT_BYTES)
        return error_set(error, ERROR_LIMIT, "the report has %zu bytes; at most %d are kept", report,
                         STORE_RUN_REPORT_BYTES);
    return 0;
}

/* Parameters 1 to 21 of insert_sql and finish_sql. NaN becomes NULL in sqlite3_bind_double. */
static void bind_run(sqlite3_stmt *statement, const struct store_run *run)
{
    const char *const texts[] = {run->id,           run->kind,   run->status,  run->model,
                                 run->quantization, run->mode,   run->machine, run->grade,
                                 run->message,      run->series, run->proves,  run->proof};
    const double numbers[] = {run->duration_s,      run->tokens_per_second, run->decode_tps,
                              run->prefill_tps,     run->ttft_ms,           run->memory_bytes,
                              run->decode_log_mean, run->decode_log_sd};
    int index = 1;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        store_bind_text(statement, index++, texts[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sqlite3_bind_double(statement, index++, numbers[i]);
    sqlite3_bind_int64(statement, index, run->decode_n);
}

int store_run_insert(struct store *store, const struct store_run *run, struct error *error)
{
    struct store_connection *writer;
    int status = check_lengths(run, error);
    if (!status)
        status = store_write_begin(store, &writer, error);
    if (status)
        return status;
    sqlite3_stmt *row, *text;
    status = store_statement(writer, insert_sql, &row, error);
    if (!status)
        status = store_statement(writer, insert_text_sql, &text, error);
    if (!status) {
        bind_run(row, run);
        sqlite3_bind_int64(row, 22, run->created_ms);
        sqlite3_bind_int(row, 23, run->imported);
        status = store_finish(writer, row, error);
    }
    if (!status) {
        store_bind_text(text, 1, run->request);
        store_bind_text(text, 2, run->report);
        status = store_finish(writer, text, error);
    }
    return store_write_end(store, writer, status, error);
}

/* A statement about one run that is there. */
static int change_one(struct store_connection *writer, sqlite3_stmt *change, struct error *error)
{
    int status = store_finish(writer, change, error);
    return !status && sqlite3_changes(writer->db) == 0 ? not_found(error) : status;
}

int store_run_finish(struct store *store, const struct store_run *run, struct error *error)
{
    struct store_connection *writer;
    int status = check_lengths(run, error);
    if (!status)
        status = store_write_begin(store, &writer, error);
    if (status)
        return status;
    sqlite3_stmt *row, *text;
    status = store_statement(writer, finish_sql, &row, error);
    if (!status)
        status = store_statement(writer, finish_text_sql, &text, error);
    if (!status) {
        bind_run(row, run);
        status = change_one(writer, row, error);
    }
    if (!status) {
        store_bind_text(text, 1, run->id);
        store_bind_text(text, 2, run->report);
        status = store_finish(writer, text, error);
    }
    return store_write_end(store, writer, status, error);
}

/* One statement with up to two texts. must_change: ERROR_NOT_FOUND when there is no such row. */
static int write_one(struct store *store, const char *sql, const char *first, const char *second,
                     bool must_change, struct error *error)
{
    struct store_connection *writer;
    int status = store_write_begin(store, &writer, error);
    if (status)
        return status;
    sqlite3_stmt *statement;
    status = store_statement(writer, sql, &statement, error);
    if (!status) {
        store_bind_text(statement, 1, first);
        if (second)
            store_bind_text(statement, 2, second);
        status = must_change ? change_one(writer, statement, error) : store_finish(writer, statement, error);
    }
    return store_write_end(store, writer, status, error);
}

int store_run_begin(struct store *store, const char *id, const char *status, struct error *error)
{
    return write_one(store, begin_sql, id, status, true, error);
}

int store_runs_interrupt(struct store *store, const char *message, struct error *error)
{
    return write_one(store, interrupt_sql, message, NULL, false, error);
}

int store_run_delete(struct store *store, const char *id, struct error *error)
{
    return write_one(store, delete_sql, id, NULL, true, error);
}

/* ---- reading ---- */

static const char *text_of(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column); /* NULL of NULL and beyond the last column */
}

static double number_of(sqlite3_stmt *row, int column)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(row, column);
}

static uint32_t count_of(sqlite3_stmt *row, int column)
{
    int64_t count = sqlite3_column_int64(row, column);
    return count > 0 && count <= UINT32_MAX ? (uint32_t)count : 0;
}

static struct store_run run_of(sqlite3_stmt *row)
{
    return (struct store_run){.id = text_of(row, 0),
                              .kind = text_of(row, 1),
                              .status = text_of(row, 2),
                              .model = text_of(row, 3),
                              .quantization = text_of(row, 4),
                              .mode = text_of(row, 5),
                              .machine = text_of(row, 6),
                              .grade = text_of(row, 7),
                              .message = text_of(row, 8),
                              .series = text_of(row, 9),
                              .created_ms = sqlite3_column_int64(row, 10),
                              .duration_s = number_of(row, 11),
                              .tokens_per_second = number_of(row, 12),
                              .decode_tps = number_of(row, 13),
                              .prefill_tps = number_of(row, 14),
                              .ttft_ms = number_of(row, 15),
                              .memory_bytes = number_of(row, 16),
                              .decode_log_mean = number_of(row, 17),
                              .decode_log_sd = number_of(row, 18),
                              .decode_n = count_of(row, 19),
                              .imported = sqlite3_column_int(row, 20) != 0,
                              .proves = text_of(row, 21),
                              .proof = text_of(row, 22),
                              .previous_id = text_of(row, COLUMN_PREVIOUS),
                              .previous_log_mean = number_of(row, COLUMN_PREVIOUS + 1),
                              .previous_log_sd = number_of(row, COLUMN_PREVIOUS + 2),
                              .previous_n = count_of(row, COLUMN_PREVIOUS + 3),
                              .request = text_of(row, COLUMN_REQUEST),
                              .report = text_of(row, COLUMN_REPORT)};
}

/* Visits all rows of a bound statement; *n is how many. */
static int visit_rows(struct store_connection *reader, sqlite3_stmt *rows, store_run_visit *visit,
                      void *context, size_t *n, struct error *error)
{
    int status;
    *n = 0;
    while ((status = store_step(reader, rows, error)) > 0) {
        struct store_run run = run_of(rows);
        ++*n;
        status = visit(context, &run, error);
        if (status)
            break;
    }
    sqlite3_reset(rows);
    return status;
}

int store_runs_list(struct store *store, const struct store_runs_filter *filter, store_run_visit *visit,
                    void *context, struct error *error)
{
    struct store_connection *reader;
    int status = store_read_begin(store, &reader, error);
    if (status)
        return status;
    sqlite3_stmt *rows;
    size_t n;
    status = store_statement(reader, list_sql, &rows, error);
    if (!status) {
        store_bind_text(rows, 1, filter->model);
        store_bind_text(rows, 2, filter->kind);
        store_bind_text(rows, 3, filter->status);
        if (filter->has_before) {
            sqlite3_bind_int64(rows, 4, filter->before_ms);
            store_bind_text(rows, 5, filter->before_id);
        }
        sqlite3_bind_int64(rows, 6, filter->limit);
        if (filter->imported)
            sqlite3_bind_int(rows, 7, *filter->imported);
        status = visit_rows(reader, rows, visit, context, &n, error);
    }
    store_read_end(store, reader);
    return status;
}

/* A statement with one text and perhaps a limit. */
static int read_some(struct store *store, const char *sql, const char *text, uint32_t limit,
                     store_run_visit *visit, void *context, size_t *n, struct error *error)
{
    struct store_connection *reader;
    int status = store_read_begin(store, &reader, error);
    if (status)
        return status;
    sqlite3_stmt *rows;
    status = store_statement(reader, sql, &rows, error);
    if (!status) {
        store_bind_text(rows, 1, text);
        if (limit)
            sqlite3_bind_int64(rows, 2, limit);
        status = visit_rows(reader, rows, visit, context, n, error);
    }
    store_read_end(store, reader);
    return status;
}

int store_run_get(struct store *store, const char *id, store_run_visit *visit, void *context,
                  struct error *error)
{
    size_t n = 0;
    int status = read_some(store, one_sql, id, 0, visit, context, &n, error);
    return !status && n == 0 ? not_found(error) : status;
}

int store_runs_find(struct store *store, const char *prefix, uint32_t limit, store_run_visit *visit,
                    void *context, struct error *error)
{
    size_t n;
    return read_some(store, find_sql, prefix, limit, visit, context, &n, error);
}

int store_runs_series(struct store *store, const char *series, uint32_t limit, store_run_visit *visit,
                      void *context, struct error *error)
{
    size_t n;
    return read_some(store, series_sql, series, limit, visit, context, &n, error);
}

int store_runs_proofs(struct store *store, const char *run, uint32_t limit, store_run_visit *visit,
                      void *context, struct error *error)
{
    size_t n;
    return read_some(store, proofs_sql, run, limit, visit, context, &n, error);
}

int store_runs_open(struct store *store, bool *out, struct error *error)
{
    struct store_connection *reader;
    *out = false;
    int status = store_read_begin(store, &reader, error);
    if (status)
        return status;
    sqlite3_stmt *row;
    status = store_statement(reader, open_sql, &row, error);
    if (!status)
        status = store_step(reader, row, error);
    if (status > 0) {
        *out = true;
        sqlite3_reset(row);
        status = 0;
    }
    store_read_end(store, reader);
    return status;
}
