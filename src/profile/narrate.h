/* The analysis of a report in a model's words, and whether those words can be believed.
 *
 * The model gets a few lines of figures and of what the analysis concluded from them. Of what it answers only
 * those sentences are kept whose every figure stands in these lines, and that name no other bottleneck than
 * the analysis does: a small model may say anything, and what is shown beside measured figures must be them.
 */
#ifndef LLMIND_PROFILE_NARRATE_H
#define LLMIND_PROFILE_NARRATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { NARRATE_TOKENS = 400, NARRATE_SENTENCES = 40 };

/* The question: lines "name: value" of what is known. short_form: those figures alone that the built-in model
 * was taught (models/builtin/corpus/gen_reports.py). malloc'ed; NULL: memory is short. ERROR_UNSUPPORTED in
 * *error and NULL: there is no analysis to put into words (a comparison, a run that measured nothing). */
char *narrate_figures(const json_t *report, bool short_form, struct error *error);

/* OpenAI-style messages that ask for it. malloc'ed; NULL: memory. */
char *narrate_messages(const char *figures, bool short_form);

/* The answer, sentence by sentence: {"text": what is kept, or null with "text_reason", "sentences": [{"text",
 * "kept", "reason"}], "left_out": n}. A new reference; NULL: memory. */
json_t *narrate_check(const json_t *report, const char *figures, const char *answer);

#endif
