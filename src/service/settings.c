/* What the user set, in memory and in the database. Memory is what counts while the process lives: a full
 * disk keeps a setting from lasting, not from working. */
#include "service/settings.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "service/settings_table.h"
#include "store/settings.h"

struct settings {
    struct store *store;
    pthread_mutex_t lock; /* guards what follows */
    json_t *set;          /* key -> value, of what is not at its default */
    json_t *pending;      /* the keys that were changed and are not in the database as they are here */
    char *unsaved;        /* why `set` is not what the database has; NULL: it is */
};

static int take_row(void *context, const struct store_setting *saved, struct error *error)
{
    struct settings *settings = context;
    const struct setting_row *row = setting_find(saved->key);
    json_t *value = row ? json_loads(saved->value, JSON_DECODE_ANY, NULL) : NULL;
    struct error why = {0};
    int status = 0;
    if (!row)
        return 0; /* another version's: left alone */
    if (!value || setting_check(row, value, &why))
        log_event(LOG_LEVEL_WARNING, "setting_ignored", "key=%s reason=%s", saved->key,
                  value ? why.message : "it is not JSON");
    else if (json_object_set(settings->set, row->key, value))
        status = error_memory(error, "settings", 0);
    json_decref(value);
    return status;
}

int settings_open(struct store *store, const char *reason, struct settings **out, struct error *error)
{
    *out = NULL;
    struct settings *settings = calloc(1, sizeof *settings);
    if (!settings)
        return error_memory(error, "settings", sizeof *settings);
    pthread_mutex_init(&settings->lock, NULL);
    settings->store = store;
    settings->set = json_object();
    settings->pending = json_object();
    int status = settings->set && settings->pending ? 0 : error_memory(error, "settings", 0);
    if (!status && store)
        status = store_settings_read(store, take_row, settings, error);
    else if (!status && !(settings->unsaved = strdup(reason ? reason : "there is no database")))
        status = error_memory(error, "settings", 0);
    if (status)
        settings_close(settings);
    else
        *out = settings;
    return status;
}

void settings_close(struct settings *settings)
{
    if (!settings)
        return;
    pthread_mutex_destroy(&settings->lock);
    json_decref(settings->set);
    json_decref(settings->pending);
    free(settings->unsaved);
    free(settings);
}

/* ---- reading ---- */

/* A new reference: what was set, or the default. */
static json_t *value_of(const json_t *set, const struct setting_row *row)
{
    json_t *value = set ? json_object_get(set, row->key) : NULL;
    return value ? json_incref(value) : json_loads(row->fallback, JSON_DECODE_ANY, NULL);
}

/* Each row under its key, as make gives it; NULL when memory is short. */
static json_t *all_values(const json_t *set)
{
    json_t *values = json_object();
    for (size_t i = 0; values && i < n_setting_rows; i++)
        if (json_object_set_new(values, setting_rows[i].key, value_of(set, &setting_rows[i]))) {
            json_decref(values);
            return NULL;
        }
    return values;
}

static json_t *schema(void)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n_setting_rows; i++)
        if (json_array_append_new(list, setting_describe(&setting_rows[i]))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

int settings_read(struct settings *settings, json_t **out, struct error *error)
{
    pthread_mutex_lock(&settings->lock);
    json_t *reason = settings->unsaved ? json_string(settings->unsaved) : json_null();
    *out = json_pack("{s:o, s:o, s:o, s:b, s:o}", "values", all_values(settings->set), "defaults",
                     all_values(NULL), "schema", schema(), "saved",
                     json_object_size(settings->pending) == 0 && !settings->unsaved, "saved_reason", reason);
    pthread_mutex_unlock(&settings->lock);
    return *out ? 0 : error_memory(error, "settings", 0);
}

static json_t *current(struct settings *settings, const char *key)
{
    const struct setting_row *row = setting_find(key);
    if (!row)
        return NULL;
    pthread_mutex_lock(&settings->lock);
    json_t *value = value_of(settings->set, row);
    pthread_mutex_unlock(&settings->lock);
    return value;
}

double settings_number(struct settings *settings, const char *key)
{
    json_t *value = current(settings, key);
    double number = json_is_number(value) ? json_number_value(value) : NAN;
    json_decref(value);
    return number;
}

char *settings_string(struct settings *settings, const char *key)
{
    json_t *value = current(settings, key);
    char *text = json_is_string(value) ? strdup(json_string_value(value)) : NULL;
    json_decref(value);
    return text;
}

/* ---- writing ---- */

static int check_all(const json_t *changes, char *param_out, size_t capacity, struct error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)changes, key, value) {
        const struct setting_row *row = setting_find(key);
        int status = 0;
        if (!row)
            status = error_set(error, ERROR_INVALID,
                               "there is no setting '%.100s'; GET /api/settings lists them", key);
        else if (!json_is_null(value))
            status = setting_check(row, value, error);
        if (status) {
            snprintf(param_out, capacity, "%s", key);
            return status;
        }
    }
    return 0;
}

/* What was changed here and by nobody else: another process may have set other keys. */
static int save_pending(struct settings *settings, struct error *error)
{
    struct store_setting *rows = calloc(n_setting_rows, sizeof *rows);
    int status = rows ? 0 : error_memory(error, "settings", 0);
    size_t n = 0;
    const char *key;
    json_t *unused;
    json_object_foreach(settings->pending, key, unused) {
        const json_t *value = json_object_get(settings->set, key);
        char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        if (!status && value && !text)
            status = error_memory(error, "settings", 0);
        if (rows && n < n_setting_rows)
            rows[n++] = (struct store_setting){key, text};
        else
            free(text);
    }
    if (!status)
        status = store_settings_write(settings->store, rows, n, error);
    if (!status)
        json_object_clear(settings->pending);
    for (size_t i = 0; i < n; i++)
        free((char *)rows[i].value);
    free(rows);
    return status;
}

/* Under lock; all of the changes or none. */
static int apply(struct settings *settings, const json_t *changes, struct error *error)
{
    json_t *set = json_copy(settings->set), *pending = json_copy(settings->pending);
    int failed = !set || !pending;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)changes, key, value) {
        if (failed)
            break;
        if (json_is_null(value))
            json_object_del(set, key);
        else
            failed = json_object_set(set, key, value);
        if (!failed)
            failed = json_object_set_new(pending, key, json_true());
    }
    if (failed) {
        json_decref(set);
        json_decref(pending);
        return error_memory(error, "settings", 0);
    }
    json_decref(settings->set);
    json_decref(settings->pending);
    settings->set = set;
    settings->pending = pending;
    return 0;
}

int settings_write(struct settings *settings, const json_t *changes, char *param_out, size_t capacity,
                   struct error *error)
{
    int status = check_all(changes, param_out, capacity, error);
    if (status)
        return status;
    struct error why = {0};
    pthread_mutex_lock(&settings->lock);
    status = apply(settings, changes, error);
    if (!status && settings->store) {
        free(settings->unsaved);
        settings->unsaved = save_pending(settings, &why) ? strdup(why.message) : NULL;
    }
    pthread_mutex_unlock(&settings->lock);
    return status;
}
