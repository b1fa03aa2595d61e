/* The database: one SQLite file in WAL mode, migrations from schema/, one writer.
 *
 * Who uses it (service/chats.c, service/settings.c, profile/jobs.h) has its SQL in a file of its own in this
 * folder (chats.h, settings.h, runs.h); no SQL leaves store/. Writes go through one connection under one lock
 * and are transactions; reads have connections of their own and wait for nobody. Several processes may have
 * the same database open. Any thread.
 *
 * What is lost when: a process that is killed at any moment loses nothing that was committed, and leaves
 * every transaction whole or absent. synchronous=FULL: the same holds for a power cut, as far as the disk
 * keeps what it promised to have written; a chat writes a few times a minute, so that one fsync a message
 * costs nobody.
 */
#ifndef LLMIND_STORE_STORE_H
#define LLMIND_STORE_STORE_H

#include "base/error.h"

struct store;

/* Opens or creates folder/llmind.db, for the owner's eyes only (folder 0700, file 0600). A file that is
 * refused is left as it is. Errors: ERROR_IO (cannot be opened, the disk is full, no permission),
 * ERROR_UNSUPPORTED (made by a newer LLMind: its schema version and ours), ERROR_INVALID (damaged, or not our
 * database: the message says which file to move away). */
int store_open(const char *folder, struct store **out, struct error *error);
void store_close(struct store *store); /* nobody may be using it; NULL is legal */

const char *store_path(const struct store *store);

#endif
