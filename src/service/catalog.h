/* Which models there are, and where.
 *
 * A model is a folder with a config.json. Folders are looked for in four places: the built-in model
 * ($LLMIND_BUILTIN, else share/llmind/builtin or models/builtin beside the program), <data>/models, the
 * folders named in $LLMIND_MODEL_PATH (colons between), and the Hugging Face cache. Names are never paths: a
 * name with
 * "..", an empty part or a leading slash finds nothing, so whatever accepts catalogue names only (HTTP)
 * cannot be led out of these folders. No state; any thread.
 */
#ifndef LLMIND_SERVICE_CATALOG_H
#define LLMIND_SERVICE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/model.h"

struct catalog_entry {
    char *name; /* what to type: "builtin", "tiny-llama", "mlx-community/Qwen3-0.6B-4bit" */
    char *path;
    const char *source;           /* "builtin", "data", "path", "hub", "command line" */
    struct model_summary summary; /* all zero when problem is set */
    char *problem;                /* why it cannot be used, or NULL */
};

struct catalog {
    struct catalog_entry *entries;
    size_t count, capacity;
    bool names_only; /* private: no model is looked into, which takes time where there are many */
};

/* Everything there is, places in the order above, each sorted by name. A place that does not exist is empty;
 * a model that cannot be read is listed with its problem. Zero-initialise, free with catalog_free. */
int catalog_scan(struct catalog *catalog, struct error *error);
void catalog_free(struct catalog *catalog);
/* Adds the model that serves, unless it is there: one that the command line named by its folder is in no
 * place but answers all the same. */
int catalog_add_served(struct catalog *catalog, const char *name, const char *path, struct error *error);

/* Writes the folder of a model named as in the list (a hub id may end in @REVISION). ERROR_NOT_FOUND says
 * what was looked for and which name is near, and no folder: clients of the server read it. */
int catalog_find(const char *name, char *path, size_t capacity, struct error *error);

/* The same for a LoRA adapter (model/adapter.h): a folder with an adapter_config.json among the models, which
 * are those in <data>/models and in the folders of $LLMIND_MODEL_PATH; the Hugging Face cache is not looked
 * into. ERROR_NOT_FOUND as above. */
int catalog_find_adapter(const char *name, char *path, size_t capacity, struct error *error);

/* As catalog_find, and a folder with a config.json is taken too: what the command line means by MODEL.
 * ERROR_NOT_FOUND also says where was looked. */
int catalog_resolve(const char *model, char *path, size_t capacity, struct error *error);

/* True for names that could be in a catalogue: parts of [A-Za-z0-9._-] and other printable bytes with single
 * slashes between, none of them "." or "..". */
bool catalog_name_is_safe(const char *name);
/* The same for an adapter: one part, which is all that reports keep of its name. */
bool catalog_adapter_name_is_safe(const char *name);

#endif
