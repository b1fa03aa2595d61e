/* Hashes of files: what the hub's listing calls a file. Between the files of src/hub only. */
#ifndef LLMIND_HUB_DIGEST_H
#define LLMIND_HUB_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/hub.h"

/* Of the first `bytes` bytes of a file: SHA-256 (FIPS 180-4) when wanted has 64 digits, else git's name of a
 * blob, the SHA-1 of "blob <size>\0" and the content. proceed is asked every few MB (may be NULL). *good:
 * they are equal. Errors: ERROR_IO (also a file that is shorter), ERROR_CANCELLED, ERROR_MEMORY. */
int hub_digest_check(int file, uint64_t bytes, const char *wanted, bool (*proceed)(void *context),
                     void *context, bool *good, struct error *error);

#endif
