/* Measurements that are kept between runs of the program, in a file of the cache folder: {"entries": [{"key",
 * "at", NAME}]}, newest first. The file is anybody's: what is not of the right form counts as not there. Two
 * programs that write at once: the later one wins, and the file is whole either way, because it is written
 * beside and renamed.
 */
#ifndef LLMIND_PROFILE_CACHE_FILE_H
#define LLMIND_PROFILE_CACHE_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* The entry's value with this key (new reference) and when it was stored, or NULL. name: "ceilings" is the
 * file ceilings.json and the member of its entries. other: whether there are entries with other keys; may be
 * NULL. */
json_t *cache_file_recall(const char *name, const char *key, int64_t *at_s, bool *other);
/* Replaces the entry of this key. Errors: ERROR_NOT_FOUND (no cache folder), ERROR_IO, ERROR_MEMORY. */
int cache_file_remember(const char *name, const char *key, int64_t now_s, const json_t *value,
                        struct error *error);

#endif
