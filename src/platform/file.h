/* Files: read a small one whole, map a large one. */
#ifndef LLMIND_PLATFORM_FILE_H
#define LLMIND_PLATFORM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Reads a regular file of at most max_bytes into malloc'ed memory, zero-terminated beyond *length. Errors:
 * ERROR_NOT_FOUND, ERROR_LIMIT, ERROR_IO, ERROR_INVALID (not a regular file). */
int file_read(const char *path, size_t max_bytes, char **out, size_t *length, struct error *error);

/* A regular file that is read from its beginning in pieces. One that somebody shortens meanwhile ends early:
 * unlike a map it raises nothing. */
struct file_reader {
    int descriptor;
    size_t length; /* as it was when it was opened */
};
/* called: what messages call it, where its path is nobody's business. Errors as file_read. *out may be closed
 * also after an error. */
int file_reader_open(const char *path, const char *called, struct file_reader *out, struct error *error);
/* The next n bytes; false: there are not so many, or they cannot be read. */
bool file_reader_take(struct file_reader *reader, void *out, size_t n);
void file_reader_close(struct file_reader *reader);

/* A whole regular file mapped read-only and private; an empty one is a map of length 0. A file that is
 * shortened by somebody else while it is mapped raises SIGBUS in whoever reads it: that is why models run in
 * a process of their own in the server. */
struct file_map {
    const uint8_t *data;
    size_t length;
};
/* Errors as file_read. On error *out is an empty map, which may be closed. */
int file_map_open(const char *path, struct file_map *out, struct error *error);
void file_map_close(struct file_map *map);
/* How many of a regular file's bytes the page cache holds, in whole pages; false: the file cannot be opened,
 * or the system does not tell (mincore). Reads none of it. */
bool file_resident_bytes(const char *path, uint64_t *resident, uint64_t *size);

/* Both follow symbolic links; false also when a folder on the way may not be searched. */
bool file_exists(const char *path);
bool file_is_folder(const char *path);
/* Joins two path parts into out; ERROR_LIMIT when it does not fit. */
int file_join(char *out, size_t capacity, const char *folder, const char *name, struct error *error);

/* The file of the running program ("/usr/local/bin/llmind", symbolic links resolved) and the folder it lies
 * in. ERROR_IO when the system does not tell, ERROR_LIMIT when it does not fit. */
int file_program_path(char *out, size_t capacity, struct error *error);
int file_program_folder(char *out, size_t capacity, struct error *error);

#endif
