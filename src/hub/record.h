/* Which blocks of an unfinished file are there: a file beside it, so that whoever comes after a kill -9
 * fetches only what is missing.
 *
 * Layout: 512 bytes of head ("llmind.part/1", size of the whole, size of a block, the ETag it was fetched
 * under), then one byte per block, 1 when all of it was written. A block is marked after its bytes were
 * handed to the system, and nothing is synced meanwhile: that order outlives the process, and where power
 * fails in between the hash finds out (fetch.c then starts over). Between the files of src/hub only. One
 * thread.
 */
#ifndef LLMIND_HUB_RECORD_H
#define LLMIND_HUB_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "hub/answer.h"

/* Small, because the last block of each connection is what a kill costs. */
enum { HUB_BLOCK = 64 * 1024 };

struct hub_record {
    int descriptor; /* -1: closed */
    uint64_t bytes, n_blocks, n_done;
    uint8_t *done; /* [n_blocks] 0 or 1 */
    char etag[HUB_MAX_ETAG];
};

/* Opens or makes folder/name for a file of so many bytes. One that is damaged, or of another file, starts
 * empty. Errors: ERROR_IO, ERROR_MEMORY; *record may be closed all the same. */
int hub_record_open(int folder, const char *name, uint64_t bytes, struct hub_record *record,
                    struct error *error);
void hub_record_close(struct hub_record *record);
/* Forgets all blocks; etag: of what is fetched from now on ("": not known). */
int hub_record_start(struct hub_record *record, const char *etag, struct error *error);
int hub_record_set_etag(struct hub_record *record, const char *etag, struct error *error);
/* Bytes from .. to are there, and those before `from` back to its block's beginning: marks the blocks that
 * this completes. Returns how many are new, or an error (ERROR_IO). */
int hub_record_add(struct hub_record *record, uint64_t from, uint64_t to, struct error *error);
/* The first run of missing blocks at or after block `from`: its blocks first .. end. False: none. */
bool hub_record_missing(const struct hub_record *record, uint64_t from, uint64_t *first, uint64_t *end);
uint64_t hub_record_done_bytes(const struct hub_record *record);

/* How many bytes of folder/name's file are there, without opening it for writing; 0: none. */
uint64_t hub_record_peek(int folder, const char *name, uint64_t bytes);

#endif
