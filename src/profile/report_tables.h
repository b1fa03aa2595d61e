/* The tables of a report, filled once for text and Markdown alike. */
#ifndef LLMIND_PROFILE_REPORT_TABLES_H
#define LLMIND_PROFILE_REPORT_TABLES_H

#include "profile/report.h"
#include "profile/table.h"

/* Each initialises *table; free it with table_free. */
void report_prompt_table(const struct report *report, struct table *table);
void report_speed_table(const struct report *report, struct table *table);
void report_memory_table(const struct report *report, struct table *table);

/* "llama, 4-bit affine, group 64, 25.6 M parameters" and "AMD EPYC, 2 of 64 cores, ..." */
void report_model_line(const struct report *report, char *out, size_t capacity);
void report_machine_line(const struct report *report, char *out, size_t capacity);
void report_engine_line(const struct report *report, char *out, size_t capacity);
/* What decoding reads per token and how near that is to the ceiling, or why that is not known. */
void report_roofline_line(const struct report *report, char *out, size_t capacity);
/* Runs that did not end well: "decode 128 @ 4096: 1 timeout (stopped after 60000 ms)"; false when none (any
 * more). Call with index 0, 1, ... */
bool report_failure_line(const struct report *report, size_t index, char *out, size_t capacity);

#endif
