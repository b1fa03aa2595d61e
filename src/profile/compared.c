#include "profile/compared.h"

#include <stdbool.h>
#include <string.h>

#include "profile/json_get.h"

static const struct figure {
    const char *id, *name, *member; /* member: where its "stats" is */
} FIGURES[] = {
    {"tokens_per_second", "tok/s", "tokens_per_second"}, /* the first is the fallback */
    {"decode_tokens_per_second", "decode tok/s", "decode_tokens_per_second"},
    {"aggregate_decode_tokens_per_second", "total tok/s", "tokens_per_second"},
    {"prefill_tokens_per_second", "prefill tok/s", "prefill_tokens_per_second"},
    {"ttft_ms", "TTFT ms", "ttft_ms"},
};

static const struct figure *figure_of(const json_t *configuration)
{
    for (size_t i = 0; i < sizeof FIGURES / sizeof *FIGURES; i++)
        if (json_get_is(configuration, "compared", FIGURES[i].id))
            return &FIGURES[i];
    return &FIGURES[0];
}

const char *compared_name(const json_t *configuration)
{
    return figure_of(configuration)->name;
}

const json_t *compared_value(const json_t *configuration)
{
    return json_get_object(configuration, figure_of(configuration)->member);
}

const json_t *compared_baseline(const json_t *report, const json_t *configuration)
{
    const json_t *own = json_get_object(configuration, "compared_baseline");
    if (own || json_get_string(configuration, "compared"))
        return own;
    return compared_value(json_get_where(report, "configurations", "id", "baseline"));
}

int compared_verdict(const json_t *configuration)
{
    bool less_is_better = json_get_is(configuration, "better", "lower");
    if (json_get_is(configuration, "verdict", "higher"))
        return less_is_better ? -1 : 1;
    if (json_get_is(configuration, "verdict", "lower"))
        return less_is_better ? 1 : -1;
    return 0;
}
