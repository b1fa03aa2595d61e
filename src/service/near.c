/* Optimal string alignment distance (Damerau-Levenshtein without overlapping swaps), three rows at a time. */
#include "service/near.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { NEAR_MAX = 95 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t near_distance(const char *a, const char *b)
{
    size_t n = strnlen(a, NEAR_MAX), m = strnlen(b, NEAR_MAX);
    size_t rows[3][NEAR_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        int ca = tolower((unsigned char)a[i - 1]);
        for (size_t j = 1; j <= m; j++) {
            int cb = tolower((unsigned char)b[j - 1]);
            size_t best = last[j - 1] + (ca != cb);
            best = smaller(best, smaller(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]))
                best = smaller(best, before[j - 2] + 1);
            row[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[m];
}

const char *near_name(const char *name, const char *const *candidates, size_t n_candidates)
{
    size_t length = strnlen(name, NEAR_MAX);
    size_t best = length / 3 > 1 ? length / 3 : 1;
    const char *found = NULL, *containing = NULL;
    for (size_t i = 0; i < n_candidates; i++) {
        size_t distance = near_distance(name, candidates[i]);
        if (distance < best || (distance == best && !found)) {
            best = distance;
            found = candidates[i];
        }
        if (!containing && length >= 3 && strcasestr(candidates[i], name))
            containing = candidates[i];
    }
    return found ? found : containing;
}
