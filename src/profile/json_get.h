/* Reading a report that may be anybody's. Everything behind a run (analysis, comparison, history, renderers)
 * reads one JSON document, and an imported one is hostile: members may be missing, null or of the wrong type,
 * arrays endless. These functions never fail: what is not there, or not what it should be, is NaN, NULL, 0 or
 * the fallback, so that a reader has one case, "unknown", instead of five.
 *
 * A path is member names and array indices with dots between them: "summary.mbu",
 * "tests.0.samples.2.ttft_ms".
 * "" is the value itself. Member names that contain a dot cannot be reached. Every json argument may be NULL.
 * Results are borrowed. Pure, any thread.
 */
#ifndef LLMIND_PROFILE_JSON_GET_H
#define LLMIND_PROFILE_JSON_GET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    JSON_GET_MAX_NAME = 128,    /* bytes of one step of a path */
    JSON_GET_MAX_ITEMS = 100000 /* of an array that is walked: what comes after is not seen */
};

/* The value at a path; NULL when it is absent. JSON null is found (json_is_null). */
const json_t *json_get(const json_t *json, const char *path);

/* NaN: absent, null, not a number (true and "3" are none). Never infinite. */
double json_get_number(const json_t *json, const char *path);
/* As json_get_number, and NaN when it is negative: sizes, rates, times, counts. */
double json_get_positive(const json_t *json, const char *path);
/* The typical value of a figure that is either a number or the schema's "stats" (then its median). */
double json_get_figure(const json_t *json, const char *path);
bool json_get_bool(const json_t *json, const char *path, bool fallback);
/* NULL: absent, null, not a string. Valid UTF-8 without NUL (jansson sees to it), any length, any other
 * control character. */
const char *json_get_string(const json_t *json, const char *path);
/* As json_get_string with something instead of NULL. */
const char *json_get_text(const json_t *json, const char *path, const char *fallback);
/* Whether the string at path is this one. */
bool json_get_is(const json_t *json, const char *path, const char *text);
/* Why "NAME" is null: its sibling "NAME_reason"; fallback when there is none. */
const char *json_get_reason(const json_t *json, const char *path, const char *fallback);

const json_t *json_get_object(const json_t *json, const char *path); /* NULL: none */
const json_t *json_get_array(const json_t *json, const char *path);  /* NULL: none */
/* Elements of the array at path, at most JSON_GET_MAX_ITEMS; 0: none. */
size_t json_get_count(const json_t *json, const char *path);
/* Element i of an array; NULL: no array, or not so long. */
const json_t *json_get_item(const json_t *array, size_t i);
/* The first object in the array at path whose member `key` is the string `text`: ("tests", "id",
 * "simple"). NULL: none. */
const json_t *json_get_where(const json_t *json, const char *path, const char *key, const char *text);

/* The numbers of an array: those at `member` (a path) of its objects, or the elements themselves when member
 * is "". What is not a number is left out. Returns how many were written, at most capacity. */
size_t json_get_numbers(const json_t *json, const char *path, const char *member, double *out,
                        size_t capacity);

/* A small integer that is one, from minimum to maximum; fallback otherwise. */
long json_get_integer(const json_t *json, const char *path, long minimum, long maximum, long fallback);

#endif
