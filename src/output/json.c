#include "output/json.h"

int output_json(const struct output_folder *folder, const char *name, json_t *object, bool sorted,
                struct error *error)
{
    if (!object)
        return error_memory(error, name, 0);
    FILE *file = folder_create(folder, name, error);
    int result = file ? 0 : ERROR_IO;
    if (file) {
        int failed = json_dumpf(object, file, JSON_INDENT(4) | (sorted ? JSON_SORT_KEYS : 0));
        fputc('\n', file);
        result = folder_close_file(file, name, error);
        if (failed && !result)
            result = error_set(error, ERROR_IO, "cannot write %s", name);
    }
    json_decref(object);
    return result;
}
