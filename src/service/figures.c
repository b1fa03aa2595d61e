/* One place where null gets its reason. */
#include "service/figures.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static void set(struct figures *figures, json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value)) /* takes NULL for both, and gives the value back */
        figures->failed = true;
}

void figures_null(struct figures *figures, json_t *object, const char *name, const char *reason)
{
    char sibling[96];
    set(figures, object, name, json_null());
    snprintf(sibling, sizeof sibling, "%s_reason", name);
    set(figures, object, sibling, json_string(reason));
}

void figures_number(struct figures *figures, json_t *object, const char *name, double value,
                    const char *reason)
{
    if (isfinite(value))
        set(figures, object, name, json_real(value));
    else
        figures_null(figures, object, name, reason);
}

void figures_sensor(struct figures *figures, json_t *object, const char *name,
                    const struct sensors_value *value)
{
    figures_number(figures, object, name, value->known ? value->value : NAN, value->reason);
}

void figures_count(struct figures *figures, json_t *object, const char *name, uint64_t value)
{
    set(figures, object, name, json_integer((json_int_t)(value < INT64_MAX ? value : INT64_MAX)));
}

void figures_flag(struct figures *figures, json_t *object, const char *name, bool value)
{
    set(figures, object, name, json_boolean(value));
}

void figures_text(struct figures *figures, json_t *object, const char *name, const char *text,
                  const char *reason)
{
    if (text && text[0])
        set(figures, object, name, json_string(text));
    else
        figures_null(figures, object, name, reason);
}

json_t *figures_object(struct figures *figures, json_t *object, const char *name)
{
    set(figures, object, name, json_object());
    return json_object_get(object, name);
}

json_t *figures_array(struct figures *figures, json_t *object, const char *name)
{
    set(figures, object, name, json_array());
    return json_object_get(object, name);
}

json_t *figures_item(struct figures *figures, json_t *array)
{
    if (json_array_append_new(array, json_object())) {
        figures->failed = true;
        return NULL;
    }
    return json_array_get(array, json_array_size(array) - 1);
}

void figures_time(struct figures *figures, json_t *object, const char *name, double unix_s)
{
    char text[32] = "";
    time_t seconds = (time_t)unix_s;
    struct tm utc;
    if (unix_s > 0 && gmtime_r(&seconds, &utc))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    figures_text(figures, object, name, text, "it has not happened");
}
