/* Untried: no Mac has built this yet. */
#include "platform/file.h"

#include <limits.h>
#include <mach-o/dyld.h>
#include <stdio.h>
#include <stdlib.h>

int file_program_path(char *out, size_t capacity, struct error *error)
{
    char raw[PATH_MAX], resolved[PATH_MAX];
    uint32_t size = sizeof raw;
    if (_NSGetExecutablePath(raw, &size) || !realpath(raw, resolved))
        return error_set(error, ERROR_IO, "cannot find the path of the running program");
    int written = snprintf(out, capacity, "%s", resolved);
    if (written < 0 || (size_t)written >= capacity)
        return error_set(error, ERROR_LIMIT, "the path of the program is too long");
    return 0;
}
