/* What the files of this folder share and nobody else sees. */
#ifndef LLMIND_TEXT_INTERNAL_H
#define LLMIND_TEXT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "llmind_text.h"

struct tokenizer {
    struct llmind_tokenizer *handle;
    struct llmind_tokenizer_info info; /* its pointers live in handle */
    size_t longest_token_bytes;
};

/* file_read of folder/name; a file that is not there gives *data = NULL and 0 when optional. */
int text_read_file(const char *folder, const char *name, size_t max_bytes, bool optional, char **data,
                   size_t *length, struct error *error);

#endif
