/* Between fetch.c (one file: lock, part, hash) and fetch_lines.c (its bytes: pieces, connections, failures).
 */
#ifndef LLMIND_HUB_FETCH_INTERNAL_H
#define LLMIND_HUB_FETCH_INTERNAL_H

#include "hub/fetch.h"
#include "hub/record.h"

struct fetch {
    struct hub_client *client;
    const struct hub_cache *cache;
    const struct hub_file *file;
    const char *address; /* at the hub */
    int part;            /* descriptor of what is unfinished */
    struct hub_record record;
};

/* Fetches every block that the record misses into the part. Errors: as hub_pull. */
int fetch_lines(struct fetch *fetch, struct error *error);

#endif
