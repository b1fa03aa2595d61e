#include "hub/choose.h"

#include <stdlib.h>
#include <string.h>

#include "hub/names.h"

static const char INDEX_NAME[] = "model.safetensors.index.json";

static bool begins_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

enum hub_role hub_role_of(const char *name)
{
    static const char *const small[] = {"generation_config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "tokenizer.model",
                                        "chat_template.jinja",
                                        "chat_template.json",
                                        "README.md",
                                        "LICENSE",
                                        "LICENSE.md",
                                        "LICENSE.txt",
                                        "NOTICE"};
    if (!hub_file_is_plain(name))
        return HUB_ROLE_NONE;
    if (strcmp(name, "config.json") == 0)
        return HUB_ROLE_CONFIG;
    if (strcmp(name, INDEX_NAME) == 0)
        return HUB_ROLE_INDEX;
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        if (strcmp(name, small[i]) == 0)
            return HUB_ROLE_SMALL;
    return ends_with(name, ".safetensors") ? HUB_ROLE_WEIGHTS : HUB_ROLE_NONE;
}

uint64_t hub_role_max_bytes(enum hub_role role)
{
    switch (role) {
    case HUB_ROLE_WEIGHTS:
        return HUB_MAX_FILE_BYTES;
    case HUB_ROLE_CONFIG:
    case HUB_ROLE_INDEX:
    case HUB_ROLE_SMALL:
        return (uint64_t)64 << 20;
    case HUB_ROLE_NONE:
    default:
        return 0;
    }
}

static bool is_shard(const char *name, char *const *shards, size_t n_shards)
{
    if (!shards)
        return begins_with(name, "model");
    for (size_t i = 0; i < n_shards; i++)
        if (strcmp(shards[i], name) == 0)
            return true;
    return false;
}

/* What stands in the repository instead of weights that could be used. */
static const char *instead(const struct hub_listing *listing)
{
    static const char *const kinds[][2] = {
        {".gguf", "GGUF files"},
        {".bin", "PyTorch pickles (.bin), which are programs and are never fetched"},
        {".pth", "PyTorch pickles (.pth), which are programs and are never fetched"},
        {".pt", "PyTorch pickles (.pt), which are programs and are never fetched"},
        {".ckpt", "PyTorch pickles (.ckpt), which are programs and are never fetched"},
        {".onnx", "ONNX files"},
        {".npz", "weights of an old MLX form (.npz)"},
        {".safetensors", "safetensors in other places or under other names"}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 0; i < listing->n_files; i++)
            if (ends_with(listing->files[i].name, kinds[k][0]))
                return kinds[k][1];
    return "no weights at all";
}

static int check(const struct hub_listing *listing, char *const *shards, size_t n_shards, size_t n_weights,
                 bool any_model, struct error *error)
{
    if (!hub_listing_find(listing, "config.json"))
        return error_set(error, ERROR_UNSUPPORTED,
                         "the repository has no config.json: it is not a model in MLX or transformers form");
    for (size_t i = 0; i < n_shards; i++)
        if (!hub_listing_find(listing, shards[i]))
            return error_set(error, ERROR_INVALID, "%s names %.120s, which the repository does not have",
                             INDEX_NAME, shards[i]);
    if (n_weights == 0)
        return error_set(error, ERROR_UNSUPPORTED,
                         "the repository has no model*.safetensors; what it has: %s. MLX conversions of many "
                         "models are under mlx-community",
                         instead(listing));
    if (!any_model && !hub_listing_find(listing, "tokenizer.json"))
        return error_set(error, ERROR_UNSUPPORTED,
                         "the repository has no tokenizer.json, without which a model cannot be run here "
                         "(--force fetches it all the same)");
    return 0;
}

/* Small files first, so that what can be wrong shows before gigabytes have come. */
static int by_role(const void *a, const void *b)
{
    const struct hub_file *x = a, *y = b;
    enum hub_role rx = hub_role_of(x->name), ry = hub_role_of(y->name);
    return rx != ry ? (int)rx - (int)ry : strcmp(x->name, y->name);
}

int hub_choose(const struct hub_listing *listing, char *const *shards, size_t n_shards, bool any_model,
               struct hub_choice *out, struct error *error)
{
    *out = (struct hub_choice){.n_files = 0};
    struct hub_file *files = calloc(listing->n_files + 1, sizeof *files);
    if (!files)
        return error_memory(error, "the list of files", listing->n_files * sizeof *files);
    size_t n_weights = 0;
    int status = 0;
    for (size_t i = 0; !status && i < listing->n_files; i++) {
        const struct hub_file *file = &listing->files[i];
        enum hub_role role = hub_role_of(file->name);
        if (role == HUB_ROLE_NONE || (role == HUB_ROLE_WEIGHTS && !is_shard(file->name, shards, n_shards)))
            continue;
        if (file->bytes > hub_role_max_bytes(role))
            status =
                error_set(error, ERROR_LIMIT, "%.120s has %llu bytes, which is more than such a file may",
                          file->name, (unsigned long long)file->bytes);
        n_weights += role == HUB_ROLE_WEIGHTS;
        files[out->n_files++] = *file;
        out->total_bytes += file->bytes; /* 20,000 files of 4 TiB fit */
    }
    if (!status)
        status = check(listing, shards, n_shards, n_weights, any_model, error);
    if (status) {
        free(files);
        *out = (struct hub_choice){.n_files = 0};
        return status;
    }
    qsort(files, out->n_files, sizeof *files, by_role);
    out->files = files;
    return 0;
}

void hub_choice_free(struct hub_choice *choice)
{
    free(choice->files);
    *choice = (struct hub_choice){.n_files = 0};
}
