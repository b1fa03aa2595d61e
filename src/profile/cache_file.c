#include "profile/cache_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/file.h"
#include "platform/new_file.h"
#include "platform/places.h"
#include "profile/json_get.h"

enum { FILE_BYTES_MAX = 2 << 20, ENTRIES_MAX = 16, NAME_MAX_BYTES = 64 };

static int find_file(const char *name, char *path, char *folder, struct error *error)
{
    char file[NAME_MAX_BYTES];
    snprintf(file, sizeof file, "%s.json", name);
    int status = places_cache(folder, PATH_MAX, error);
    return status ? status : file_join(path, PATH_MAX, folder, file, error);
}

static json_t *read_entries(const char *path)
{
    char *text;
    size_t length;
    if (file_read(path, FILE_BYTES_MAX, &text, &length, NULL))
        return NULL;
    json_t *root = json_loadb(text, length, 0, NULL);
    free(text);
    json_t *entries = json_incref(json_object_get(root, "entries"));
    json_decref(root);
    if (json_is_array(entries))
        return entries;
    json_decref(entries);
    return NULL;
}

json_t *cache_file_recall(const char *name, const char *key, int64_t *at_s, bool *other)
{
    char path[PATH_MAX], folder[PATH_MAX];
    json_t *entries = find_file(name, path, folder, NULL) == 0 ? read_entries(path) : NULL, *found = NULL;
    if (other)
        *other = json_array_size(entries) > 0;
    for (size_t i = 0; !found && i < json_array_size(entries) && i < ENTRIES_MAX; i++) {
        const json_t *entry = json_array_get(entries, i);
        double at = json_get_positive(entry, "at");
        if (!json_get_is(entry, "key", key) || !(at < 1e15))
            continue;
        found = json_incref(json_object_get(entry, name));
        *at_s = (int64_t)at;
    }
    json_decref(entries);
    return found;
}

static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    (void)mkdir(path, 0755);
}

static int write_file(const char *path, const json_t *root, struct error *error)
{
    struct new_file file;
    char *text = json_dumps(root, JSON_INDENT(1));
    if (!text)
        return error_memory(error, "the cache file", 0);
    int status = new_file_open(&file, path, error);
    if (!status)
        status = new_file_write(&file, text, strlen(text), error);
    if (!status)
        status = new_file_commit(&file, error);
    new_file_close(&file);
    free(text);
    return status;
}

int cache_file_remember(const char *name, const char *key, int64_t now_s, const json_t *value,
                        struct error *error)
{
    char path[PATH_MAX], folder[PATH_MAX];
    int status = find_file(name, path, folder, error);
    if (status)
        return status;
    json_t *old = read_entries(path), *entries = json_array();
    json_t *entry = json_pack("{s:s, s:I, s:O}", "key", key, "at", (json_int_t)now_s, name, value);
    json_array_append_new(entries, entry);
    for (size_t i = 0; i < json_array_size(old) && json_array_size(entries) < ENTRIES_MAX; i++)
        if (!json_get_is(json_array_get(old, i), "key", key))
            json_array_append(entries, json_array_get(old, i));
    json_t *root = json_pack("{s:o}", "entries", entries);
    if (root && entry) {
        make_folders(folder);
        status = write_file(path, root, error);
    } else {
        status = error_memory(error, "the cache file", 0);
    }
    json_decref(root);
    json_decref(old);
    return status;
}
