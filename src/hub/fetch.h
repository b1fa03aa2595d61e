/* One file, from "perhaps there" to "there and verified", shared with whoever else wants it. Between the
 * files of src/hub only. */
#ifndef LLMIND_HUB_FETCH_H
#define LLMIND_HUB_FETCH_H

#include "hub/cache.h"
#include "hub/client.h"

/* A file is fetched in pieces of this size, one connection to each. */
enum { HUB_PIECE_BYTES = 8 << 20 };

/* When it returns 0 the file is under blobs/ by its hash. client->progress.done_bytes is kept at base_bytes
 * and what is there of this one. Errors: as hub_pull. */
int hub_fetch(struct hub_client *client, const struct hub_cache *cache, const char *commit,
              const struct hub_file *file, struct error *error);

#endif
