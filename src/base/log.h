/* Structured log lines on stderr: one line per event, time (RFC 3339 UTC), level, what happened, and fields.
 *
 *   2026-11-23T07:12:03.120Z info  request id=8f3a… method=POST path=/v1/chat/completions status=200 ms=812
 *
 * or, with log_json, the same as one JSON object. Any thread; a line is written by one write(2). Off until
 * log_open (the commands that are not servers print for people). Nobody ever waits for the reader of a log:
 * what a full pipe does not take is dropped, and the next line that gets through is followed by how many
 * were. Values are cleaned: control characters and bytes that are not UTF-8 never reach the terminal. Never
 * log keys, prompts or answers.
 */
#ifndef LLMIND_BASE_LOG_H
#define LLMIND_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_OFF, LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_open(enum log_level level, bool json);

/* fields: "status=%d path=%s": names and printf conversions %s %d %u %ld %lu %lld %llu %zu %.Nf, separated by
 * single spaces; NULL for none. Strings with spaces, quotes or '=' are quoted. */
void log_event(enum log_level level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

/* Bytes of somebody else's (at most 4096), as they are, under the same rule: never waits. */
void log_relay(const void *bytes, size_t n);

#endif
