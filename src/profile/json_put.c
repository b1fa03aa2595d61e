/* One place where null gets its reason. */
#include "profile/json_put.h"

#include <math.h>
#include <stdio.h>

enum { MAX_NAME = 120 };

static bool put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0; /* takes NULL for both */
}

bool json_put_null(json_t *object, const char *name, const char *reason)
{
    char sibling[MAX_NAME];
    snprintf(sibling, sizeof sibling, "%s_reason", name);
    bool done = put(object, name, json_null());
    return put(object, sibling, json_string(reason)) && done;
}

json_t *json_put_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

bool json_put_number(json_t *object, const char *name, double value, const char *reason)
{
    return isfinite(value) ? put(object, name, json_real(value)) : json_put_null(object, name, reason);
}

bool json_put_integer(json_t *object, const char *name, uint64_t value)
{
    return put(object, name, json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX));
}

bool json_put_bool(json_t *object, const char *name, bool value)
{
    return put(object, name, json_boolean(value));
}

bool json_put_string(json_t *object, const char *name, const char *text, const char *reason)
{
    json_t *string = text ? json_string(text) : NULL;
    if (string)
        return put(object, name, string);
    return json_put_null(object, name, text ? "not valid UTF-8" : reason);
}

bool json_put_interval(json_t *object, const char *name, double low, double high, const char *reason)
{
    if (isfinite(low) && isfinite(high))
        return put(object, name, json_pack("[f, f]", low, high));
    return json_put_null(object, name, reason);
}

bool json_put_stats(json_t *object, const char *name, const struct stats *stats, const char *reason)
{
    if (stats->n == 0)
        return json_put_null(object, name, reason);
    const char *two = "needs 2 samples or more", *six = "needs 6 samples or more";
    const char *zero = "the mean is 0";
    json_t *o = json_put_object(object, name);
    bool done = json_put_integer(o, "n", stats->n);
    done = json_put_number(o, "mean", stats->mean, "") && done;
    done = json_put_number(o, "median", stats->median, "") && done;
    done = json_put_number(o, "min", stats->min, "") && done;
    done = json_put_number(o, "max", stats->max, "") && done;
    done = json_put_number(o, "iqr", stats->iqr, "") && done;
    done = json_put_number(o, "sd", stats->sd, two) && done;
    done = json_put_number(o, "cv", stats->cv, stats->n < 2 ? two : zero) && done;
    done = json_put_interval(o, "mean_ci95", stats->mean_low, stats->mean_high, two) && done;
    return json_put_interval(o, "median_ci95", stats->median_low, stats->median_high, six) && done;
}

json_t *json_put_object(json_t *object, const char *name)
{
    put(object, name, json_object());
    return json_object_get(object, name);
}

json_t *json_put_array(json_t *object, const char *name)
{
    put(object, name, json_array());
    return json_object_get(object, name);
}
