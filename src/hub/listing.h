/* What a repository holds at a commit, as the hub's API says it, checked.
 *
 * Source: GET /api/models/{repo}/revision/{revision}?blobs=true: an object with "sha" (the commit) and
 * "siblings" [{"rfilename", "size", "blobId", "lfs": {"sha256", "size"}}]. Between the files of src/hub only.
 */
#ifndef LLMIND_HUB_LISTING_H
#define LLMIND_HUB_LISTING_H

#include <stddef.h>

#include "base/error.h"
#include "hub/hub.h"

enum { HUB_MAX_LISTING_BYTES = 16 << 20, HUB_MAX_FILES = 20000 };
/* Of one file: above every file system's own limit that such a file could lie on, and below overflow. */
#define HUB_MAX_FILE_BYTES ((uint64_t)1 << 42)

struct hub_listing {
    char commit[HUB_COMMIT + 1];
    struct hub_file *files; /* distinct names, sorted */
    size_t n_files;
};

/* Errors: ERROR_INVALID (not such a listing, or a name, size or hash in it cannot be: nothing of it is used),
 * ERROR_LIMIT (too long, too deep, too many), ERROR_MEMORY. On error *out is empty. */
int hub_listing_parse(const char *text, size_t length, struct hub_listing *out, struct error *error);
void hub_listing_free(struct hub_listing *listing);
/* NULL: there is none of that name. */
struct hub_file *hub_listing_find(const struct hub_listing *listing, const char *name);

/* The distinct file names of a model.safetensors.index.json, sorted: what its weight_map names. Each is a
 * plain name that ends with .safetensors. *out: free each and the array. Errors as above. */
int hub_index_parse(const char *text, size_t length, char ***out, size_t *count, struct error *error);

#endif
