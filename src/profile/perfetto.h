/* The traced steps of a report as a trace file for Perfetto (ui.perfetto.dev) and chrome://tracing: the "JSON
 * object format" of the Trace Event Format, complete events ("ph": "X"), microseconds. Segments stand one
 * behind another in the order they ran; each depth is a process of its own.
 */
#ifndef LLMIND_PROFILE_PERFETTO_H
#define LLMIND_PROFILE_PERFETTO_H

#include <jansson.h>

#include "base/error.h"

/* *out: a new reference. ERROR_NOT_FOUND: the report has no traces; ERROR_MEMORY. Pure. */
int perfetto_trace(const json_t *report, json_t **out, struct error *error);

#endif
