#include "platform/file.h"

#include <unistd.h>

int file_program_path(char *out, size_t capacity, struct error *error)
{
    ssize_t length = capacity > 0 ? readlink("/proc/self/exe", out, capacity) : -1;
    if (length <= 0)
        return error_set(error, ERROR_IO, "cannot read /proc/self/exe: is /proc mounted?");
    if ((size_t)length >= capacity)
        return error_set(error, ERROR_LIMIT, "the path of the program is too long");
    out[length] = '\0';
    return 0;
}
