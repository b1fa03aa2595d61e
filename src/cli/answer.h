/* One answer, streamed to the user while it comes: what generate and chat share. */
#ifndef LLMIND_CLI_ANSWER_H
#define LLMIND_CLI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "engine/engine.h"

struct cli_answer {
    char *text; /* all of it, owned; never NULL after cli_answer_stream */
    size_t length;
    enum engine_finish finish;
    struct engine_timings timings;
};

/* Submits and reads to the end. stream: where pieces are shown as they come, or NULL. Ctrl-C (cli_interrupts)
 * cancels it; the finish is then FINISH_CANCELLED and the result 0. Errors: those of engine_submit, and what
 * FINISH_ERROR carries. */
int cli_answer_stream(struct engine *engine, const struct engine_submit *submit, FILE *stream,
                      struct cli_answer *out, struct error *error);
void cli_answer_free(struct cli_answer *answer);

/* "128 tokens · 41.2 tok/s decode · TTFT 95.0 ms" */
void cli_answer_stats_line(const struct cli_answer *answer, char *out, size_t capacity);
double cli_answer_decode_tps(const struct cli_answer *answer); /* NaN: fewer than two tokens */
double cli_answer_prefill_tps(const struct cli_answer *answer);
double cli_answer_ttft_ms(const struct cli_answer *answer);
const char *cli_answer_finish_name(enum engine_finish finish); /* "stop", "length", "cancelled", "error" */

#endif
