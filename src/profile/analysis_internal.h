/* The parts of an analysis, each from the facts and what was found. Internal to src/profile. New references;
 * NULL: memory. */
#ifndef LLMIND_PROFILE_ANALYSIS_INTERNAL_H
#define LLMIND_PROFILE_ANALYSIS_INTERNAL_H

#include <jansson.h>

#include "profile/diagnose.h"

json_t *analysis_summary(const struct facts *facts);
json_t *analysis_strengths(const struct facts *facts, const struct findings *findings);
json_t *analysis_recommendations(const struct facts *facts, const struct findings *findings);
json_t *analysis_quality(const struct facts *facts, const struct findings *findings);

/* The report's "analysis.what_if" (new reference), or JSON null with *reason; NULL: memory. */
json_t *analysis_what_if(const json_t *report, const json_t *two_term, const char **reason);

#endif
