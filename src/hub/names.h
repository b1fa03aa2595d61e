/* Names that strangers chose, before anything is made of them: a path, an address, a line on a terminal.
 * Pure. Between the files of src/hub only. */
#ifndef LLMIND_HUB_NAMES_H
#define LLMIND_HUB_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

enum { HUB_MAX_FILE_NAME = 255, HUB_MAX_FILE_PATH = 1024 };

/* A file of a listing: relative, parts between single slashes, none of them "." or "..", no control
 * character, no backslash, UTF-8, bounded. ERROR_INVALID otherwise. */
int hub_check_file(const char *name, struct error *error);
/* Of such a one: lies at the top of the repository, and is not hidden. */
bool hub_file_is_plain(const char *name);

/* So many lower-case hexadecimal digits and nothing else. */
bool hub_is_hex(const char *text, size_t digits);

/* "models--ORG--NAME". The id must have been checked. */
void hub_folder_name(const char *repository, char *out, size_t capacity);
/* The id again; false: no such folder name. */
bool hub_folder_repository(const char *folder, char *out, size_t capacity);

/* Appends text percent-encoded: everything but letters, digits and - . _ ~, and '/' when slashes is true. */
void hub_append_encoded(struct buffer *address, const char *text, bool slashes);

#endif
