/* Settings that survive a restart, changed by PUT /api/settings and the web page. A table in settings.c names
 * each key with its type, bounds, default, meaning and when it takes effect; unknown keys and wrong values
 * are refused by name. The API key is not among them. Any thread.
 *
 * They are the last but one in the order flag > environment > config file > saved settings > default: whoever
 * has one of the others does not ask here.
 */
#ifndef LLMIND_SERVICE_SETTINGS_H
#define LLMIND_SERVICE_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct store;
struct settings;

/* What the database has is read once, here; a value in it that the table does not allow is passed over (and
 * logged). store: borrowed; NULL with a reason when there is no database: settings then last until the end of
 * the process. */
int settings_open(struct store *store, const char *reason, struct settings **out, struct error *error);
void settings_close(struct settings *settings); /* NULL is legal */

/* {"values": {...}, "defaults": {...}, "schema": [{"key", "type", "nullable", "minimum", "maximum",
 * "choices", "default", "description", "takes_effect": "at_once" | "next_load" | "next_start"}], "saved":
 * true | false, "saved_reason": ...} */
int settings_read(struct settings *settings, json_t **out, struct error *error);
/* All or nothing. null puts a key back to its default. ERROR_INVALID: param_out (capacity bytes) names the
 * key. What cannot be saved holds all the same until the end of the process; settings_read says so. */
int settings_write(struct settings *settings, const json_t *changes, char *param_out, size_t capacity,
                   struct error *error);

/* One value; the table's default when it was never set, NaN when that is null or no number. key must be in
 * the table. */
double settings_number(struct settings *settings, const char *key);
/* malloc'ed, or NULL when the value is null (or memory is short). */
char *settings_string(struct settings *settings, const char *key);

#endif
