#include "model/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "model/json_file.h"

static const char INDEX_NAME[] = "model.safetensors.index.json";
static const char SUFFIX[] = ".safetensors";

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* A file of the folder itself: nothing that leads elsewhere. */
static bool is_plain_name(const char *name)
{
    return name[0] != '.' && !strchr(name, '/') && !strchr(name, '\\') && strlen(name) <= 255 &&
           ends_with(name, SUFFIX);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

/* Copies the distinct ones of a list of names into the arena. */
static int set_files(struct checkpoint *checkpoint, const char **names, size_t n_names, struct error *error)
{
    qsort(names, n_names, sizeof *names, by_text);
    size_t distinct = 0;
    for (size_t i = 0; i < n_names; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            names[distinct++] = names[i];
    if (distinct > CHECKPOINT_MAX_FILES)
        return error_set(error, ERROR_LIMIT, "the model has more than %d weight files", CHECKPOINT_MAX_FILES);
    checkpoint->file_names = arena_alloc(checkpoint->arena, distinct, sizeof *checkpoint->file_names);
    checkpoint->maps = arena_alloc(checkpoint->arena, distinct, sizeof *checkpoint->maps);
    if (!checkpoint->file_names || !checkpoint->maps)
        return error_memory(error, "the list of weight files", distinct);
    for (size_t i = 0; i < distinct; i++) {
        checkpoint->file_names[i] = arena_strdup(checkpoint->arena, names[i]);
        if (!checkpoint->file_names[i])
            return error_memory(error, "the list of weight files", distinct);
    }
    checkpoint->n_files = (uint32_t)distinct;
    return 0;
}

static int list_index_files(struct checkpoint *checkpoint, const json_t *weight_map, struct error *error)
{
    size_t n = 0, count = json_object_size(weight_map);
    if (count == 0)
        return error_set(error, ERROR_INVALID, "%s: weight_map must name the weights", INDEX_NAME);
    const char **names = calloc(count, sizeof *names);
    if (!names)
        return error_memory(error, INDEX_NAME, count);
    int status = 0;
    const char *weight;
    json_t *value;
    json_object_foreach((json_t *)weight_map, weight, value) {
        const char *name = json_string_value(value);
        if (!name || !is_plain_name(name)) {
            status = error_set(error, ERROR_INVALID,
                               "%s: %.200s must name a .safetensors file inside the model folder, not %.200s",
                               INDEX_NAME, weight, name ? name : "something else");
            break;
        }
        names[n++] = name;
    }
    if (status == 0)
        status = set_files(checkpoint, names, n, error);
    free(names);
    return status;
}

static int list_folder_files(struct checkpoint *checkpoint, const char *folder, struct error *error)
{
    DIR *directory = opendir(folder);
    if (!directory)
        return error_set(error, ERROR_IO, "%s: %s", folder, strerror(errno));
    const char *names[CHECKPOINT_MAX_FILES];
    size_t n = 0;
    int status = 0;
    for (struct dirent *entry; status == 0 && (entry = readdir(directory));) {
        if (strncmp(entry->d_name, "model", 5) != 0 || !ends_with(entry->d_name, SUFFIX))
            continue;
        if (n == CHECKPOINT_MAX_FILES)
            status = error_set(error, ERROR_LIMIT, "%s has more than %d weight files", folder,
                               CHECKPOINT_MAX_FILES);
        else if (!(names[n++] = arena_strdup(checkpoint->arena, entry->d_name)))
            status = error_memory(error, "the list of weight files", n);
    }
    closedir(directory);
    if (status == 0 && n == 0)
        status = error_set(error, ERROR_NOT_FOUND, "%s has no model*.safetensors", folder);
    if (status == 0)
        status = set_files(checkpoint, names, n, error);
    return status;
}

static int open_file(struct checkpoint *checkpoint, const char *folder, uint32_t index,
                     struct tensor **tensors, uint32_t *n_tensors, struct error *error)
{
    char path[4096];
    const char *name = checkpoint->file_names[index];
    int status = file_join(path, sizeof path, folder, name, error);
    if (status)
        return status;
    status = file_map_open(path, &checkpoint->maps[index], error);
    if (status)
        return status;
    checkpoint->n_open = index + 1;
    checkpoint->file_bytes += checkpoint->maps[index].length;
    return safetensors_parse(&checkpoint->maps[index], name, checkpoint->arena, tensors, n_tensors, error);
}

/* Appends the tensors of one file to the table. */
static int append(struct checkpoint *checkpoint, const struct tensor *tensors, uint32_t n_tensors,
                  struct tensor **table, struct error *error)
{
    size_t total = (size_t)checkpoint->n_tensors + n_tensors, bytes;
    if (total > SAFETENSORS_MAX_TENSORS)
        return error_set(error, ERROR_LIMIT, "the model has more than %d tensors", SAFETENSORS_MAX_TENSORS);
    if (n_tensors == 0)
        return 0;
    struct tensor *larger = checked_mul(total, sizeof **table, &bytes) ? realloc(*table, bytes) : NULL;
    if (!larger)
        return error_memory(error, "the tensor table", total * sizeof **table);
    memcpy(larger + checkpoint->n_tensors, tensors, n_tensors * sizeof *tensors);
    *table = larger;
    checkpoint->n_tensors = (uint32_t)total;
    return 0;
}

/* Sorts the table by name and moves it into the arena. */
static int settle(struct checkpoint *checkpoint, const struct tensor *table, struct error *error)
{
    uint32_t n = checkpoint->n_tensors;
    struct tensor *tensors = arena_alloc(checkpoint->arena, n, sizeof *tensors);
    if (!tensors)
        return error_memory(error, "the tensor table", n * sizeof *tensors);
    if (table)
        memcpy(tensors, table, n * sizeof *tensors);
    qsort(tensors, n, sizeof *tensors, by_name);
    for (uint32_t i = 1; i < n; i++)
        if (by_name(&tensors[i - 1], &tensors[i]) == 0)
            return error_set(error, ERROR_INVALID, "tensor %.200s is in both %s and %s", tensors[i].name,
                             tensors[i - 1].file, tensors[i].file);
    checkpoint->tensors = tensors;
    return 0;
}

static int open_files(struct checkpoint *checkpoint, const char *folder, struct error *error)
{
    struct tensor *table = NULL;
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < checkpoint->n_files; i++) {
        struct tensor *tensors = NULL;
        uint32_t n_tensors = 0;
        status = open_file(checkpoint, folder, i, &tensors, &n_tensors, error);
        if (status == 0)
            status = append(checkpoint, tensors, n_tensors, &table, error);
    }
    if (status == 0)
        status = settle(checkpoint, table, error);
    free(table);
    return status;
}

static int check_index(const struct checkpoint *checkpoint, const json_t *weight_map, struct error *error)
{
    const char *weight;
    json_t *value;
    json_object_foreach((json_t *)weight_map, weight, value) {
        const struct tensor *tensor = checkpoint_find(checkpoint, weight);
        if (!tensor || strcmp(tensor->file, json_string_value(value)) != 0)
            return error_set(error, ERROR_INVALID, "%s says that %.200s is in %s, and it is not", INDEX_NAME,
                             weight, json_string_value(value));
    }
    return 0;
}

int checkpoint_open(struct checkpoint *checkpoint, const char *folder, struct arena *arena,
                    struct error *error)
{
    *checkpoint = (struct checkpoint){.arena = arena};
    json_t *index = NULL;
    const json_t *weight_map = NULL;
    int status = json_file_read(folder, INDEX_NAME, &index, error);
    if (status == ERROR_NOT_FOUND) {
        status = list_folder_files(checkpoint, folder, error);
    } else if (status == 0) {
        weight_map = json_object_get(index, "weight_map");
        status = list_index_files(checkpoint, weight_map, error);
    }
    if (status == 0)
        status = open_files(checkpoint, folder, error);
    if (status == 0 && weight_map)
        status = check_index(checkpoint, weight_map, error);
    json_decref(index);
    return status;
}

int checkpoint_open_file(struct checkpoint *checkpoint, const char *folder, const char *name,
                         struct arena *arena, struct error *error)
{
    *checkpoint = (struct checkpoint){.arena = arena};
    const char *names[] = {name};
    int status = set_files(checkpoint, names, 1, error);
    return status ? status : open_files(checkpoint, folder, error);
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    for (uint32_t i = 0; i < checkpoint->n_open; i++)
        file_map_close(&checkpoint->maps[i]);
    checkpoint->n_open = 0;
}

struct tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name)
{
    struct tensor key = {.name = name};
    if (checkpoint->n_tensors == 0)
        return NULL;
    return bsearch(&key, checkpoint->tensors, checkpoint->n_tensors, sizeof key, by_name);
}
