/* A file that appears under its name only when it is whole: it is written beside its place, flushed to the
 * disk, and then renamed, over whatever had the name before. Only its owner may read it.
 */
#ifndef LLMIND_PLATFORM_NEW_FILE_H
#define LLMIND_PLATFORM_NEW_FILE_H

#include <stdio.h>

#include "base/error.h"

struct new_file {
    FILE *stream; /* to write to; NULL once it is closed */
    char *path;   /* where it will be */
    char *beside; /* where it is until then; NULL: nowhere */
};

/* *file must be closed, also after an error. Errors: ERROR_INVALID (the name is empty, or of something that
 * is no regular file), ERROR_NOT_FOUND (no such folder), ERROR_IO, ERROR_MEMORY. */
int new_file_open(struct new_file *file, const char *path, struct error *error);
/* Appends n bytes. ERROR_IO with the reason (a full disk). */
int new_file_write(struct new_file *file, const void *bytes, size_t n, struct error *error);
/* Everything is written: gives it its name. ERROR_IO. */
int new_file_commit(struct new_file *file, struct error *error);
/* Unless committed nothing is left of it, and what had the name before is untouched. */
void new_file_close(struct new_file *file);

/* Whether a file could be made there now: for whoever works long before there is something to write. The
 * errors of new_file_open. */
int new_file_check(const char *path, struct error *error);

#endif
