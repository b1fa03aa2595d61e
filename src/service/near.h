/* "Did you mean ...?": the nearest of some known names. Pure. */
#ifndef LLMIND_SERVICE_NEAR_H
#define LLMIND_SERVICE_NEAR_H

#include <stddef.h>

/* Letters to insert, drop, change or swap with a neighbour to get from a to b; case does not count. Names are
 * compared on their first 95 bytes. */
size_t near_distance(const char *a, const char *b);

/* The candidate that `name` most likely meant: few letters away, or containing it. NULL when none is near. */
const char *near_name(const char *name, const char *const *candidates, size_t n_candidates);

#endif
