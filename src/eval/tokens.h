/* Token ids from a file: a JSON array, numbers with white space between them, or an int32 vector in .npy. */
#ifndef LLMIND_EVAL_TOKENS_H
#define LLMIND_EVAL_TOKENS_H

#include "base/error.h"
#include "text/tokenizer.h"

/* Appends to *out, freed by the caller with token_list_free. Ids are checked by whoever uses them. */
int tokens_read(const char *path, struct token_list *out, struct error *error);

#endif
