/* The rules of repository ids are huggingface_hub's own (utils/_validators.py): who is stricter refuses
 * models that exist, and who is laxer shares a folder between two of them ("a--b" and "a/b"). */
#include "hub/names.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "hub/hub.h"

enum { MAX_PART = 96 };

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word(char c)
{
    return is_alnum(c) || c == '.' || c == '_' || c == '-';
}

static int bad_id(struct error *error, const char *id, const char *what)
{
    return error_set(error, ERROR_INVALID,
                     "'%.120s' is no id of a model on the hub: %s (an id is ORG/NAME, as in "
                     "mlx-community/Qwen3-0.6B-4bit)",
                     id, what);
}

static bool part_is_good(const char *part, size_t length)
{
    if (length == 0 || length > MAX_PART || part[0] == '.' || part[0] == '-' || part[length - 1] == '.' ||
        part[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_word(part[i]))
            return false;
    return true;
}

int hub_check_repository(const char *id, struct error *error)
{
    size_t length = strnlen(id, HUB_MAX_REPOSITORY + 1);
    if (length == 0 || length > HUB_MAX_REPOSITORY)
        return bad_id(error, id, "it must have 1 to 200 characters");
    const char *slash = strchr(id, '/');
    size_t first = slash ? (size_t)(slash - id) : length;
    if (slash && strchr(slash + 1, '/'))
        return bad_id(error, id, "it has more than one slash");
    if (!part_is_good(id, first) || (slash && !part_is_good(slash + 1, length - first - 1)))
        return bad_id(error, id,
                      "each part has 1 to 96 letters, digits, '-', '_' or '.' and neither begins nor ends "
                      "with '-' or '.'");
    if (strstr(id, "--") || strstr(id, ".."))
        return bad_id(error, id, "it must not contain '--' or '..'");
    if (length > 4 && strcmp(id + length - 4, ".git") == 0)
        return bad_id(error, id, "it must not end with .git");
    return 0;
}

int hub_check_revision(const char *revision, struct error *error)
{
    size_t length = strnlen(revision, HUB_MAX_REVISION + 1);
    bool good = length > 0 && length <= HUB_MAX_REVISION && !strstr(revision, "..");
    for (size_t i = 0; good && i < length; i++) {
        bool begins = i == 0 || revision[i - 1] == '/';
        good = revision[i] == '/' ? !begins && i + 1 < length
                                  : is_word(revision[i]) && !(begins && !is_alnum(revision[i]));
    }
    if (good)
        return 0;
    return error_set(error, ERROR_INVALID,
                     "'%.60s' is no revision: a branch, a tag or a commit, of letters, digits, '-', '_', '.' "
                     "and '/', is what stands behind the @",
                     revision);
}

int hub_check_file(const char *name, struct error *error)
{
    size_t length = strnlen(name, HUB_MAX_FILE_PATH + 1);
    bool good = length > 0 && length <= HUB_MAX_FILE_PATH && utf8_is_valid(name, length);
    for (const char *part = name; good;) {
        size_t n = strcspn(part, "/");
        good = n > 0 && n <= HUB_MAX_FILE_NAME && !(n == 1 && part[0] == '.') &&
               !(n == 2 && part[0] == '.' && part[1] == '.');
        for (size_t i = 0; good && i < n; i++)
            good = (unsigned char)part[i] >= 0x20 && part[i] != 0x7f && part[i] != '\\';
        if (!part[n])
            break;
        part += n + 1;
    }
    if (good)
        return 0;
    return error_set(
        error, ERROR_INVALID,
        "the hub lists a file '%.80s', which cannot be a file's name in a repository: nothing of "
        "this listing is used",
        name);
}

bool hub_file_is_plain(const char *name)
{
    return name[0] != '.' && !strchr(name, '/');
}

bool hub_is_hex(const char *text, size_t digits)
{
    if (strnlen(text, digits + 1) != digits)
        return false;
    for (size_t i = 0; i < digits; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return true;
}

static const char PREFIX[] = "models--";

void hub_folder_name(const char *repository, char *out, size_t capacity)
{
    const char *slash = strchr(repository, '/');
    if (slash)
        snprintf(out, capacity, "%s%.*s--%s", PREFIX, (int)(slash - repository), repository, slash + 1);
    else
        snprintf(out, capacity, "%s%s", PREFIX, repository);
}

bool hub_folder_repository(const char *folder, char *out, size_t capacity)
{
    if (strncmp(folder, PREFIX, sizeof PREFIX - 1) != 0)
        return false;
    const char *rest = folder + sizeof PREFIX - 1, *dashes = strstr(rest, "--");
    int n = dashes ? snprintf(out, capacity, "%.*s/%s", (int)(dashes - rest), rest, dashes + 2)
                   : snprintf(out, capacity, "%s", rest);
    return n > 0 && (size_t)n < capacity && hub_check_repository(out, NULL) == 0;
}

void hub_append_encoded(struct buffer *address, const char *text, bool slashes)
{
    for (; *text; text++) {
        if (is_word(*text) || *text == '~' || (slashes && *text == '/'))
            buffer_append(address, text, 1);
        else
            buffer_format(address, "%%%02X", (unsigned)(unsigned char)*text);
    }
}
