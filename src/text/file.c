/* The small files of a model folder, some of which may be missing. */
#include <limits.h>

#include "platform/file.h"
#include "text/internal.h"

int text_read_file(const char *folder, const char *name, size_t max_bytes, bool optional, char **data,
                   size_t *length, struct error *error)
{
    char path[PATH_MAX];
    struct error reason;
    *data = NULL;
    *length = 0;
    int result = file_join(path, sizeof path, folder, name, &reason);
    if (result == 0)
        result = file_read(path, max_bytes, data, length, &reason);
    if (result == ERROR_NOT_FOUND && optional)
        return 0;
    if (result != 0 && error)
        *error = reason;
    return result;
}
