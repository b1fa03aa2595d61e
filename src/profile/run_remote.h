/* What a report says otherwise of a server than of a model of this machine. */
#ifndef LLMIND_PROFILE_RUN_REMOTE_H
#define LLMIND_PROFILE_RUN_REMOTE_H

#include <jansson.h>

struct run;

/* The protocol's greedy, ignore_eos and cold_prompts: what was sent and not refused, and what the server let
 * us see; what is not known is null with its reason. */
void run_remote_protocol(const struct run *run, json_t *protocol);
/* tests: run_tests_json's. Makes null, with its reason, what this server did not report or show: cached
 * tokens, gaps between tokens. */
void run_remote_tests(const struct run *run, json_t *tests);

#endif
