/* Between catalog.c and catalog_hub.c only. */
#ifndef LLMIND_SERVICE_CATALOG_INTERNAL_H
#define LLMIND_SERVICE_CATALOG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "service/catalog.h"

/* Called for each folder inside a folder; a negative result ends the walk and is returned. */
typedef int (*catalog_visit)(void *context, const char *name, const char *path, struct error *error);
/* Folders (also through symbolic links) in alphabetical order, hidden ones left out. A folder that is absent
 * or cannot be read is empty. */
int catalog_each_folder(const char *folder, catalog_visit visit, void *context, struct error *error);

bool catalog_is_model(const char *folder); /* has a config.json */

int catalog_copy_path(char *out, size_t capacity, const char *path, struct error *error);

/* Adds an entry and reads its summary. */
int catalog_add(struct catalog *catalog, const char *name, const char *path, const char *source,
                struct error *error);

/* The Hugging Face cache: models--ORG--NAME/{refs/main, snapshots/COMMIT/}. */
int catalog_hub_scan(struct catalog *catalog, struct error *error);
/* 0 and the snapshot's folder; 1 when the cache has no such repository; ERROR_NOT_FOUND when it has the
 * repository and not the revision, or no finished snapshot. */
int catalog_hub_find(const char *id, char *path, size_t capacity, struct error *error);

#endif
