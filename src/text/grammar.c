/* The C face of ffi's grammars: ids and error lines are translated, nothing else. */
#include "text/grammar.h"

#include <stdlib.h>

#include "text/internal.h"
#include "text/tokenizer.h"

struct grammar_factory {
    struct llmind_grammar_factory *handle;
    uint32_t vocab;
};

struct grammar {
    struct llmind_grammar *handle;
    size_t n_words;
};

_Static_assert((int)GRAMMAR_JSON == (int)LLMIND_GRAMMAR_JSON &&
                   (int)GRAMMAR_SCHEMA == (int)LLMIND_GRAMMAR_SCHEMA &&
                   (int)GRAMMAR_REGEX == (int)LLMIND_GRAMMAR_REGEX &&
                   (int)GRAMMAR_LARK == (int)LLMIND_GRAMMAR_LARK,
               "the kinds have the same numbers on both sides");
_Static_assert((int)GRAMMAR_END_NO == (int)LLMIND_GRAMMAR_END_NO &&
                   (int)GRAMMAR_END_ALLOWED == (int)LLMIND_GRAMMAR_END_ALLOWED &&
                   (int)GRAMMAR_END_REACHED == (int)LLMIND_GRAMMAR_END_REACHED,
               "the ends have the same numbers on both sides");

int grammar_factory_open(const struct tokenizer *tokenizer, uint32_t vocab, const int32_t *eos, size_t n_eos,
                         struct grammar_factory **out, struct error *error)
{
    char message[ERROR_MESSAGE_MAX];
    *out = NULL;
    struct grammar_factory *factory = calloc(1, sizeof *factory);
    uint32_t *ids = calloc(n_eos > 0 ? n_eos : 1, sizeof *ids);
    int status = 0;
    if (factory == NULL || ids == NULL) {
        status = error_memory(error, "a grammar's vocabulary", sizeof *factory);
        goto out;
    }
    size_t n = 0;
    for (size_t i = 0; i < n_eos; i++) {
        if (eos[i] >= 0) {
            ids[n++] = (uint32_t)eos[i];
        }
    }
    factory->vocab = vocab;
    status = llmind_grammar_factory_open(tokenizer->handle, vocab, ids, n, &factory->handle, message,
                                         sizeof message);
    if (status != 0) {
        error_set(error, status, "%s", message);
        goto out;
    }
    *out = factory;
    factory = NULL;
out:
    free(ids);
    grammar_factory_close(factory);
    return status;
}

void grammar_factory_close(struct grammar_factory *factory)
{
    if (factory != NULL) {
        llmind_grammar_factory_close(factory->handle);
        free(factory);
    }
}

int grammar_open(const struct grammar_factory *factory, enum grammar_kind kind, const char *text,
                 size_t length, struct grammar **out, struct error *error)
{
    char message[ERROR_MESSAGE_MAX];
    *out = NULL;
    struct grammar *grammar = calloc(1, sizeof *grammar);
    if (grammar == NULL) {
        return error_memory(error, "a grammar", sizeof *grammar);
    }
    grammar->n_words = grammar_mask_words(factory->vocab);
    int status = llmind_grammar_open(factory->handle, (uint32_t)kind, (const uint8_t *)text, length,
                                     &grammar->handle, message, sizeof message);
    if (status != 0) {
        free(grammar);
        return error_set(error, status, "%s", message);
    }
    *out = grammar;
    return 0;
}

void grammar_close(struct grammar *grammar)
{
    if (grammar != NULL) {
        llmind_grammar_close(grammar->handle);
        free(grammar);
    }
}

size_t grammar_mask_words(uint32_t vocab)
{
    return ((size_t)vocab + 31) / 32;
}

int grammar_mask(struct grammar *grammar, uint32_t *mask, struct error *error)
{
    char message[ERROR_MESSAGE_MAX];
    int status = llmind_grammar_mask(grammar->handle, mask, grammar->n_words, message, sizeof message);
    return status == 0 ? 0 : error_set(error, status, "%s", message);
}

int grammar_accept(struct grammar *grammar, int32_t token, enum grammar_end *end, struct error *error)
{
    char message[ERROR_MESSAGE_MAX];
    int32_t number = LLMIND_GRAMMAR_END_NO;
    int status = llmind_grammar_accept(grammar->handle, (uint32_t)token, &number, message, sizeof message);
    *end = (enum grammar_end)number;
    return status == 0 ? 0 : error_set(error, status, "%s", message);
}
