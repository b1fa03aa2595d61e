/* What each kind of operation achieves of what this machine can do: a traced decode step laid beside the
 * measured ceilings. Pure.
 *
 * Operations of the same name in different layers are one line ("layers.*.mlp.down_proj"). Its least possible
 * time is the longer of bytes / read bandwidth and operations / arithmetic peak (the roofline); efficiency is
 * that time over the measured one. Which of the two is longer names what bounds it; where even the longer one
 * explains less than a quarter of the time, neither does: it is overhead (launching, waiting, bookkeeping).
 * More than 105 % is refused, as everywhere.
 */
#ifndef LLMIND_PROFILE_ROOFLINE_H
#define LLMIND_PROFILE_ROOFLINE_H

#include <jansson.h>

enum { ROOFLINE_MAX_SEGMENTS = 20000, ROOFLINE_MAX_OPERATIONS = 256, ROOFLINE_NAME = 96 };

/* The report's "analysis.roofline" (new reference) from the trace with the least depth; read_gbps and
 * peak_gflops: the ceilings, NaN unknown (bound and efficiency are then null). JSON null when nothing was
 * traced; NULL: memory. */
json_t *roofline_read(const json_t *report, double read_gbps, double peak_gflops);

/* The share of the step's time in operations bound by "memory", "compute" or "overhead"; NaN: no roofline. */
double roofline_share(const json_t *roofline, const char *bound);

/* "layers.12.mlp.down_proj" -> "layers.*.mlp.down_proj": each number that stands alone between dots or
 * blanks becomes "*". At most capacity bytes. */
void roofline_group(const char *name, char *out, size_t capacity);

#endif
