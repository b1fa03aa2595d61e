/* A line through few points lies easily, so each way it can mean nothing is named: too few points, points too
 * near to each other, a slope or an intercept that no machine can have. */
#include "profile/two_term.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/stats.h"

#define MOST_REPEATS 1e6
#define LEAST_SPAN 0.05 /* of the most bytes: nearer points are extrapolated too far */

static void refuse(struct two_term *out, const char *reason)
{
    out->bandwidth_gbps = out->fixed_ms = out->fixed_error_ms = NAN;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
}

static bool has_error(const struct two_term_point *point)
{
    return isfinite(point->error_ms) && point->repeats >= 2;
}

/* Half of the 95 % interval of the intercept: it is a weighted sum of the times, so their errors add up by
 * the squares of the weights, and Student's t is that of all their repeats. Points without an error count as
 * exact; NaN: there is no other. */
static double intercept_error(const struct two_term_point *points, size_t n, double mean_x)
{
    double xx = 0, variance = 0;
    size_t degrees = 0;
    for (size_t i = 0; i < n; i++)
        xx += (points[i].bytes - mean_x) * (points[i].bytes - mean_x);
    for (size_t i = 0; i < n; i++) {
        double weight = 1 / (double)n - mean_x * (points[i].bytes - mean_x) / xx;
        if (!has_error(&points[i]))
            continue;
        variance += weight * points[i].error_ms * (weight * points[i].error_ms);
        degrees += points[i].repeats - 1;
    }
    return degrees ? stats_t95(degrees) * sqrt(variance) : NAN;
}

void two_term_fit(const struct two_term_point *points, size_t n, double ceiling_gbps, struct two_term *out)
{
    out->reason[0] = 0;
    if (n < 2) {
        refuse(out, "needs decode tests at two depths or more");
        return;
    }
    double mean_x = 0, mean_y = 0, least = INFINITY, most = 0, quickest = INFINITY;
    for (size_t i = 0; i < n; i++) {
        mean_x += points[i].bytes / (double)n;
        mean_y += points[i].tpot_ms / (double)n;
        least = fmin(least, points[i].bytes);
        most = fmax(most, points[i].bytes);
        quickest = fmin(quickest, points[i].tpot_ms);
    }
    if (!(most - least >= LEAST_SPAN * most) || most <= 0) {
        refuse(out,
               "the depths differ by less than 5 % in bytes per token: too near to each other for a line");
        return;
    }
    double xx = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        double x = points[i].bytes / most - mean_x / most; /* scaled: squares of bytes would be huge */
        xx += x * x;
        xy += x * (points[i].tpot_ms - mean_y);
    }
    double slope = xy / xx / most; /* ms per byte */
    double fixed = mean_y - slope * mean_x;
    double gbps = 1e-6 / slope;
    double error = intercept_error(points, n, mean_x);
    if (!(slope > 0) || !isfinite(gbps))
        refuse(out, "decoding did not become slower with depth: the bytes do not show in the time");
    else if (gbps > 1.05 * ceiling_gbps)
        refuse(out,
               "the line is flatter than the measured bandwidth allows: noise is probably larger than the "
               "effect of the depth");
    else if (error > 0.5 * quickest)
        refuse(
            out,
            "the repeats spread too much: where the line meets zero bytes is uncertain by more than half of "
            "a step");
    else if (fixed < 0)
        refuse(out, "the time grows faster with depth than bytes explain (attention probably costs more per "
                    "byte than weights do), so the fixed part cannot be told apart");
    else {
        out->bandwidth_gbps = gbps;
        out->fixed_ms = fixed;
        out->fixed_error_ms = error;
        for (size_t i = 0; i < n; i++) /* it would be narrower than it is */
            out->fixed_error_ms = has_error(&points[i]) ? out->fixed_error_ms : NAN;
    }
}

static void read_error(const json_t *test, struct two_term_point *point)
{
    double sd = json_get_number(test, "summary.tpot_ms.sd"), n = json_get_positive(test, "summary.tpot_ms.n");
    bool known = sd >= 0 && n >= 2 && n <= MOST_REPEATS;
    point->error_ms = known ? sd / sqrt(n) : NAN;
    point->repeats = known ? (size_t)n : 0;
}

static size_t read_points(const json_t *report, struct two_term_point *points)
{
    const json_t *tests = json_get_array(report, "tests");
    size_t n = 0;
    for (size_t i = 0; i < json_get_count(tests, "") && n < TWO_TERM_MAX_POINTS; i++) {
        const json_t *test = json_get_item(tests, i);
        if (!json_get_is(test, "kind", "decode"))
            continue;
        double bytes = json_get_positive(test, "roofline.weight_bytes_per_token") +
                       json_get_positive(test, "roofline.kv_bytes_per_token");
        double tpot = json_get_positive(test, "summary.tpot_ms.median");
        if (bytes > 0 && tpot > 0 && isfinite(bytes)) {
            points[n] = (struct two_term_point){.test = json_get_text(test, "id", ""),
                                                .depth = json_get_positive(test, "depth"),
                                                .bytes = bytes,
                                                .tpot_ms = tpot};
            read_error(test, &points[n++]);
        }
    }
    return n;
}

json_t *two_term_read(const json_t *report, double ceiling_gbps, char reason[TWO_TERM_REASON])
{
    struct two_term_point points[TWO_TERM_MAX_POINTS];
    size_t n = read_points(report, points);
    struct two_term line;
    two_term_fit(points, n, ceiling_gbps, &line);
    memcpy(reason, line.reason, TWO_TERM_REASON);
    if (line.reason[0])
        return json_null();
    json_t *out = json_object(), *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *point = json_object();
        json_put_string(point, "test", points[i].test, "");
        if (points[i].depth <= 1e15)
            json_put_integer(point, "depth", (uint64_t)points[i].depth);
        json_put_number(point, "bytes", points[i].bytes, "");
        json_put_number(point, "tpot_ms", points[i].tpot_ms, "");
        json_array_append_new(list, point);
    }
    json_put_number(out, "bandwidth_gbps", line.bandwidth_gbps, "");
    json_put_number(out, "fixed_ms", line.fixed_ms, "");
    json_put_interval(out, "fixed_ms_ci95", line.fixed_ms - line.fixed_error_ms,
                      line.fixed_ms + line.fixed_error_ms, "needs 2 repeats or more at every depth");
    if (!out || !list || json_object_set_new(out, "points", list)) {
        json_decref(out);
        return NULL;
    }
    return out;
}
