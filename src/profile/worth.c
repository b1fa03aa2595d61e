#include "profile/worth.h"

#include <jansson.h>
#include <stdio.h>

#include "profile/estimate.h"
#include "profile/format.h"
#include "profile/json_get.h"

static int judge(const json_t *answer, bool forced, const char *overrule, char *note, struct error *error)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];
    bool fits = !json_get_is(answer, "memory.fit", "does_not_fit");
    double total = json_get_positive(answer, "memory.total_bytes");
    double available = json_get_positive(answer, "memory.available_bytes");
    if (!json_get_bool(answer, "supported", false)) {
        const char *reason = json_get_text(answer, "supported_reason", "its architecture is not known here");
        snprintf(note, WORTH_NOTE, "this model cannot be run here: %s", reason);
        return forced ? 0
                      : error_set(error, ERROR_UNSUPPORTED, "not fetched: %s (%s fetches it all the same)",
                                  reason, overrule);
    }
    snprintf(note, WORTH_NOTE, "%s, %s: needs about %s of memory, %s",
             json_get_text(answer, "architecture", "?"), json_get_text(answer, "quantization", "?"),
             format_bytes(a, total),
             !fits                                        ? "does not fit"
             : json_get_is(answer, "memory.fit", "tight") ? "fits, but tightly"
             : json_get_is(answer, "memory.fit", "fits")  ? "fits"
                                                          : "whether it fits is not known");
    if (fits || forced)
        return 0;
    return error_set(error, ERROR_LIMIT,
                     "not fetched: it needs about %s of memory and %s are available here (%s fetches it all "
                     "the same)",
                     format_bytes(a, total), format_bytes(b, available), overrule);
}

int worth_fetching(const char *config, const char *model, bool forced, const char *overrule,
                   char note[WORTH_NOTE], struct error *error)
{
    json_t *answer = NULL;
    struct error own = {0};
    int status = estimate_path(config, model, &(struct estimate_options){.concurrency = 1}, 0,
                               ESTIMATE_PACE_KEPT, &answer, &own);
    note[0] = '\0';
    if (!status) {
        status = judge(answer, forced, overrule, note, error);
    } else if (forced && status != ERROR_MEMORY) {
        snprintf(note, WORTH_NOTE, "this model cannot be run here: %.200s", own.message);
        status = 0;
    } else {
        error_set(error, status, "not fetched: config.json: %s", own.message);
    }
    json_decref(answer);
    error_set(&own, ERROR_INVALID, "%s", note); /* cut inside a character, perhaps */
    snprintf(note, WORTH_NOTE, "%.*s", WORTH_NOTE - 1, own.message);
    return status;
}
