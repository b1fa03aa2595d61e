/* The form is recognised by the name (.npy) or the first character ('['), so that no option is needed. An id
 * is only a number here: whether the vocabulary has it is checked where it is used. */
#include "eval/tokens.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "eval/npy.h"
#include "platform/file.h"

enum { MAX_BYTES = 1 << 30, MAX_TOKENS = 1 << 26 };

static int read_npy(const char *path, struct token_list *out, struct error *error)
{
    struct npy_file npy;
    int result = npy_open(&npy, path, error);
    if (result)
        return result;
    if (npy.type != NPY_I32 || npy.n_dims != 1)
        result = error_set(error, ERROR_UNSUPPORTED, "%s is not an int32 vector", path);
    for (uint64_t i = 0; i < npy.rows && !result; i++) {
        int32_t id;
        result = i == MAX_TOKENS
                     ? error_set(error, ERROR_LIMIT, "%s has more than %d tokens", path, MAX_TOKENS)
                     : npy_read(&npy, &id, 1, error);
        if (!result)
            result = token_list_push(out, id, error);
    }
    npy_close(&npy, NULL);
    return result;
}

static int read_json(const char *text, size_t length, const char *path, struct token_list *out,
                     struct error *error)
{
    json_error_t json_error;
    json_t *array = json_loadb(text, length, 0, &json_error);
    int result = 0;
    if (!json_is_array(array))
        result = error_set(error, ERROR_INVALID, "%s: %s", path,
                           array ? "not an array of token ids" : json_error.text);
    for (size_t i = 0; i < json_array_size(array) && !result; i++) {
        json_t *id = json_array_get(array, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            result = error_set(error, ERROR_INVALID, "%s: element %zu is not a token id", path, i);
        else
            result = token_list_push(out, (int32_t)json_integer_value(id), error);
    }
    json_decref(array);
    return result;
}

static int read_numbers(const char *text, const char *path, struct token_list *out, struct error *error)
{
    for (;;) {
        while (isspace((unsigned char)*text))
            text++;
        if (!*text)
            return 0;
        char *end;
        errno = 0;
        unsigned long id = strtoul(text, &end, 10);
        if (!isdigit((unsigned char)*text) || errno || id > INT32_MAX ||
            (*end && !isspace((unsigned char)*end)))
            return error_set(error, ERROR_INVALID, "%s: \"%.12s\" is not a token id", path, text);
        int result = token_list_push(out, (int32_t)id, error);
        if (result)
            return result;
        text = end;
    }
}

int tokens_read(const char *path, struct token_list *out, struct error *error)
{
    char *text;
    size_t length;
    size_t name = strlen(path);
    if (name > 4 && strcmp(path + name - 4, ".npy") == 0)
        return read_npy(path, out, error);
    int result = file_read(path, MAX_BYTES, &text, &length, error);
    if (result)
        return result;
    size_t start = strspn(text, " \t\r\n");
    result =
        text[start] == '[' ? read_json(text, length, path, out, error) : read_numbers(text, path, out, error);
    free(text);
    return result;
}
