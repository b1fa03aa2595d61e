#include "profile/prompt.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/scenario.h"

enum { UNIQUE_TOKENS = 4 };

int prompt_source_open(struct prompt_source *source, const struct tokenizer *tokenizer, uint32_t vocab,
                       struct error *error)
{
    memset(source, 0, sizeof *source);
    struct token_list *list = &source->passage;
    int status = tokenizer_encode(tokenizer, scenario_passage, strlen(scenario_passage), false, list, error);
    size_t kept = 0;
    for (size_t i = 0; !status && i < list->count; i++)
        if (list->ids[i] >= 0 && (uint32_t)list->ids[i] < vocab)
            list->ids[kept++] = list->ids[i];
    list->count = kept;
    if (!status && kept == 0)
        status =
            error_set(error, ERROR_INVALID, "the tokenizer knows none of the words of a plain English text");
    if (status)
        prompt_source_close(source);
    return status;
}

void prompt_source_close(struct prompt_source *source)
{
    token_list_free(&source->passage);
    memset(source, 0, sizeof *source);
}

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014). */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

void prompt_fill(const struct prompt_source *source, uint64_t nonce, int32_t *out, uint32_t n)
{
    uint64_t count = source->passage.count, start = mix(nonce) % count;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t place = i < UNIQUE_TOKENS ? mix(nonce + ((uint64_t)i << 32)) : start + i;
        out[i] = source->passage.ids[place % count];
    }
}

int prompt_text(const char *text, bool as_messages, uint64_t nonce, char **out, struct error *error)
{
    size_t capacity = strlen(text) + 16;
    *out = NULL;
    char *marked = malloc(capacity);
    if (!marked)
        return error_memory(error, "a prompt", capacity);
    snprintf(marked, capacity, "[%04u] %s", (unsigned)(mix(nonce) % 10000), text);
    if (!as_messages) {
        *out = marked;
        return 0;
    }
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", marked);
    free(marked);
    if (!messages)
        return error_set(error, ERROR_INVALID, "the prompt '%.40s' is not valid UTF-8", text);
    *out = json_dumps(messages, JSON_COMPACT);
    json_decref(messages);
    return *out ? 0 : error_memory(error, "a prompt", capacity);
}
