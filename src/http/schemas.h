/* docs/openapi_schemas.json, as it was when the program was built (schemas.c is made by embed.cmake). The
 * bytes are ASCII, so that they are chars without a sign. */
#ifndef LLMIND_HTTP_SCHEMAS_H
#define LLMIND_HTTP_SCHEMAS_H

#include <stddef.h>

extern const char openapi_schemas[];
extern const size_t openapi_schemas_length;

#endif
