/* A value that is known, and one that is not: everything else about sensors belongs to a system or a driver.
 */
#include "platform/sensors.h"

#include <stdarg.h>
#include <stdio.h>

#include "platform/sensors_internal.h"

void sensors_know(struct sensors_value *value, double number)
{
    *value = (struct sensors_value){.known = true, .value = number};
}

void sensors_unknown(struct sensors_value *value, const char *format, ...)
{
    *value = (struct sensors_value){0};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value->reason, sizeof value->reason, format, arguments);
    va_end(arguments);
}
