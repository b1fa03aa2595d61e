/* One answer, streamed to the user while it comes: what generate and chat share. */
#ifndef LLMIND_CLI_ANSWER_H
#define LLMIND_CLI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "engine/engine.h"

struct answer {
    char *text; /* all of it, owned; never NULL after answer_stream */
    size_t length;
    enum engine_finish finish;
    struct engine_timings timings;
};

/* Submits and reads to the end. stream: where pieces are shown as they come, or NULL. Ctrl-C (cli_interrupts)
 * cancels it; the finish is then FINISH_CANCELLED and the result 0. Errors: those of engine_submit, and what
 * FINISH_ERROR carries. */
int answer_stream(struct engine *engine, const struct engine_submit *submit, FILE *stream, struct answer *out,
                  struct error *error);
void answer_free(struct answer *answer);

/* "128 tokens · 41.2 tok/s decode · TTFT 95.0 ms" */
void answer_stats_line(const struct answer *answer, char *out, size_t capacity);
double answer_decode_tps(const struct answer *answer); /* NaN: fewer than two tokens */
double answer_prefill_tps(const struct answer *answer);
double answer_ttft_ms(const struct answer *answer);
const char *answer_finish_name(enum engine_finish finish); /* "stop", "length", "cancelled", "error" */

#endif
