/* What a lab and its parent say to each other, as JSON, in both directions. Members that are missing or of
 * the wrong type read as unknown (NaN, 0, NULL): both sides are the same program. Private to the lab's files.
 *
 *   to the lab      {"do": "open", "options": {...}, "raw": b}    {"do": "run", "run": {...}}
 *                   {"do": "trace", "n_tokens": n, "depth": n}    {"do": "cancel"}
 *   each with "call": n; the lab answers all but the last
 *   from the lab    {"call": n, "result": {...}}   or   {"call": n, "error": {"code": n, "message": "..."}}
 */
#ifndef LLMIND_PROFILE_LAB_JSON_H
#define LLMIND_PROFILE_LAB_JSON_H

#include "profile/lab.h"

/* Each _json gives a new reference (NULL: memory); each _read borrows strings from the JSON. */

json_t *lab_options_json(const struct engine_options *options);
void lab_options_read(const json_t *json, struct engine_options *out);

json_t *lab_run_json(const struct lab_run *run);
/* ERROR_INVALID: no prompt, or lengths that make no sense. */
int lab_run_read(const json_t *json, struct lab_run *out, struct error *error);

json_t *lab_result_json(const struct lab_result *result);
/* Allocates the gaps of the sample. ERROR_INVALID, ERROR_MEMORY. */
int lab_result_read(const json_t *json, struct lab_result *out, struct error *error);

/* Of lab_info: the parts that both have. */
json_t *lab_model_json(const struct engine_info *info);
json_t *lab_flags_json(const struct engine_info *info);
void lab_info_read(const json_t *info, struct engine_info *out);

#endif
