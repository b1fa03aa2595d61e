/* Where things lie: the data folder, the cache folder and the Hugging Face cache, from the environment.
 *
 * Each function writes a path (which need not exist) and returns 0, or an error: ERROR_NOT_FOUND when neither
 * the variable nor $HOME is set, ERROR_LIMIT when the path is too long. */
#ifndef LLMIND_PLATFORM_PLACES_H
#define LLMIND_PLATFORM_PLACES_H

#include <stddef.h>

#include "base/error.h"

/* $LLMIND_DATA_DIR, else $XDG_DATA_HOME/llmind, else ~/.local/share/llmind. */
int places_data(char *out, size_t capacity, struct error *error);
/* What can be made again when it is deleted: $LLMIND_CACHE_DIR, else $XDG_CACHE_HOME/llmind, else
 * ~/.cache/llmind. */
int places_cache(char *out, size_t capacity, struct error *error);
/* $HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub: the
 * order huggingface_hub itself uses. */
int places_hub_cache(char *out, size_t capacity, struct error *error);
/* What huggingface_hub keeps beside that cache (the user's token): $HF_HOME, else
 * $XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface. */
int places_hub_home(char *out, size_t capacity, struct error *error);

#endif
