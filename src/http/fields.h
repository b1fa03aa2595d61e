/* Typed fields of a request's JSON object, and its query: one way to read them for every file of routes.
 *
 * Each function returns true when the field is right or absent (null counts as absent; *out is then left as
 * it was, so that it holds the default), and false when it is wrong: the exchange has then been answered with
 * 400, `param` naming the field, and the handler returns. What *out points to belongs to the object.
 *
 *     int64_t n = 1;
 *     if (!http_field_integer(exchange, body, "n", 1, 16, &n) || !http_field_...)
 *         goto out;
 */
#ifndef LLMIND_HTTP_FIELDS_H
#define LLMIND_HTTP_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/exchange.h"

/* Given and not null? Answers nothing. */
bool http_field_given(const json_t *object, const char *name);
/* false, answered: it is absent or null. */
bool http_field_required(struct http_exchange *exchange, const json_t *object, const char *name);

bool http_field_boolean(struct http_exchange *exchange, const json_t *object, const char *name, bool *out);
/* A JSON integer (3.0 is none) from min to max. */
bool http_field_integer(struct http_exchange *exchange, const json_t *object, const char *name, int64_t min,
                        int64_t max, int64_t *out);
bool http_field_number(struct http_exchange *exchange, const json_t *object, const char *name, double min,
                       double max, double *out);
/* Of at most max_bytes; zero-terminated, without zeros inside. */
bool http_field_string(struct http_exchange *exchange, const json_t *object, const char *name,
                       size_t max_bytes, const char **out);
/* One of the names; *out becomes its index. */
bool http_field_choice(struct http_exchange *exchange, const json_t *object, const char *name,
                       const char *const *choices, size_t n_choices, size_t *out);
/* Borrowed references. */
bool http_field_array(struct http_exchange *exchange, const json_t *object, const char *name,
                      size_t max_items, json_t **out);
bool http_field_object(struct http_exchange *exchange, const json_t *object, const char *name, json_t **out);

/* Refuses the first field whose name is not in the list, with the nearest one that is. */
bool http_fields_known(struct http_exchange *exchange, const json_t *object, const char *const *names,
                       size_t n_names);

/* ?limit=20 */
bool http_query_integer(struct http_exchange *exchange, const char *name, int64_t min, int64_t max,
                        int64_t *out);
/* ?imported=true, or false. *given: it is there (*out is then set). */
bool http_query_boolean(struct http_exchange *exchange, const char *name, bool *out, bool *given);

#endif
