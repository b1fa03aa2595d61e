/* A float holds seven digits, which is more than any gauge has. */
#include "profile/monitor_rows.h"

#include <math.h>
#include <stdlib.h>

enum { FIRST_ROOM = 600 };

void monitor_rows_free(struct monitor_rows *rows)
{
    free(rows->values);
    free(rows->t_s);
    *rows = (struct monitor_rows){0};
}

static float mean(float a, float b)
{
    return isnan(a) ? b : isnan(b) ? a : a / 2 + b / 2;
}

static void halve(struct monitor_rows *rows)
{
    size_t width = rows->width, kept = rows->n / 2;
    for (size_t i = 0; i < kept; i++) {
        const float *a = rows->values + 2 * i * width, *b = a + width;
        for (size_t k = 0; k < width; k++)
            rows->values[i * width + k] = mean(a[k], b[k]);
        rows->t_s[i] = rows->t_s[2 * i + 1];
    }
    if (rows->n % 2) { /* the last one has no other yet */
        for (size_t k = 0; k < width; k++)
            rows->values[kept * width + k] = rows->values[(rows->n - 1) * width + k];
        rows->t_s[kept] = rows->t_s[rows->n - 1];
        kept++;
    }
    rows->n = kept;
}

static bool grow(struct monitor_rows *rows)
{
    size_t wanted = rows->room ? 2 * rows->room : FIRST_ROOM;
    if (wanted > rows->max_rows)
        wanted = rows->max_rows;
    if (wanted <= rows->room)
        return false;
    float *values = realloc(rows->values, wanted * rows->width * sizeof *values);
    if (!values)
        return false;
    rows->values = values;
    double *t_s = realloc(rows->t_s, wanted * sizeof *t_s);
    if (!t_s)
        return false;
    rows->t_s = t_s;
    rows->room = wanted;
    return true;
}

bool monitor_rows_add(struct monitor_rows *rows, double t_s, const double *values, bool *halved)
{
    *halved = false;
    if (rows->n == rows->room && !grow(rows)) {
        if (rows->room < 2)
            return false;
        halve(rows);
        *halved = true;
    }
    for (size_t k = 0; k < rows->width; k++)
        rows->values[rows->n * rows->width + k] = (float)values[k];
    rows->t_s[rows->n++] = t_s;
    return true;
}
