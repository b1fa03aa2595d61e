/* JSON from strangers: parsed within bounds, read field by field with the bounds stated where it is read.
 *
 * A parsed document takes many times the memory of its text ("[],[],[]" is the worst), so the number of
 * values and the depth are bounded before parsing. Duplicate keys, invalid UTF-8 and non-finite numbers are
 * errors.
 */
#ifndef LLMIND_MODEL_JSON_FILE_H
#define LLMIND_MODEL_JSON_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { JSON_FILE_MAX_BYTES = 64 * 1024 * 1024, JSON_MAX_VALUES = 4 * 1024 * 1024, JSON_MAX_DEPTH = 32 };

/* Parses an object. `where` names the text in messages ("config.json"). *out is the caller's (json_decref).
 */
int json_text_parse(const char *text, size_t length, const char *where, json_t **out, struct error *error);
/* Reads and parses folder/name. ERROR_NOT_FOUND when there is no such file. */
int json_file_read(const char *folder, const char *name, json_t **out, struct error *error);

/* Reading an object's fields. The first wrong one fills the error and sets status; later calls give their
 * fallback. null counts as absent everywhere, as it does in transformers' configurations. */
struct json_fields {
    const json_t *object; /* borrowed; NULL reads as an empty object */
    const char *where;    /* "config.json", "config.json: rope_scaling" */
    int status;
    struct error *error;
};

/* As fallback: the field must be there. */
#define JSON_REQUIRED_COUNT UINT32_MAX
#define JSON_REQUIRED_NUMBER (-1e300)

const json_t *json_fields_get(const struct json_fields *fields,
                              const char *key); /* NULL when absent or null */
uint32_t json_fields_count(struct json_fields *fields, const char *key, uint32_t fallback, uint32_t min,
                           uint32_t max);
double json_fields_number(struct json_fields *fields, const char *key, double fallback, double min,
                          double max);
bool json_fields_bool(struct json_fields *fields, const char *key, bool fallback);
const char *json_fields_string(struct json_fields *fields, const char *key, const char *fallback);
/* The field as an array or object of at most max elements, or NULL. */
const json_t *json_fields_array(struct json_fields *fields, const char *key, size_t max);
const json_t *json_fields_object(struct json_fields *fields, const char *key);
/* Sets status and the message "WHERE: KEY WHAT", unless something failed before. */
void json_fields_fail(struct json_fields *fields, int code, const char *key, const char *what);

#endif
