#include "hub/listing.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "hub/names.h"

enum { MAX_DEPTH = 32, MAX_VALUES = 1 << 20, MAX_SHARDS = 4096 };

static int parse(const char *text, size_t length, const char *what, json_t **out, struct error *error)
{
    struct json_text_size size = json_text_measure(text, length);
    if (size.depth > MAX_DEPTH || size.values > MAX_VALUES)
        return error_set(error, ERROR_LIMIT, "%s has more than %d values, or more than %d inside one another",
                         what, MAX_VALUES, MAX_DEPTH);
    json_error_t problem;
    *out = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (json_is_object(*out))
        return 0;
    int status = error_set(error, ERROR_INVALID, "%s is not what it should be: %.120s", what,
                           *out ? "no JSON object" : problem.text);
    json_decref(*out);
    *out = NULL;
    return status;
}

static int bad_entry(struct error *error, const char *name, const char *what)
{
    return error_set(error, ERROR_INVALID, "the hub's listing says of %.200s %s", name, what);
}

/* A size that is there, whole, and not beyond what a file may have. */
static bool read_size(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > HUB_MAX_FILE_BYTES)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static int read_entry(const json_t *entry, struct hub_file *file, struct error *error)
{
    const char *name = json_string_value(json_object_get(entry, "rfilename"));
    if (!name)
        return error_set(error, ERROR_INVALID, "the hub's listing has an entry without a file's name");
    int status = hub_check_file(name, error);
    if (status)
        return status;
    const json_t *lfs = json_object_get(entry, "lfs");
    bool large = json_is_object(lfs);
    const json_t *hash = large ? json_object_get(lfs, "sha256") : json_object_get(entry, "blobId");
    if (large && !hash)
        hash = json_object_get(lfs, "oid");
    const char *digits = json_string_value(hash);
    if (!digits || !hub_is_hex(digits, large ? 64 : 40))
        return bad_entry(error, name, "no hash that could be checked");
    if (!read_size(json_object_get(large ? lfs : entry, "size"), &file->bytes))
        return bad_entry(error, name, "no size that a file could have");
    memcpy(file->hash, digits, strlen(digits) + 1);
    file->name = strdup(name);
    return file->name ? 0 : error_memory(error, "the hub's listing", strlen(name));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct hub_file *)a)->name, ((const struct hub_file *)b)->name);
}

static int read_entries(const json_t *siblings, struct hub_listing *out, struct error *error)
{
    size_t n = json_array_size(siblings);
    if (n > HUB_MAX_FILES)
        return error_set(error, ERROR_LIMIT, "the repository has %zu files; %d are taken at most", n,
                         HUB_MAX_FILES);
    out->files = calloc(n ? n : 1, sizeof *out->files);
    if (!out->files)
        return error_memory(error, "the hub's listing", n * sizeof *out->files);
    for (size_t i = 0; i < n; i++) {
        int status = read_entry(json_array_get(siblings, i), &out->files[i], error);
        if (status)
            return status;
        out->n_files++;
    }
    qsort(out->files, n, sizeof *out->files, by_name);
    for (size_t i = 1; i < n; i++)
        if (by_name(&out->files[i - 1], &out->files[i]) == 0)
            return bad_entry(error, out->files[i].name, "two different things");
    return 0;
}

int hub_listing_parse(const char *text, size_t length, struct hub_listing *out, struct error *error)
{
    json_t *json = NULL;
    *out = (struct hub_listing){.n_files = 0};
    int status = parse(text, length, "the hub's listing", &json, error);
    if (status)
        return status;
    const char *commit = json_string_value(json_object_get(json, "sha"));
    const json_t *siblings = json_object_get(json, "siblings");
    if (!commit || !hub_is_hex(commit, HUB_COMMIT))
        status = error_set(error, ERROR_INVALID, "the hub's listing names no commit");
    else if (!json_is_array(siblings))
        status = error_set(error, ERROR_INVALID, "the hub's listing has no list of files");
    else {
        memcpy(out->commit, commit, sizeof out->commit);
        status = read_entries(siblings, out, error);
    }
    json_decref(json);
    if (status)
        hub_listing_free(out);
    return status;
}

void hub_listing_free(struct hub_listing *listing)
{
    for (size_t i = 0; i < listing->n_files; i++)
        free(listing->files[i].name);
    free(listing->files);
    *listing = (struct hub_listing){.n_files = 0};
}

struct hub_file *hub_listing_find(const struct hub_listing *listing, const char *name)
{
    struct hub_file key = {.name = (char *)(uintptr_t)name};
    return listing->n_files ? bsearch(&key, listing->files, listing->n_files, sizeof key, by_name) : NULL;
}

/* ---- the index of shards ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_shard(const char *name)
{
    static const char END[] = ".safetensors";
    size_t length = strlen(name);
    return hub_check_file(name, NULL) == 0 && hub_file_is_plain(name) && length > sizeof END - 1 &&
           strcmp(name + length - (sizeof END - 1), END) == 0;
}

/* The distinct strings among the values of weight_map, borrowed. */
static int collect(const json_t *map, const char **names, size_t *count, struct error *error)
{
    const char *weight;
    json_t *value;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)map, weight, value) {
        const char *name = json_string_value(value);
        if (!name || !is_shard(name))
            return error_set(error, ERROR_INVALID,
                             "model.safetensors.index.json says that %.120s is in '%.80s', which is no "
                             ".safetensors file of this repository",
                             weight, name ? name : "something else");
        names[n++] = name;
    }
    qsort(names, n, sizeof *names, by_text);
    size_t distinct = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            names[distinct++] = names[i];
    *count = distinct;
    if (distinct == 0 || distinct > MAX_SHARDS)
        return error_set(error, ERROR_INVALID, "model.safetensors.index.json must name 1 to %d files",
                         MAX_SHARDS);
    return 0;
}

int hub_index_parse(const char *text, size_t length, char ***out, size_t *count, struct error *error)
{
    json_t *json = NULL;
    *out = NULL;
    *count = 0;
    int status = parse(text, length, "model.safetensors.index.json", &json, error);
    if (status)
        return status;
    const json_t *map = json_object_get(json, "weight_map");
    size_t n = 0;
    const char **names = calloc(json_object_size(map) + 1, sizeof *names);
    status = names ? collect(map, names, &n, error) : error_memory(error, "the list of weight files", 0);
    char **copies = status ? NULL : calloc(n + 1, sizeof *copies);
    if (!status && !copies)
        status = error_memory(error, "the list of weight files", n);
    for (size_t i = 0; copies && !status && i < n; i++) {
        copies[i] = strdup(names[i]);
        if (!copies[i])
            status = error_memory(error, "the list of weight files", n);
        else
            *count = i + 1;
    }
    free(names);
    json_decref(json);
    if (!status) {
        *out = copies;
        return 0;
    }
    for (size_t i = 0; copies && i < *count; i++)
        free(copies[i]);
    free(copies);
    *count = 0;
    return status;
}
