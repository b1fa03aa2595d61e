#include "platform/places.h"

#include <stdio.h>
#include <stdlib.h>

/* value + suffix when the variable is set and not empty; 1 when it is not. */
static int from_variable(const char *variable, const char *suffix, char *out, size_t capacity,
                         struct error *error)
{
    const char *value = getenv(variable);
    if (!value || !*value)
        return 1;
    int length = snprintf(out, capacity, "%s%s", value, suffix);
    if (length < 0 || (size_t)length >= capacity)
        return error_set(error, ERROR_LIMIT, "%s is longer than a path can be", variable);
    return 0;
}

static int first_of(const char *const (*choices)[2], size_t n, char *out, size_t capacity,
                    struct error *error)
{
    for (size_t i = 0; i < n; i++) {
        int status = from_variable(choices[i][0], choices[i][1], out, capacity, error);
        if (status <= 0)
            return status;
    }
    return error_set(error, ERROR_NOT_FOUND, "HOME is not set, so there is no folder for data; set %s",
                     choices[0][0]);
}

int places_data(char *out, size_t capacity, struct error *error)
{
    static const char *const choices[][2] = {
        {"LLMIND_DATA_DIR", ""}, {"XDG_DATA_HOME", "/llmind"}, {"HOME", "/.local/share/llmind"}};
    return first_of(choices, sizeof choices / sizeof *choices, out, capacity, error);
}

int places_cache(char *out, size_t capacity, struct error *error)
{
    static const char *const choices[][2] = {
        {"LLMIND_CACHE_DIR", ""}, {"XDG_CACHE_HOME", "/llmind"}, {"HOME", "/.cache/llmind"}};
    return first_of(choices, sizeof choices / sizeof *choices, out, capacity, error);
}

int places_hub_cache(char *out, size_t capacity, struct error *error)
{
    static const char *const choices[][2] = {{"HF_HUB_CACHE", ""},
                                             {"HF_HOME", "/hub"},
                                             {"XDG_CACHE_HOME", "/huggingface/hub"},
                                             {"HOME", "/.cache/huggingface/hub"}};
    return first_of(choices, sizeof choices / sizeof *choices, out, capacity, error);
}

int places_hub_home(char *out, size_t capacity, struct error *error)
{
    static const char *const choices[][2] = {
        {"HF_HOME", ""}, {"XDG_CACHE_HOME", "/huggingface"}, {"HOME", "/.cache/huggingface"}};
    return first_of(choices, sizeof choices / sizeof *choices, out, capacity, error);
}
