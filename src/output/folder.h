/* A folder that appears under its name only when it is complete. */
#ifndef LLMIND_OUTPUT_FOLDER_H
#define LLMIND_OUTPUT_FOLDER_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum { FOLDER_PATH_MAX = 4096 };

struct output_folder {
    char target[FOLDER_PATH_MAX], partial[FOLDER_PATH_MAX];
    int lock; /* descriptor of the partial folder, flock'ed; -1 when closed */
};

/* Makes target.partial (and the folders above it) and locks it; what an earlier, crashed call left in it is
 * removed. Errors: ERROR_INVALID (target is a file, or holds something), ERROR_BUSY, ERROR_IO, ERROR_LIMIT.
 */
int folder_begin(struct output_folder *folder, const char *target, struct error *error);
/* ERROR_LIMIT, with figures, unless the file system has this many bytes free. */
int folder_check_space(const struct output_folder *folder, uint64_t bytes, struct error *error);
/* Opens a new file of the partial folder. fclose it; NULL with *error filled. */
FILE *folder_create(const struct output_folder *folder, const char *name, struct error *error);
/* Gives the partial folder its name. */
int folder_commit(struct output_folder *folder, struct error *error);
/* Removes the partial folder, unless committed. Legal at any time after folder_begin, also when that failed.
 */
void folder_abandon(struct output_folder *folder);

/* fclose that reports what could not be written. */
int folder_close_file(FILE *file, const char *name, struct error *error);

#endif
