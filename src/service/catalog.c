/* The list of models is made new each time it is asked for: a scan of a few folders, and only the headers of
 * the files in them, so there is nothing to go stale. */
#include "service/catalog.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/file.h"
#include "platform/places.h"
#include "service/catalog_internal.h"
#include "service/near.h"

enum { MAX_NAME = 512, MAX_MODELS = 10000 };

static const char MODEL_FILE[] = "config.json", ADAPTER_FILE[] = "adapter_config.json";

bool catalog_name_is_safe(const char *name)
{
    size_t length = strnlen(name, MAX_NAME + 1);
    if (length == 0 || length > MAX_NAME)
        return false;
    for (const char *part = name;;) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)part[i] < 0x20 || part[i] == 0x7F || part[i] == '\\')
                return false;
        if (!part[n])
            return true;
        part += n + 1;
    }
}

bool catalog_adapter_name_is_safe(const char *name)
{
    return catalog_name_is_safe(name) && !strchr(name, '/');
}

static bool has_file(const char *folder, const char *name)
{
    char file[PATH_MAX];
    return file_join(file, sizeof file, folder, name, NULL) == 0 && file_exists(file);
}

bool catalog_is_model(const char *folder)
{
    return has_file(folder, MODEL_FILE);
}

int catalog_copy_path(char *out, size_t capacity, const char *path, struct error *error)
{
    int length = snprintf(out, capacity, "%s", path);
    if (length < 0 || (size_t)length >= capacity)
        return error_set(error, ERROR_LIMIT, "the path '%.60s...' is too long", path);
    return 0;
}

/* ---- folders ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int visit_sorted(const char *folder, char **names, size_t n, catalog_visit visit, void *context,
                        struct error *error)
{
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++) {
        char path[PATH_MAX];
        if (file_join(path, sizeof path, folder, names[i], NULL) || !file_is_folder(path))
            continue;
        int status = visit(context, names[i], path, error);
        if (status < 0)
            return status;
    }
    return 0;
}

int catalog_each_folder(const char *folder, catalog_visit visit, void *context, struct error *error)
{
    DIR *directory = opendir(folder);
    if (!directory)
        return 0;
    char **names = NULL;
    size_t n = 0, capacity = 0;
    int status = 0;
    const struct dirent *item;
    while ((item = readdir(directory)) && n < MAX_MODELS) {
        if (item->d_name[0] == '.')
            continue;
        if (n == capacity) {
            capacity = capacity ? 2 * capacity : 32;
            char **more = realloc(names, capacity * sizeof *names);
            if (!more) {
                status = error_memory(error, "the list of models", capacity * sizeof *names);
                break;
            }
            names = more;
        }
        names[n] = strdup(item->d_name);
        if (!names[n]) {
            status = error_memory(error, "the list of models", strlen(item->d_name));
            break;
        }
        n++;
    }
    closedir(directory);
    if (!status && n > 0)
        status = visit_sorted(folder, names, n, visit, context, error);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return status;
}

/* ---- the list ---- */

int catalog_add(struct catalog *catalog, const char *name, const char *path, const char *source,
                struct error *error)
{
    if (catalog->count == catalog->capacity) {
        size_t capacity = catalog->capacity ? 2 * catalog->capacity : 16;
        struct catalog_entry *more = realloc(catalog->entries, capacity * sizeof *more);
        if (!more)
            return error_memory(error, "the list of models", capacity * sizeof *more);
        catalog->entries = more;
        catalog->capacity = capacity;
    }
    struct catalog_entry *entry = &catalog->entries[catalog->count];
    memset(entry, 0, sizeof *entry);
    entry->name = strdup(name);
    entry->path = strdup(path);
    entry->source = source;
    struct error problem = {0};
    int unusable = catalog->names_only ? 0 : model_summarize(path, &entry->summary, &problem);
    if (unusable) {
        memset(&entry->summary, 0, sizeof entry->summary);
        error_replace(&problem, path, name); /* clients of the server read it */
        entry->problem = strdup(problem.message);
    }
    catalog->count++;
    if (!entry->name || !entry->path || (unusable && !entry->problem))
        return error_memory(error, "the list of models", strlen(name) + strlen(path));
    return 0;
}

int catalog_add_served(struct catalog *catalog, const char *name, const char *path, struct error *error)
{
    for (size_t i = 0; i < catalog->count; i++)
        if (strcmp(catalog->entries[i].name, name) == 0)
            return 0;
    return catalog_add(catalog, name, path, "command line", error);
}

void catalog_free(struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++) {
        struct catalog_entry *entry = &catalog->entries[i];
        free(entry->name);
        free(entry->path);
        free(entry->problem);
        model_summary_free(&entry->summary);
    }
    free(catalog->entries);
    memset(catalog, 0, sizeof *catalog);
}

/* The built-in model's folder; 1 when there is none. */
static int find_builtin(char *path, size_t capacity, struct error *error)
{
    const char *named = getenv("LLMIND_BUILTIN");
    if (named && *named) {
        if (!catalog_is_model(named))
            return error_set(error, ERROR_NOT_FOUND,
                             "the folder that LLMIND_BUILTIN names has no config.json");
        return catalog_copy_path(path, capacity, named, error);
    }
    char program[PATH_MAX];
    int status = file_program_folder(program, sizeof program, error);
    if (status)
        return status;
    static const char *const places[] = {"../share/llmind/builtin", "../models/builtin"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char folder[PATH_MAX];
        if (file_join(folder, sizeof folder, program, places[i], NULL) || !catalog_is_model(folder))
            continue;
        char *real = realpath(folder, NULL);
        status = catalog_copy_path(path, capacity, real ? real : folder, error);
        free(real);
        return status;
    }
    return 1;
}

struct scan {
    struct catalog *catalog;
    const char *source;
};

static int scan_folder(void *context, const char *name, const char *path, struct error *error)
{
    const struct scan *scan = context;
    return catalog_is_model(path) ? catalog_add(scan->catalog, name, path, scan->source, error) : 0;
}

/* Calls use(folder) for <data>/models and each folder of LLMIND_MODEL_PATH until it returns other than 1. */
typedef int (*use_folder)(void *context, const char *folder, const char *source, struct error *error);

static int each_model_folder(use_folder use, void *context, struct error *error)
{
    char folder[PATH_MAX], data[PATH_MAX];
    if (places_data(data, sizeof data, NULL) == 0 &&
        file_join(folder, sizeof folder, data, "models", NULL) == 0) {
        int status = use(context, folder, "data", error);
        if (status != 1)
            return status;
    }
    const char *list = getenv("LLMIND_MODEL_PATH");
    while (list && *list) {
        size_t n = strcspn(list, ":");
        if (n > 0 && n < sizeof folder) {
            memcpy(folder, list, n);
            folder[n] = '\0';
            int status = use(context, folder, "path", error);
            if (status != 1)
                return status;
        }
        list += n + (list[n] == ':');
    }
    return 1;
}

static int scan_models(void *context, const char *folder, const char *source, struct error *error)
{
    struct scan scan = {context, source};
    int status = catalog_each_folder(folder, scan_folder, &scan, error);
    return status ? status : 1;
}

static int scan_all(struct catalog *catalog, bool names_only, struct error *error)
{
    memset(catalog, 0, sizeof *catalog);
    catalog->names_only = names_only;
    char path[PATH_MAX];
    int status = 0;
    if (find_builtin(path, sizeof path, NULL) == 0)
        status = catalog_add(catalog, "builtin", path, "builtin", error);
    if (!status)
        status = each_model_folder(scan_models, catalog, error);
    if (status >= 0)
        status = catalog_hub_scan(catalog, error);
    if (status)
        catalog_free(catalog);
    return status;
}

int catalog_scan(struct catalog *catalog, struct error *error)
{
    return scan_all(catalog, false, error);
}

/* ---- one name ---- */

struct lookup {
    const char *name, *file; /* a folder of this name that has this file */
    char *path;
    size_t capacity;
};

static int look_in_folder(void *context, const char *folder, const char *source, struct error *error)
{
    (void)source;
    const struct lookup *lookup = context;
    char path[PATH_MAX];
    if (file_join(path, sizeof path, folder, lookup->name, NULL) || !has_file(path, lookup->file))
        return 1;
    return catalog_copy_path(lookup->path, lookup->capacity, path, error);
}

/* No folders in it: this is read by clients of the server, too. */
static int not_found(const char *name, struct error *error)
{
    struct catalog catalog;
    const char *near = NULL, **names = NULL;
    if (!error)
        return ERROR_NOT_FOUND;
    if (scan_all(&catalog, true, NULL) == 0)
        names = malloc((catalog.count + 1) * sizeof *names);
    if (names) {
        for (size_t i = 0; i < catalog.count; i++)
            names[i] = catalog.entries[i].name;
        near = near_name(name, names, catalog.count);
    }
    if (near)
        error_set(error, ERROR_NOT_FOUND, "there is no model '%s'; did you mean '%s'?", name, near);
    else
        error_set(error, ERROR_NOT_FOUND,
                  "there is no model '%s'; 'llmind list' and GET /v1/models show what is there", name);
    free(names);
    catalog_free(&catalog);
    return ERROR_NOT_FOUND;
}

static void add_places(struct error *error)
{
    char data[PATH_MAX] = "<no HOME>", hub[PATH_MAX] = "<no HOME>";
    if (!error)
        return;
    places_data(data, sizeof data, NULL);
    places_hub_cache(hub, sizeof hub, NULL);
    const char *path = getenv("LLMIND_MODEL_PATH");
    size_t length = strlen(error->message);
    snprintf(error->message + length, sizeof error->message - length,
             " (it is neither a folder with a config.json nor in %s/models, %s%sthe Hugging Face cache %s)",
             data, path ? path : "", path && *path ? ", " : "", hub);
}

/* As catalog_find; 1 when nothing goes by that name. */
static int find(const char *name, char *path, size_t capacity, struct error *error)
{
    if (strcmp(name, "builtin") == 0) {
        int status = find_builtin(path, capacity, error);
        return status <= 0
                   ? status
                   : error_set(error, ERROR_NOT_FOUND,
                               "the built-in model is not installed: neither share/llmind/builtin nor "
                               "models/builtin lies beside the program; set LLMIND_BUILTIN");
    }
    if (!catalog_name_is_safe(name))
        return error_set(error, ERROR_NOT_FOUND,
                         "'%s' is not a model name; 'llmind list' and GET /v1/models show what is there",
                         name);
    struct lookup lookup = {name, MODEL_FILE, path, capacity};
    int status = each_model_folder(look_in_folder, &lookup, error);
    return status == 1 ? catalog_hub_find(name, path, capacity, error) : status;
}

int catalog_find(const char *name, char *path, size_t capacity, struct error *error)
{
    int status = find(name, path, capacity, error);
    return status == 1 ? not_found(name, error) : status;
}

int catalog_resolve(const char *model, char *path, size_t capacity, struct error *error)
{
    if (strcmp(model, "builtin") != 0 && *model && catalog_is_model(model))
        return catalog_copy_path(path, capacity, model, error);
    bool is_path = model[0] == '/' || strncmp(model, "./", 2) == 0 || strncmp(model, "../", 3) == 0 ||
                   strcmp(model, ".") == 0 || strcmp(model, "..") == 0;
    if (is_path)
        return file_is_folder(model) ? error_set(error, ERROR_NOT_FOUND,
                                                 "the folder '%s' has no config.json: not a model", model)
                                     : error_set(error, ERROR_NOT_FOUND, "there is no folder '%s'", model);
    int status = find(model, path, capacity, error);
    if (status == 1) {
        status = not_found(model, error);
        add_places(error);
    }
    return status;
}

/* ---- adapters ---- */

struct nearest {
    const char *wanted;
    char found[NAME_MAX + 1]; /* "": nothing near so far */
};

static int keep_nearest(void *context, const char *name, const char *path, struct error *error)
{
    (void)error;
    struct nearest *nearest = context;
    const char *const candidates[] = {name, nearest->found};
    if (!has_file(path, ADAPTER_FILE))
        return 0;
    if (near_name(nearest->wanted, candidates, nearest->found[0] ? 2 : 1) == name)
        snprintf(nearest->found, sizeof nearest->found, "%s", name);
    return 0;
}

static int look_for_near(void *context, const char *folder, const char *source, struct error *error)
{
    (void)source;
    int status = catalog_each_folder(folder, keep_nearest, context, error);
    return status ? status : 1;
}

/* No folders in it, either. */
static int no_adapter(const char *name, struct error *error)
{
    struct nearest nearest = {.wanted = name};
    each_model_folder(look_for_near, &nearest, NULL);
    if (nearest.found[0])
        return error_set(error, ERROR_NOT_FOUND, "there is no adapter '%s'; did you mean '%s'?", name,
                         nearest.found);
    return error_set(error, ERROR_NOT_FOUND,
                     "there is no adapter '%s': its folder, as mlx_lm.lora writes it, belongs in 'models' "
                     "in the data folder, or in a folder that LLMIND_MODEL_PATH names",
                     name);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written to, through lookup */
int catalog_find_adapter(const char *name, char *path, size_t capacity, struct error *error)
{
    struct lookup lookup = {name, ADAPTER_FILE, path, capacity};
    int status = catalog_adapter_name_is_safe(name) ? each_model_folder(look_in_folder, &lookup, error) : 1;
    return status == 1 ? no_adapter(name, error) : status;
}
