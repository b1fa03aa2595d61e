/* Writing the report: members of JSON objects in the one form that reports have, the counterpart of
 * json_get.h. What is not known is null with a sibling "NAME_reason"; never 0, never left out.
 *
 * json_t is jansson's: `object` is borrowed and may be NULL (memory was short), new values belong to it. When
 * memory is short a member is missing; the functions return false then, which whoever builds a large document
 * may leave to report_check (render.h). Any thread.
 */
#ifndef LLMIND_PROFILE_JSON_PUT_H
#define LLMIND_PROFILE_JSON_PUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "profile/stats.h"

bool json_put_null(json_t *object, const char *name, const char *reason);
/* A number, or null: elements of arrays, and members whose reason is elsewhere. A new reference; NULL:
 * memory.
 */
json_t *json_put_real(double value);
/* NaN and infinity are not known. */
bool json_put_number(json_t *object, const char *name, double value, const char *reason);
bool json_put_integer(json_t *object, const char *name, uint64_t value);
bool json_put_bool(json_t *object, const char *name, bool value);
/* NULL is not known; strings of models and machines may hold anything, and what is not UTF-8 is not shown. */
bool json_put_string(json_t *object, const char *name, const char *text, const char *reason);
/* [low, high]; null when either is not finite. */
bool json_put_interval(json_t *object, const char *name, double low, double high, const char *reason);
/* The schema's "stats"; n = 0 is not known. */
bool json_put_stats(json_t *object, const char *name, const struct stats *stats, const char *reason);
/* A new object or array inside another, borrowed; NULL: memory. */
json_t *json_put_object(json_t *object, const char *name);
json_t *json_put_array(json_t *object, const char *name);

#endif
