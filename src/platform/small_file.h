/* Reads the small text files in which Linux tells about itself (/proc, /sys), without allocating, so that a
 * gauge may be read while a run is timed. Internal to src/platform. */
#ifndef LLMIND_PLATFORM_SMALL_FILE_H
#define LLMIND_PLATFORM_SMALL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At most capacity - 1 bytes of the file, zero-terminated, its trailing white space cut. False when it cannot
 * be read: out is then "". What does not fit is left away. */
bool small_file_read(const char *path, char *out, size_t capacity);

/* The same for a file that is read again and again: it stays open and is read from its start each time, which
 * costs half as much. Zero-initialise. When it cannot be read any more it is closed, and opened again by its
 * path the next time. */
struct small_file {
    bool open;
    int descriptor;
};
bool small_file_read_kept(struct small_file *file, const char *path, char *out, size_t capacity);
void small_file_close(struct small_file *file); /* closing a closed one is legal */

/* A decimal number at the start of text, which must be followed by white space or the end. *after (may be
 * NULL) is set behind it. False when there is none or it does not fit in 64 bits. */
bool small_file_number(const char *text, uint64_t *value, const char **after);

/* The next range of a list of numbers like "0-3,8" at *at, which is moved on: *low to *high, both below
 * limit. False at its end, and at what is no such list. */
bool small_file_range(const char **at, size_t limit, size_t *low, size_t *high);

#endif
