/* Which settings there are. */
#ifndef LLMIND_SERVICE_SETTINGS_TABLE_H
#define LLMIND_SERVICE_SETTINGS_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum setting_type { SETTING_NUMBER, SETTING_INTEGER, SETTING_STRING, SETTING_CHOICE };

struct setting_row {
    const char *key;
    enum setting_type type;
    double minimum, maximum; /* numbers; of a string: its bytes, at most */
    const char *choices;     /* "a|b|c" */
    const char *fallback;    /* the default, as JSON; "null": none, what that means is in the description */
    const char *takes_effect;
    const char *description;
};
extern const struct setting_row setting_rows[];
extern const size_t n_setting_rows;

/* NULL: there is none. */
const struct setting_row *setting_find(const char *key);
/* ERROR_INVALID with what would be right. null is not looked at here. */
int setting_check(const struct setting_row *row, const json_t *value, struct error *error);
/* As settings_read shows it; NULL when memory is short. */
json_t *setting_describe(const struct setting_row *row);

#endif
