/* From a recommendation to a setting, and back.
 *
 * Only settings that say how fast the engine is can be written this way: a report is a stored text, and one
 * from elsewhere could recommend any system prompt it liked. The undo is the client's to keep: it is all that
 * is needed to put the setting back, also after a restart, and it refuses when somebody else has changed the
 * setting meanwhile. */
#include <string.h>

#include "http/fields.h"
#include "http/profiling.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/proof.h"
#include "service/settings.h"

enum { ID_BYTES = 200, KEY_BYTES = 64 };

static const char *const keys[] = {"threads",       "context",     "kv_bits",
                                   "max_sequences", "queue_limit", "prefill_chunk"};

static bool may_be_written(const char *key)
{
    for (size_t i = 0; key && i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* A new reference; NULL: answered. */
static json_t *read_settings(struct http_exchange *exchange)
{
    json_t *all = NULL;
    struct error error = {0};
    if (settings_read(http_services(exchange)->settings, &all, &error) == 0)
        return all;
    http_reply_error(exchange, &error, NULL);
    return NULL;
}

static const char *takes_effect(const json_t *settings, const char *key)
{
    return json_get_text(json_get_where(settings, "schema", "key", key), "takes_effect", "next_start");
}

/* The saved value, null when it is the default's. A new reference. */
static json_t *value_of(const json_t *settings, const char *key)
{
    const json_t *value = json_object_get(json_object_get(settings, "values"), key);
    return value ? json_incref((json_t *)(uintptr_t)value) : json_null();
}

/* false: answered. */
static bool write_setting(struct http_exchange *exchange, const char *key, json_t *value)
{
    char param[KEY_BYTES] = "";
    struct error error = {0};
    json_t *changes = json_pack("{s:O}", key, value);
    int status = changes
                     ? settings_write(http_services(exchange)->settings, changes, param, sizeof param, &error)
                     : error_memory(&error, "a setting", 0);
    json_decref(changes);
    if (status)
        http_reply_error(exchange, &error, *param ? param : NULL);
    return status == 0;
}

/* ---- apply ---- */

/* What is said of a recommendation that no proof stands behind; NULL: one does. */
static const char *warning_of(const json_t *proof)
{
    return json_get_is(proof, "verdict", "kept")       ? NULL
           : json_get_is(proof, "verdict", "rejected") ? "set although its proof rejected it"
           : proof                                     ? "unproved: its proof came to no verdict"
                   : "unproved: it was not tried here yet; POST .../prove measures it against the baseline";
}

static json_t *answer(const char *key, json_t *value, json_t *previous, const json_t *settings,
                      const json_t *proof)
{
    const char *warning = warning_of(proof);
    json_t *o = json_pack("{s:{s:s, s:O}, s:{s:s, s:O, s:O}, s:s, s:b}", "applied", "key", key, "value",
                          value, "undo", "key", key, "previous", previous, "value", value, "takes_effect",
                          takes_effect(settings, key), "proved", !warning);
    if (proof)
        json_object_set(o, "proof", (json_t *)(uintptr_t)proof);
    else
        json_put_null(o, "proof", PROOF_NOT_YET);
    json_put_string(o, "warning", warning, "it was proved");
    return o;
}

/* setting: {"key", "value"}, or anything else that a stored report may hold there. */
static void apply(struct http_exchange *exchange, const json_t *setting, const json_t *proof, const char *why)
{
    const char *key = json_get_string(setting, "key");
    json_t *value = (json_t *)(uintptr_t)json_get(setting, "value");
    json_t *settings = may_be_written(key) && value ? read_settings(exchange) : NULL;
    if (!may_be_written(key) || !value) {
        http_reply_problem(exchange, 400, "not_applicable", "recommendation",
                           "no setting does what this recommendation says: %.400s", why);
        return;
    }
    if (!settings)
        return;
    json_t *previous = value_of(settings, key);
    if (write_setting(exchange, key, value))
        http_reply_json(exchange, 200, answer(key, value, previous, settings, proof));
    json_decref(previous);
    json_decref(settings);
}

/* A proof that rejected it stands in the way, until whoever asks says that they know. */
static bool is_refused(struct http_exchange *exchange, const json_t *proof, bool force)
{
    if (force || !json_get_is(proof, "verdict", "rejected"))
        return false;
    http_reply_problem(exchange, 409, "rejected_by_proof", "recommendation",
                       "its proof rejected it (%.300s); {\"force\": true} sets it all the same",
                       json_get_text(proof, "sentence", ""));
    return true;
}

/* What was not recommended but proved can be set as well. */
static void choose(struct http_exchange *exchange, const json_t *body, const json_t *row)
{
    static const char *const known[] = {"recommendation", "force"};
    const char *id = NULL;
    bool force = false;
    if (!http_fields_known(exchange, body, known, 2) ||
        !http_field_required(exchange, body, "recommendation") ||
        !http_field_string(exchange, body, "recommendation", ID_BYTES, &id) ||
        !http_field_boolean(exchange, body, "force", &force))
        return;
    const json_t *found = json_get_where(row, "report.analysis.recommendations", "id", id);
    const json_t *proof = proof_find(json_get(row, "report"), id);
    if (json_get_bool(row, "imported", false)) {
        http_reply_problem(exchange, 400, "imported", NULL,
                           "this run was made on another machine; its recommendations are for that one");
    } else if (!found && !proof) {
        http_reply_problem(exchange, 404, "not_found", "recommendation",
                           "this run has no recommendation of this id; they are in its report, in "
                           "analysis.recommendations");
    } else if (!is_refused(exchange, proof, force)) {
        json_t *own = found ? NULL : proof_setting(id);
        apply(exchange, found ? json_get(found, "setting") : own, proof,
              json_get_text(found, "setting_reason", json_get_text(found, "text", id)));
        json_decref(own);
    }
}

void profiling_post_apply(struct http_exchange *exchange)
{
    profiling_with_run(exchange, choose);
}

/* ---- undo ---- */

static void undo(struct http_exchange *exchange, const json_t *body, const json_t *row)
{
    static const char *const known[] = {"key", "previous", "value"};
    const char *key = NULL;
    (void)row; /* it only has to be there */
    json_t *previous = json_object_get(body, "previous");
    if (!http_fields_known(exchange, body, known, 3) || !http_field_required(exchange, body, "key") ||
        !http_field_string(exchange, body, "key", KEY_BYTES, &key))
        return;
    if (!previous || !may_be_written(key)) {
        http_reply_problem(exchange, 400, "invalid_value", previous ? "key" : "previous",
                           "an undo is what apply answered: {\"key\", \"previous\", \"value\"}");
        return;
    }
    json_t *settings = read_settings(exchange);
    if (!settings)
        return;
    json_t *now = value_of(settings, key), *expected = json_object_get(body, "value");
    if (expected && !json_equal(now, expected))
        http_reply_problem(exchange, 409, "changed_meanwhile", "value",
                           "'%s' has been changed since: nothing was put back", key);
    else if (write_setting(exchange, key, previous))
        http_reply_json(exchange, 200,
                        json_pack("{s:{s:s, s:O}, s:s}", "restored", "key", key, "value", previous,
                                  "takes_effect", takes_effect(settings, key)));
    json_decref(now);
    json_decref(settings);
}

void profiling_post_undo(struct http_exchange *exchange)
{
    profiling_with_run(exchange, undo);
}
