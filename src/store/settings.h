/* Settings in the database: keys and JSON values, whatever they mean (service/settings.h knows). */
#ifndef LLMIND_STORE_SETTINGS_H
#define LLMIND_STORE_SETTINGS_H

#include <stddef.h>

#include "store/store.h"

struct store_setting {
    const char *key;
    const char *value; /* JSON text; NULL: not set, or to be removed */
};

int store_settings_read(struct store *store,
                        int (*visit)(void *context, const struct store_setting *setting, struct error *error),
                        void *context, struct error *error);
/* All of them or none. */
int store_settings_write(struct store *store, const struct store_setting *settings, size_t n,
                         struct error *error);

#endif
