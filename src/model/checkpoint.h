/* All weights of a model folder as one table of tensors, whichever and however many files they lie in.
 *
 * With model.safetensors.index.json the files are those it names (plain names inside the folder), and every
 * weight must be in the file the index says. Without it they are model*.safetensors, as mlx-lm takes them.
 */
#ifndef LLMIND_MODEL_CHECKPOINT_H
#define LLMIND_MODEL_CHECKPOINT_H

#include "model/safetensors.h"

enum { CHECKPOINT_MAX_FILES = 4096 };

struct checkpoint {
    struct arena *arena; /* borrowed */
    struct file_map *maps;
    const char **file_names; /* sorted, distinct */
    uint32_t n_files, n_open;
    struct tensor *tensors; /* sorted by name, distinct */
    uint32_t n_tensors;
    uint64_t file_bytes;
};

/* Maps the files and reads their headers. *checkpoint must be closed even after a failure. */
int checkpoint_open(struct checkpoint *checkpoint, const char *folder, struct arena *arena,
                    struct error *error);
/* The same of one file of the folder. */
int checkpoint_open_file(struct checkpoint *checkpoint, const char *folder, const char *name,
                         struct arena *arena, struct error *error);
void checkpoint_close(struct checkpoint *checkpoint);

/* NULL when there is none of that name. */
struct tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name);

#endif
