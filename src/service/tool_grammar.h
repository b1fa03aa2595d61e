/* The grammar of an answer that must be a tool call: the plain JSON form, {"name": ..., "arguments": {...}},
 * with the declared schema of each function. tool_calls.h reads what it allows. Pure.
 */
#ifndef LLMIND_SERVICE_TOOL_GRAMMAR_H
#define LLMIND_SERVICE_TOOL_GRAMMAR_H

#include <jansson.h>

#include "base/error.h"

/* A JSON Schema (malloc'ed text) for a call of any of the tools, or of the one called `name` when it is not
 * NULL. ERROR_INVALID: no such tool; ERROR_MEMORY. */
int tool_grammar_schema(const json_t *tools, const char *name, char **out, struct error *error);

#endif
