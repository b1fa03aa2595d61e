/* Numbers as people read them: three significant digits and a unit. NaN becomes "-". Every function writes at
 * most capacity bytes and returns out, so that it can stand in an argument list. */
#ifndef LLMIND_PROFILE_FORMAT_H
#define LLMIND_PROFILE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

enum { FORMAT_MAX = 32 };

char *format_number(char out[FORMAT_MAX], double value);     /* "1480"  "41.2"  "0.95"  "1.2e+12" */
char *format_bytes(char out[FORMAT_MAX], double bytes);      /* "14.6 MB", decimal units */
char *format_count(char out[FORMAT_MAX], double count);      /* "25.6 M", "1.24 B" */
char *format_ms(char out[FORMAT_MAX], double milliseconds);  /* "95.0 ms", "1.24 s" */
char *format_percent(char out[FORMAT_MAX], double fraction); /* "41.2 %" */
/* "1 thread", "2 threads", "1.5 cores"; noun: its singular, which takes an s. */
char *format_of(char out[FORMAT_MAX], double count, const char *noun);

#endif
