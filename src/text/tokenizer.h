/* From text to token ids and back, exactly as Hugging Face does it.
 *
 * A tokenizer is opened from a model folder (tokenizer.json, tokenizer_config.json) and is immutable
 * afterwards: any number of threads may use it at once. Encoding is done by the `tokenizers` crate behind
 * ffi/; decoding a stream needs no call into it, because every token's bytes are looked up once, when it is
 * opened (see detokenizer.h).
 */
#ifndef LLMIND_TEXT_TOKENIZER_H
#define LLMIND_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct tokenizer;

/* Opens folder/tokenizer.json (required) and folder/tokenizer_config.json (optional). *out is owned by the
 * caller. */
int tokenizer_open(const char *folder, struct tokenizer **out, struct error *error);
void tokenizer_close(struct tokenizer *tokenizer); /* NULL is legal */

/* A growing list of token ids: zero-initialise, free with token_list_free. */
struct token_list {
    int32_t *ids;
    size_t count;
    size_t capacity;
};
int token_list_push(struct token_list *list, int32_t id, struct error *error);
void token_list_free(struct token_list *list);

/* Appends the ids of text[0..length) to *out, exactly as `tokenizers` does: control tokens written in the
 * text become their ids. add_special adds what the tokenizer's post-processor adds (a BOS, say). Text that is
 * not UTF-8 is converted first as Python's errors="replace" does. Errors: ERROR_LIMIT (text too long),
 * ERROR_INVALID. */
int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, bool add_special,
                     struct token_list *out, struct error *error);

/* Like tokenizer_encode, for a prompt rendered from a chat template: literals that a user typed and that were
 * marked by chat_template_render are encoded as plain text and can never become a control token. */
int tokenizer_encode_rendered(const struct tokenizer *tokenizer, const char *text, size_t length,
                              struct token_list *out, struct error *error);

/* Number of ids, added tokens included: ids are 0 .. vocab_size - 1 (holes have zero bytes). */
uint32_t tokenizer_vocab_size(const struct tokenizer *tokenizer);

/* The bytes token id adds to a text (inside a text, not at its start), owned by the tokenizer; *length may be
 * 0. A special token has none unless with_special. Ids out of range: zero bytes. */
const char *tokenizer_token_bytes(const struct tokenizer *tokenizer, int32_t id, bool with_special,
                                  size_t *length);

bool tokenizer_is_special(const struct tokenizer *tokenizer, int32_t id);

/* The id of a token by its exact content ("<|im_end|>"), or -1. */
int32_t tokenizer_find(const struct tokenizer *tokenizer, const char *content);

/* From tokenizer_config.json, -1 when it names none. */
int32_t tokenizer_bos(const struct tokenizer *tokenizer);
int32_t tokenizer_eos(const struct tokenizer *tokenizer);

/* True when the first token of a text loses its leading space (sentencepiece models). */
bool tokenizer_strips_first_space(const struct tokenizer *tokenizer);

#endif
