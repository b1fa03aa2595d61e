/* The folders of one repository in the cache, held open: everything is made and opened relative to them, one
 * part of a path after another and never through a symbolic link, so that no name leads out. Between the
 * files of src/hub only. One thread. */
#ifndef LLMIND_HUB_CACHE_H
#define LLMIND_HUB_CACHE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "hub/hub.h"

enum { HUB_MAX_ENTRY = HUB_MAX_HASH + 32 }; /* a name under blobs/ */

struct hub_cache {
    int repository, blobs, locks; /* folders; -1: closed */
    char path[PATH_MAX];          /* of the repository's folder */
};

/* make: what is not there is made. Errors: ERROR_NOT_FOUND (not there), ERROR_IO (with the path),
 * ERROR_LIMIT; may be closed all the same. */
int hub_cache_open(const struct hub_settings *settings, const char *repository, bool make,
                   struct hub_cache *cache, struct error *error);
void hub_cache_close(struct hub_cache *cache);

/* HASH, HASH.llmind.incomplete, HASH.llmind.record: names under blobs/. */
void hub_cache_part_name(const char *hash, char out[HUB_MAX_ENTRY]);
void hub_cache_record_name(const char *hash, char out[HUB_MAX_ENTRY]);

/* Whether the file is there. Whoever put it there has checked it; its size is looked at again. */
bool hub_cache_has(const struct hub_cache *cache, const struct hub_file *file);
/* Bytes that are free for us on the cache's disk. HUB_UNKNOWN: the system does not tell. */
uint64_t hub_cache_free_bytes(const struct hub_cache *cache);

/* The lock of a file, as huggingface_hub takes it. 0 and *descriptor (close it to let go); 1: somebody else
 * has it. ERROR_IO. */
int hub_cache_try_lock(const struct hub_cache *cache, const char *hash, int *descriptor, struct error *error);

/* The finished part becomes the blob. ERROR_IO. */
int hub_cache_settle(const struct hub_cache *cache, const char *hash, struct error *error);
/* snapshots/COMMIT/name -> ../../blobs/HASH, replacing what was there. name is a plain one. ERROR_IO. */
int hub_cache_link(const struct hub_cache *cache, const char *commit, const struct hub_file *file,
                   struct error *error);
/* refs/REVISION (slashes are folders), at once or not at all; a revision that is the commit gets none. */
int hub_cache_set_reference(const struct hub_cache *cache, const char *revision, const char *commit,
                            struct error *error);
/* The commit of a reference, or the revision itself where a snapshot of that name exists. False: none. */
bool hub_cache_find_commit(const struct hub_cache *cache, const char *revision, char out[HUB_COMMIT + 1]);

/* A folder below another, opened without following a link; make: made when it is not there. -1: errno. */
int hub_open_folder(int parent, const char *name, bool make);

#endif
