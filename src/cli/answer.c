#include "cli/answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session.h"
#include "cli/terminal.h"
#include "profile/format.h"

enum { POLL_MS = 100 };

static bool append(struct cli_answer *answer, size_t *capacity, const char *text, size_t n)
{
    if (answer->length + n + 1 > *capacity) {
        size_t larger = 2 * (answer->length + n) + 256;
        char *more = realloc(answer->text, larger);
        if (!more)
            return false;
        answer->text = more;
        *capacity = larger;
    }
    memcpy(answer->text + answer->length, text, n);
    answer->length += n;
    answer->text[answer->length] = '\0';
    return true;
}

int cli_answer_stream(struct engine *engine, const struct engine_submit *submit, FILE *stream,
                      struct cli_answer *out, struct error *error)
{
    memset(out, 0, sizeof *out);
    struct engine_request *request = NULL;
    size_t capacity = 0;
    int status = append(out, &capacity, "", 0) ? 0 : error_memory(error, "an answer", 256);
    if (!status)
        status = engine_submit(engine, submit, &request, error);
    bool cancelled = false;
    struct engine_event event;
    for (int got = 0; !status && got >= 0;) {
        if (!cancelled && atomic_load(&cli_interrupts)) {
            engine_cancel(request);
            cancelled = true;
        }
        got = engine_next_event(request, &event, POLL_MS);
        if (got != 1 || event.kind == EVENT_PREFILL)
            continue;
        if (!append(out, &capacity, event.text, event.text_length))
            status = error_memory(error, "an answer", capacity);
        if (stream && event.text_length) {
            terminal_write_text(stream, event.text, event.text_length);
            fflush(stream);
        }
        if (event.kind == EVENT_FINISH) {
            out->finish = event.finish;
            out->timings = event.timings;
            if (event.finish == FINISH_ERROR)
                status = error_set(error, event.error.code, "%s", event.error.message);
        }
    }
    engine_request_release(request);
    return status;
}

void cli_answer_free(struct cli_answer *answer)
{
    free(answer->text);
    memset(answer, 0, sizeof *answer);
}

double cli_answer_ttft_ms(const struct cli_answer *answer)
{
    const struct engine_timings *t = &answer->timings;
    return t->generated_tokens ? (double)(t->first_token_ns - t->accepted_ns) / 1e6 : NAN;
}

double cli_answer_decode_tps(const struct cli_answer *answer)
{
    const struct engine_timings *t = &answer->timings;
    if (t->generated_tokens < 2 || t->last_token_ns <= t->first_token_ns)
        return NAN;
    return (t->generated_tokens - 1) / ((double)(t->last_token_ns - t->first_token_ns) / 1e9);
}

double cli_answer_prefill_tps(const struct cli_answer *answer)
{
    const struct engine_timings *t = &answer->timings;
    if (t->generated_tokens == 0 || t->first_token_ns <= t->prefill_start_ns)
        return NAN;
    return (t->prompt_tokens - t->cached_tokens) / ((double)(t->first_token_ns - t->prefill_start_ns) / 1e9);
}

void cli_answer_stats_line(const struct cli_answer *answer, char *out, size_t capacity)
{
    char tps[FORMAT_MAX], ttft[FORMAT_MAX];
    uint32_t n = answer->timings.generated_tokens;
    snprintf(out, capacity, "%u token%s · %s tok/s decode · TTFT %s", n, n == 1 ? "" : "s",
             format_number(tps, cli_answer_decode_tps(answer)), format_ms(ttft, cli_answer_ttft_ms(answer)));
    size_t used = strlen(out);
    if (answer->timings.drafted_tokens)
        snprintf(out + used, capacity - used, " · %u of %u guesses right", answer->timings.accepted_tokens,
                 answer->timings.drafted_tokens);
}

const char *cli_answer_finish_name(enum engine_finish finish)
{
    static const char *const names[] = {"none", "stop", "length", "cancelled", "error"};
    return names[finish];
}
