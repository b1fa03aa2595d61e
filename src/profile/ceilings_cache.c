/* {"entries": [{"key", "at", "ceilings"}]}, newest first. Two programs that write at once: the later one
 * wins, and the file is whole either way, because it is written beside and renamed. */
#include "profile/ceilings_cache.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/places.h"
#include "profile/json_get.h"

enum { FILE_BYTES_MAX = 1 << 20, ENTRIES_MAX = 16, FRESH_S = 24 * 3600 };

static bool find_file(char *path, char *folder, struct error *error)
{
    return places_cache(folder, PATH_MAX, error) == 0 &&
           file_join(path, PATH_MAX, folder, "ceilings.json", error) == 0;
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

/* What whoever reads the report relies on. */
static bool is_whole(const json_t *ceilings)
{
    static const char *const names[] = {"memory_read", "cache_read", "int8", "f32"};
    if (!json_get_string(ceilings, "measured") || !json_get_string(ceilings, "isa"))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *ceiling = json_get_object(ceilings, names[i]);
        if (!json_get_string(ceiling, "unit") || !json_get_string(ceiling, "method") ||
            !json_get_array(ceiling, "samples") || !json_get(ceiling, "value"))
            return false;
    }
    return true;
}

json_t *ceilings_recall(const char *key, int64_t now_s)
{
    char path[PATH_MAX], folder[PATH_MAX];
    json_t *entries = find_file(path, folder, NULL) ? read_entries(path) : NULL, *found = NULL;
    for (size_t i = 0; !found && i < json_array_size(entries) && i < ENTRIES_MAX; i++) {
        const json_t *entry = json_array_get(entries, i);
        double age = (double)now_s - json_get_number(entry, "at");
        json_t *ceilings = json_object_get(entry, "ceilings");
        if (json_get_is(entry, "key", key) && age >= 0 && age < FRESH_S && is_whole(ceilings))
            found = json_incref(ceilings);
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

static void write_file(const char *path, const json_t *root)
{
    char beside[PATH_MAX + 32];
    snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    if (json_dump_file(root, beside, JSON_INDENT(1)) || rename(beside, path))
        (void)unlink(beside);
}

void ceilings_remember(const char *key, int64_t now_s, const json_t *ceilings)
{
    char path[PATH_MAX], folder[PATH_MAX];
    if (!find_file(path, folder, NULL))
        return;
    json_t *old = read_entries(path), *entries = json_array();
    json_t *entry = json_pack("{s:s, s:I, s:O}", "key", key, "at", (json_int_t)now_s, "ceilings", ceilings);
    json_array_append_new(entries, entry);
    for (size_t i = 0; i < json_array_size(old) && json_array_size(entries) < ENTRIES_MAX; i++)
        if (!json_get_is(json_array_get(old, i), "key", key))
            json_array_append(entries, json_array_get(old, i));
    json_t *root = json_pack("{s:o}", "entries", entries);
    if (root && entry) {
        make_folders(folder);
        write_file(path, root);
    }
    json_decref(root);
    json_decref(old);
}
