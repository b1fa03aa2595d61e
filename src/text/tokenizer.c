/* The C face of ffi's tokenizers. Encoding calls into Rust; token bytes are read from a table that the Rust
 * handle owns and that was computed when it was opened. */
#include "text/tokenizer.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "text/internal.h"

enum { MAX_TOKENIZER_JSON = 128 << 20, MAX_CONFIG_JSON = 32 << 20 };

int tokenizer_open(const char *folder, struct tokenizer **out, struct error *error)
{
    char *json = NULL;
    char *config = NULL;
    size_t json_length = 0;
    size_t config_length = 0;
    char message[ERROR_MESSAGE_MAX];
    *out = NULL;
    struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (tokenizer == NULL) {
        return error_memory(error, "a tokenizer", sizeof *tokenizer);
    }
    int result =
        text_read_file(folder, "tokenizer.json", MAX_TOKENIZER_JSON, false, &json, &json_length, error);
    if (result != 0) {
        goto out;
    }
    result = text_read_file(folder, "tokenizer_config.json", MAX_CONFIG_JSON, true, &config, &config_length,
                            error);
    if (result != 0) {
        goto out;
    }
    result = llmind_tokenizer_open((const uint8_t *)json, json_length, (const uint8_t *)config, config_length,
                                   &tokenizer->handle, message, sizeof message);
    if (result != 0) {
        error_set(error, result, "%s: %s", folder, message);
        goto out;
    }
    tokenizer->info.struct_size = sizeof tokenizer->info;
    result = llmind_tokenizer_info(tokenizer->handle, &tokenizer->info);
    if (result != 0) {
        error_set(error, result, "the text library and this program do not fit together");
        goto out;
    }
    const uint32_t *offsets = tokenizer->info.offsets;
    for (uint32_t id = 0; id < tokenizer->info.vocab_size; id++) {
        size_t length = offsets[id + 1] - offsets[id];
        if (length > tokenizer->longest_token_bytes) {
            tokenizer->longest_token_bytes = length;
        }
    }
    *out = tokenizer;
    tokenizer = NULL;
out:
    free(config);
    free(json);
    tokenizer_close(tokenizer);
    return result;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
    if (tokenizer != NULL) {
        llmind_tokenizer_close(tokenizer->handle);
        free(tokenizer);
    }
}

/* Makes room for `more` further ids. */
static int token_list_reserve(struct token_list *list, size_t more, struct error *error)
{
    if (more <= list->capacity - list->count) {
        return 0;
    }
    size_t most = SIZE_MAX / sizeof *list->ids;
    if (more > most - list->count) {
        return error_set(error, ERROR_LIMIT, "too many tokens");
    }
    size_t needed = list->count + more;
    size_t capacity = list->capacity > most / 2 ? most : list->capacity * 2;
    if (capacity < needed) {
        capacity = needed;
    }
    int32_t *ids = realloc(list->ids, capacity * sizeof *ids);
    if (ids == NULL) {
        return error_memory(error, "a list of tokens", capacity * sizeof *ids);
    }
    list->ids = ids;
    list->capacity = capacity;
    return 0;
}

int token_list_push(struct token_list *list, int32_t id, struct error *error)
{
    int result = token_list_reserve(list, list->count < list->capacity ? 1 : 16, error);
    if (result == 0) {
        list->ids[list->count++] = id;
    }
    return result;
}

void token_list_free(struct token_list *list)
{
    free(list->ids);
    *list = (struct token_list){0};
}

static int encode(const struct tokenizer *tokenizer, const char *text, size_t length, uint32_t flags,
                  struct token_list *out, struct error *error)
{
    uint32_t *ids = NULL;
    size_t count = 0;
    char message[ERROR_MESSAGE_MAX];
    int result = llmind_tokenizer_encode(tokenizer->handle, (const uint8_t *)text, length, flags, &ids,
                                         &count, message, sizeof message);
    if (result != 0) {
        return error_set(error, result, "%s", message);
    }
    if (count > 0) {
        result = token_list_reserve(out, count, error);
    }
    if (result == 0) {
        for (size_t i = 0; i < count; i++) {
            out->ids[out->count++] = (int32_t)ids[i]; /* ids are below 2^22 */
        }
    }
    llmind_ids_free(ids, count);
    return result;
}

int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, bool add_special,
                     struct token_list *out, struct error *error)
{
    return encode(tokenizer, text, length, add_special ? LLMIND_ENCODE_ADD_SPECIAL : 0, out, error);
}

int tokenizer_encode_rendered(const struct tokenizer *tokenizer, const char *text, size_t length,
                              struct token_list *out, struct error *error)
{
    return encode(tokenizer, text, length, LLMIND_ENCODE_RENDERED, out, error);
}

uint32_t tokenizer_vocab_size(const struct tokenizer *tokenizer)
{
    return tokenizer->info.vocab_size;
}

static bool in_vocab(const struct tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && (uint32_t)id < tokenizer->info.vocab_size;
}

const char *tokenizer_token_bytes(const struct tokenizer *tokenizer, int32_t id, bool with_special,
                                  size_t *length)
{
    *length = 0;
    if (!in_vocab(tokenizer, id) || (!with_special && tokenizer->info.special[id])) {
        return "";
    }
    const uint32_t *offsets = tokenizer->info.offsets;
    *length = offsets[id + 1] - offsets[id];
    return (const char *)tokenizer->info.bytes + offsets[id];
}

bool tokenizer_is_special(const struct tokenizer *tokenizer, int32_t id)
{
    return in_vocab(tokenizer, id) && tokenizer->info.special[id] != 0;
}

int32_t tokenizer_find(const struct tokenizer *tokenizer, const char *content)
{
    return llmind_tokenizer_find(tokenizer->handle, (const uint8_t *)content, strlen(content));
}

int32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->info.bos;
}

int32_t tokenizer_eos(const struct tokenizer *tokenizer)
{
    return tokenizer->info.eos;
}

bool tokenizer_strips_first_space(const struct tokenizer *tokenizer)
{
    return tokenizer->info.first_space != LLMIND_FIRST_SPACE_KEPT;
}
