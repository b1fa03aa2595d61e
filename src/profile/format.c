#include "profile/format.h"

#include <math.h>
#include <stdio.h>

char *format_number(char out[FORMAT_MAX], double value)
{
    double size = fabs(value);
    if (isnan(value))
        snprintf(out, FORMAT_MAX, "-");
    else if (size >= 1e9)
        snprintf(out, FORMAT_MAX, "%.3g", value);
    else
        snprintf(out, FORMAT_MAX, "%.*f", size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2, value);
    return out;
}

static char *scaled(char out[FORMAT_MAX], double value, double step, const char *const *units, size_t n_units)
{
    if (isnan(value)) {
        snprintf(out, FORMAT_MAX, "-");
        return out;
    }
    size_t unit = 0;
    while (unit + 1 < n_units && fabs(value) >= 0.9995 * step) {
        value /= step;
        unit++;
    }
    char number[FORMAT_MAX];
    if (unit == 0 && value == floor(value) && fabs(value) < 1e9)
        snprintf(number, sizeof number, "%.0f", value);
    else
        format_number(number, value);
    snprintf(out, FORMAT_MAX, "%.20s%s%s", number, units[unit][0] ? " " : "", units[unit]);
    return out;
}

char *format_bytes(char out[FORMAT_MAX], double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    return scaled(out, bytes, 1000, units, 5);
}

char *format_count(char out[FORMAT_MAX], double count)
{
    static const char *const units[] = {"", "k", "M", "B", "T"};
    return scaled(out, count, 1000, units, 5);
}

char *format_ms(char out[FORMAT_MAX], double milliseconds)
{
    char number[FORMAT_MAX];
    if (isnan(milliseconds))
        snprintf(out, FORMAT_MAX, "-");
    else if (milliseconds < 1000)
        snprintf(out, FORMAT_MAX, "%.20s ms", format_number(number, milliseconds));
    else
        snprintf(out, FORMAT_MAX, "%.20s s", format_number(number, milliseconds / 1000));
    return out;
}

char *format_percent(char out[FORMAT_MAX], double fraction)
{
    char number[FORMAT_MAX];
    if (isnan(fraction))
        snprintf(out, FORMAT_MAX, "-");
    else
        snprintf(out, FORMAT_MAX, "%.20s %%", format_number(number, 100 * fraction));
    return out;
}

char *format_of(char out[FORMAT_MAX], double count, const char *noun)
{
    snprintf(out, FORMAT_MAX, "%.4g %.16s%s", count, noun, count == 1 ? "" : "s");
    return out;
}
