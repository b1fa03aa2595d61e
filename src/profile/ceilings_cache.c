#include "profile/ceilings_cache.h"

#include "profile/cache_file.h"
#include "profile/json_get.h"

enum { FRESH_S = 24 * 3600 };

/* What whoever reads the report relies on. */
static bool is_whole(const json_t *ceilings)
{
    static const char *const names[] = {"memory_read", "cache_read", "int8", "f32"};
    if (!json_get_string(ceilings, "measured") || !json_get_string(ceilings, "isa"))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *ceiling = json_get_object(ceilings, names[i]);
        if (!json_get_string(ceiling, "unit") || !json_get_string(ceiling, "method") ||
            !json_get_array(ceiling, "samples") || !json_get(ceiling, "value"))
            return false;
    }
    return true;
}

json_t *ceilings_recall(const char *key, int64_t now_s)
{
    int64_t at_s = 0;
    json_t *ceilings = cache_file_recall("ceilings", key, &at_s, NULL);
    if (ceilings && at_s <= now_s && now_s - at_s < FRESH_S && is_whole(ceilings))
        return ceilings;
    json_decref(ceilings);
    return NULL;
}

void ceilings_remember(const char *key, int64_t now_s, const json_t *ceilings)
{
    (void)cache_file_remember("ceilings", key, now_s, ceilings, NULL);
}
