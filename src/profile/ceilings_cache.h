/* Ceilings that were measured lately, in <cache>/ceilings.json. The file is anybody's: what is not of the
 * right form counts as not there, and a file that cannot be written is no error. */
#ifndef LLMIND_PROFILE_CEILINGS_CACHE_H
#define LLMIND_PROFILE_CEILINGS_CACHE_H

#include <jansson.h>
#include <stdint.h>

/* A new reference; NULL: none that is younger than a day. now_s: seconds since 1970. */
json_t *ceilings_recall(const char *key, int64_t now_s);
void ceilings_remember(const char *key, int64_t now_s, const json_t *ceilings);

#endif
