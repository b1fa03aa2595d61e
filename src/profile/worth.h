/* Whether a model is worth fetching: what the estimate of its configuration says, before its weights come.
 * Whoever downloads asks this, and says itself how it may be overruled. */
#ifndef LLMIND_PROFILE_WORTH_H
#define LLMIND_PROFILE_WORTH_H

#include <stdbool.h>

#include "base/error.h"

enum { WORTH_NOTE = 256 }; /* bytes of a note */

/* 0: worth fetching, or forced; note says what the model is, what it needs and whether that fits, or why it
 * cannot be run. config: path of a config.json. overrule: how the user can have it all the same ("--force"),
 * for messages. Errors: ERROR_UNSUPPORTED, ERROR_LIMIT (does not fit), those of estimate_path but when
 * forced, ERROR_MEMORY. Measures nothing; any thread. */
int worth_fetching(const char *config, const char *model, bool forced, const char *overrule,
                   char note[WORTH_NOTE], struct error *error);

#endif
