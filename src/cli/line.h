/* One line typed at a prompt. stdio is not used: after a signal it would leave the stream in an error state.
 */
#ifndef LLMIND_CLI_LINE_H
#define LLMIND_CLI_LINE_H

#include <stddef.h>

enum line_result { LINE_READ, LINE_END, LINE_INTERRUPTED, LINE_FAILED };

enum { LINE_BUFFER = 4096, LINE_MAX_BYTES = 1 << 20 };

struct line_reader {
    int descriptor;
    int interrupt; /* a descriptor that becomes readable when waiting shall end; -1 or closed: none */
    char buffer[LINE_BUFFER];
    size_t start, end;
};

/* Waits for a line. LINE_READ: *out is malloc'ed, without its newline, *length bytes and zero-terminated.
 * LINE_END: end of input and nothing was typed. LINE_INTERRUPTED: a signal came; what was typed so far is
 * gone. LINE_FAILED: not readable, longer than LINE_MAX_BYTES, or out of memory. */
enum line_result line_read(struct line_reader *reader, char **out, size_t *length);

#endif
