/* The environment variables are huggingface_hub's (constants.py), so that who has set up one has set up the
 * other. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/address.h"
#include "hub/hub.h"
#include "platform/file.h"
#include "platform/places.h"

enum { MAX_TOKEN = 4096 };

static const char DEFAULT_ENDPOINT[] = "https://huggingface.co";

static bool is_true(const char *text)
{
    static const char *const words[] = {"1", "on", "yes", "true"};
    for (size_t i = 0; text && i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int read_endpoint(struct hub_settings *settings, struct error *error)
{
    const char *value = variable("HF_ENDPOINT");
    settings->endpoint = strdup(value ? value : DEFAULT_ENDPOINT);
    if (!settings->endpoint)
        return error_memory(error, "the hub's address", 0);
    size_t length = strlen(settings->endpoint);
    while (length && settings->endpoint[length - 1] == '/')
        settings->endpoint[--length] = '\0';
    struct hub_origin origin;
    int status = hub_origin_read(settings->endpoint, true, &origin, error);
    if (status)
        error_prefix(error, "HF_ENDPOINT");
    return status;
}

/* A token becomes a header: nothing in it may end one. White space around it is what editors leave. */
static int take_token(struct hub_settings *settings, const char *text, const char *from, struct error *error)
{
    text += strspn(text, " \t\r\n");
    size_t length = strcspn(text, " \t\r\n");
    if (length == 0)
        return 0;
    bool good = length <= MAX_TOKEN && text[length + strspn(text + length, " \t\r\n")] == '\0';
    for (size_t i = 0; good && i < length; i++)
        good = text[i] > ' ' && text[i] < 0x7f;
    if (!good)
        return error_set(error, ERROR_INVALID,
                         "%s holds no token: a token is one word of printable characters", from);
    settings->token = strndup(text, length);
    return settings->token ? 0 : error_memory(error, "the hub's token", length);
}

static int read_token(struct hub_settings *settings, struct error *error)
{
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (variable(names[i]))
            return take_token(settings, variable(names[i]), names[i], error);
    char home[PATH_MAX], path[PATH_MAX], *text;
    size_t length;
    const char *file = variable("HF_TOKEN_PATH");
    if (!file) {
        if (places_hub_home(home, sizeof home, NULL) || file_join(path, sizeof path, home, "token", NULL))
            return 0;
        file = path;
    }
    if (file_read(file, MAX_TOKEN, &text, &length, NULL))
        return 0; /* nobody has logged in */
    int status = take_token(settings, text, file, error);
    explicit_bzero(text, length);
    free(text);
    return status;
}

int hub_settings_read(struct hub_settings *settings, struct error *error)
{
    char cache[PATH_MAX];
    *settings = (struct hub_settings){.offline = is_true(variable("HF_HUB_OFFLINE"))};
    int status = places_hub_cache(cache, sizeof cache, error);
    if (!status && !(settings->cache = strdup(cache)))
        status = error_memory(error, "the cache's path", 0);
    if (!status)
        status = read_endpoint(settings, error);
    return status ? status : read_token(settings, error);
}

void hub_settings_free(struct hub_settings *settings)
{
    if (settings->token)
        explicit_bzero(settings->token, strlen(settings->token));
    free(settings->token);
    free(settings->endpoint);
    free(settings->cache);
    *settings = (struct hub_settings){.offline = false};
}
