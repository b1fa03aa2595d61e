/* From engine.h's grammar_kind to a mask per token. */
#include "engine/constraint.h"

#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"

struct constraint {
    struct grammar *grammar;
    uint32_t mask[]; /* [grammar_mask_words(vocab)] */
};

_Static_assert((int)ENGINE_GRAMMAR_JSON == (int)GRAMMAR_JSON &&
                   (int)ENGINE_GRAMMAR_SCHEMA == (int)GRAMMAR_SCHEMA &&
                   (int)ENGINE_GRAMMAR_REGEX == (int)GRAMMAR_REGEX &&
                   (int)ENGINE_GRAMMAR_LARK == (int)GRAMMAR_LARK,
               "the kinds have the same numbers on both sides");

void constraint_source_init(struct constraint_source *source)
{
    *source = (struct constraint_source){0};
    /* a mutex with default attributes needs nothing that could fail */
    pthread_mutex_init(&source->lock, NULL);
}

void constraint_source_close(struct constraint_source *source)
{
    grammar_factory_close(source->factory);
    source->factory = NULL;
    pthread_mutex_destroy(&source->lock);
}

/* Whoever comes while it is being opened waits: it is needed anyway. A failure is tried again by the next. */
static int factory_of(struct constraint_source *source, const struct tokenizer *tokenizer, uint32_t vocab,
                      const int32_t *eos, uint32_t n_eos, struct grammar_factory **out, struct error *error)
{
    int status = 0;
    pthread_mutex_lock(&source->lock);
    if (!source->factory)
        status = grammar_factory_open(tokenizer, vocab, eos, n_eos, &source->factory, error);
    *out = source->factory;
    pthread_mutex_unlock(&source->lock);
    return status;
}

static int check(const struct engine_submit *submit, struct error *error)
{
    if (submit->grammar_kind < ENGINE_GRAMMAR_JSON || submit->grammar_kind > ENGINE_GRAMMAR_LARK)
        return error_set(error, ERROR_INVALID, "grammar_kind %d does not exist", (int)submit->grammar_kind);
    if (!submit->grammar && submit->grammar_kind != ENGINE_GRAMMAR_JSON)
        return error_set(error, ERROR_INVALID, "grammar: its text is missing");
    if (submit->ignore_eos)
        return error_set(error, ERROR_INVALID,
                         "ignore_eos: an answer with a grammar ends where the grammar does");
    return 0;
}

int constraint_open(struct constraint_source *source, const struct engine_submit *submit,
                    const struct tokenizer *tokenizer, uint32_t vocab, const int32_t *eos, uint32_t n_eos,
                    struct constraint **out, struct error *error)
{
    *out = NULL;
    if (submit->grammar_kind == ENGINE_GRAMMAR_NONE)
        return 0;
    struct grammar_factory *factory = NULL;
    struct constraint *constraint = NULL;
    int status = check(submit, error);
    if (status)
        return status;
    if ((status = factory_of(source, tokenizer, vocab, eos, n_eos, &factory, error)) != 0)
        goto out;
    size_t size = sizeof *constraint + grammar_mask_words(vocab) * sizeof *constraint->mask;
    constraint = calloc(1, size);
    if (!constraint) {
        status = error_memory(error, "a mask", size);
        goto out;
    }
    const char *text = submit->grammar && submit->grammar_kind != ENGINE_GRAMMAR_JSON ? submit->grammar : "";
    status = grammar_open(factory, (enum grammar_kind)submit->grammar_kind, text, strlen(text),
                          &constraint->grammar, error);
out:
    if (status) {
        error_prefix(error, "grammar");
        constraint_close(constraint);
    } else {
        *out = constraint;
    }
    return status;
}

void constraint_close(struct constraint *constraint)
{
    if (!constraint)
        return;
    grammar_close(constraint->grammar);
    free(constraint);
}

int constraint_mask(struct constraint *constraint, const uint32_t **mask, struct error *error)
{
    *mask = constraint->mask;
    return grammar_mask(constraint->grammar, constraint->mask, error);
}

int constraint_accept(struct constraint *constraint, int32_t token, bool *complete, struct error *error)
{
    enum grammar_end end = GRAMMAR_END_NO;
    int status = grammar_accept(constraint->grammar, token, &end, error);
    *complete = end == GRAMMAR_END_REACHED;
    return status;
}
