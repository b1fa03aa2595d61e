/* Deleting a model of the hub's cache while a server runs. */
#ifndef LLMIND_SERVICE_REMOVAL_H
#define LLMIND_SERVICE_REMOVAL_H

#include <stdint.h>

#include "base/error.h"

struct downloads;
struct model_host;

/* id: "ORG/NAME", or with @REVISION one snapshot and the files that no other one uses; what a download that
 * never ended has left is part of it. *freed_bytes: of the disk. Errors: ERROR_BUSY (it is loaded, or is
 * being downloaded), ERROR_UNSUPPORTED (a model that is not the hub's), ERROR_INVALID, ERROR_NOT_FOUND,
 * ERROR_IO. */
int removal_run(struct model_host *host, struct downloads *downloads, const char *id, uint64_t *freed_bytes,
                struct error *error);

#endif
