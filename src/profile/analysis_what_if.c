/* What-if behind a run: the coefficients it forecast, anchored by what it measured. Reads the report alone.
 */
#include <math.h>

#include "profile/analysis_internal.h"
#include "profile/json_get.h"
#include "profile/what_if.h"

/* The decode test at the least depth: the step that everything is scaled to. */
static const json_t *anchor_test(const json_t *report)
{
    const json_t *tests = json_get_array(report, "tests"), *best = NULL;
    double least = INFINITY;
    for (size_t i = 0; i < json_get_count(tests, "") && i < 256; i++) {
        const json_t *test = json_get_item(tests, i);
        double depth = json_get_positive(test, "depth");
        if (json_get_is(test, "kind", "decode") && json_get_positive(test, "summary.tpot_ms.median") > 0 &&
            depth < least) {
            least = depth;
            best = test;
        }
    }
    return best;
}

json_t *analysis_what_if(const json_t *report, const json_t *two_term, const char **reason)
{
    struct what_if what_if;
    const json_t *test = anchor_test(report);
    *reason = json_get_object(report, "predicted")
                  ? (test ? "the forecast of this run cannot be read" : "no decode test ended well")
                  : json_get_reason(report, "predicted", "this report has no forecast");
    if (!test || !what_if_from_json(json_get_object(report, "predicted.what_if"), &what_if))
        return json_null();
    uint32_t kv_bits = (uint32_t)json_get_integer(report, "flags.kv_bits", 8, 32, 16);
    double context = json_get_positive(test, "samples.0.prompt_tokens") +
                     json_get_positive(test, "samples.0.generated_tokens") / 2;
    if (isnan(context))
        context = json_get_positive(test, "depth");
    what_if_anchor(&what_if, json_get_positive(test, "summary.tpot_ms.median"), context, kv_bits,
                   json_get_positive(two_term, "bandwidth_gbps"), json_get_positive(two_term, "fixed_ms"));
    return what_if_json(&what_if, (uint32_t)fmin(context, 1e9), kv_bits);
}
