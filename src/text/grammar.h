/* Structured output: which tokens may come next, so that an answer is JSON, fits a JSON schema, a regular
 * expression or a grammar.
 *
 * Two objects. A grammar_factory is what all grammars of one model share (its vocabulary as a trie); building
 * it takes a noticeable moment and some memory, so it is opened by the first request that needs it. A grammar
 * is one answer being written: open, then mask, draw, accept for each token, until the end.
 *
 * It fails closed. Everything in a schema is either enforced or the reason of an error that names it; what
 * the compiler cannot bound ends with ERROR_LIMIT; a token whose text is not certain (holes and padding of
 * the vocabulary, special tokens the grammar does not name) is never allowed. A tokenizer that drops the
 * first space of a text drops that of the answer too: a grammar that begins with a space would lose it.
 *
 * The language of a schema: JSON with at most one blank, or one line break and an indentation, between its
 * parts, so that a model cannot write blanks for ever. Object members come in the order of the schema.
 */
#ifndef LLMIND_TEXT_GRAMMAR_H
#define LLMIND_TEXT_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct tokenizer;
struct grammar_factory;
struct grammar;

/* vocab: rows of the model's output, which may be more or fewer than the tokenizer has ids. eos: the ids that
 * end an answer; those outside of vocab are ignored. When none is left, an answer ends only where nothing can
 * follow. The tokenizer may be closed afterwards. *out is the caller's; any number of threads may use it at
 * once. */
int grammar_factory_open(const struct tokenizer *tokenizer, uint32_t vocab, const int32_t *eos, size_t n_eos,
                         struct grammar_factory **out, struct error *error);
void grammar_factory_close(struct grammar_factory *factory); /* NULL is legal; its grammars live on */

enum grammar_kind {
    GRAMMAR_JSON = 1, /* any JSON object; text is not used */
    GRAMMAR_SCHEMA,   /* text: a JSON schema */
    GRAMMAR_REGEX,    /* text: a regular expression that the whole answer must match */
    GRAMMAR_LARK      /* text: llguidance's dialect of Lark */
};

/* Compiles on the caller's thread (and one of its own) for at most some 1.5 seconds. text: at most 256 KB.
 * Errors: ERROR_INVALID (what is wrong), ERROR_UNSUPPORTED (what is not enforced), ERROR_LIMIT (too large or
 * too complex), ERROR_BUSY (several others are being compiled). *out is the caller's; one thread at a time.
 */
int grammar_open(const struct grammar_factory *factory, enum grammar_kind kind, const char *text,
                 size_t length, struct grammar **out, struct error *error);
void grammar_close(struct grammar *grammar); /* NULL is legal */

/* 32-bit words in a mask over vocab tokens. */
size_t grammar_mask_words(uint32_t vocab);

/* Writes mask[grammar_mask_words(vocab)]: bit id % 32 of word id / 32 is 1 when token id may come next. At
 * least one is; the ids of eos are exactly where the answer may end. The work is bounded (some 20 ms);
 * ERROR_LIMIT when the grammar needs more here. Allocates. After an error only grammar_close may follow. */
int grammar_mask(struct grammar *grammar, uint32_t *mask, struct error *error);

enum grammar_end {
    GRAMMAR_END_NO,
    GRAMMAR_END_ALLOWED, /* the answer may end here, or go on */
    GRAMMAR_END_REACHED  /* it is complete: nothing but blanks could follow */
};

/* Goes on by a token that the last mask allowed and that is no eos. Same errors as grammar_mask;
 * ERROR_INVALID when the token was not allowed. Nothing may follow GRAMMAR_END_REACHED. */
int grammar_accept(struct grammar *grammar, int32_t token, enum grammar_end *end, struct error *error);

#endif
