/* What of a model's folder is neither weights nor config.json, and goes along. */
#ifndef LLMIND_CONVERT_TEXT_FILES_H
#define LLMIND_CONVERT_TEXT_FILES_H

#include "output/folder.h"

/* Copies the files of the tokenizer, the chat template and how to sample, those there are; nothing else, and
 * no program. Errors: ERROR_IO, ERROR_LIMIT, ERROR_INVALID, ERROR_MEMORY. */
int text_files_copy(const struct output_folder *folder, const char *source, struct error *error);

#endif
