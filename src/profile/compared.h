/* How a configuration of a report did against its baseline. Each is judged by the figure it could change
 * ("compared"), which may be one where less is better; the baseline's runs of the same thing, taken in turn,
 * are beside it. Pure; reads reports of strangers. */
#ifndef LLMIND_PROFILE_COMPARED_H
#define LLMIND_PROFILE_COMPARED_H

#include <jansson.h>

/* "tok/s", "decode tok/s", "total tok/s" (of several requests together), "prefill tok/s", "TTFT ms". */
const char *compared_name(const json_t *configuration);
/* The "stats" of that figure: of the configuration, and of the baseline beside it (NULL: not told). */
const json_t *compared_value(const json_t *configuration);
const json_t *compared_baseline(const json_t *report, const json_t *configuration);
/* 1: shown to be better, -1: shown to be worse, 0: neither. */
int compared_verdict(const json_t *configuration);

#endif
