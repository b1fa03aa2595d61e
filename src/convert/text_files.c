#include "convert/text_files.h"

#include <stdlib.h>

#include "model/json_file.h"
#include "platform/file.h"

static const char *const names[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
};

static int copy(const struct output_folder *folder, const char *path, const char *name, struct error *error)
{
    char *text = NULL;
    size_t length = 0;
    int status = file_read(path, JSON_FILE_MAX_BYTES, &text, &length, error);
    if (status)
        return status == ERROR_NOT_FOUND ? 0 : status;
    FILE *file = folder_create(folder, name, error);
    status = file ? 0 : ERROR_IO;
    if (file) {
        fwrite(text, 1, length, file);
        status = folder_close_file(file, name, error);
    }
    free(text);
    return status;
}

int text_files_copy(const struct output_folder *folder, const char *source, struct error *error)
{
    int status = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names && !status; i++) {
        char path[FOLDER_PATH_MAX];
        status = file_join(path, sizeof path, source, names[i], error);
        if (!status)
            status = copy(folder, path, names[i], error);
    }
    return status;
}
