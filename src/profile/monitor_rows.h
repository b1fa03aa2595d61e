/* Rows of samples in bounded room: when it is full, every two rows become one. */
#ifndef LLMIND_PROFILE_MONITOR_ROWS_H
#define LLMIND_PROFILE_MONITOR_ROWS_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-initialise, then set width and max_rows (at least 2). One owner. */
struct monitor_rows {
    size_t width, max_rows;
    float *values; /* [n][width]; NaN: unknown */
    double *t_s;   /* [n] */
    size_t n, room;
};

void monitor_rows_free(struct monitor_rows *rows);
/* Copies a row of `width` numbers. *halved is set when rows were merged to make room, or when there is no
 * memory for more: whoever reads should read half as often from now on. A merged row is the mean of its two,
 * which keeps what was spent in them, at the later one's time. False: there is no memory for any row. */
bool monitor_rows_add(struct monitor_rows *rows, double t_s, const double *values, bool *halved);

#endif
