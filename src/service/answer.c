/* An answer is a lease on the model's engine, one request to it, and the filters that make sense of its text
 * (answer_text.h). What an answer adds of its own are the rules that every entrance shares: defaults of the
 * model where a client gave none, a seed that is random unless given, and the grammar of a call that must be
 * made.
 */
#include "service/answer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "service/answer_text.h"
#include "service/host.h"
#include "service/live.h"
#include "service/tool_grammar.h"

enum { CLOSE_WAIT_MS = 2000 }; /* a step, or a chunk of a long prompt */

struct answer {
    struct services *services;
    struct host_lease lease;
    struct engine_request *request;
    struct answer_text text;
    uint64_t last_token_ns; /* 0: none yet */
    bool counted;           /* its end was told to service/live.h */
    struct engine_event event;
};

/* ---- opening ---- */

static struct engine_sampling merge_sampling(const struct engine *engine,
                                             const struct answer_options *options)
{
    struct engine_sampling sampling = engine_sampling_default(engine);
    const struct engine_sampling *wanted = &options->submit.sampling;
    if (options->given & ANSWER_TEMPERATURE)
        sampling.temperature = wanted->temperature;
    if (options->given & ANSWER_TOP_P)
        sampling.top_p = wanted->top_p;
    if (options->given & ANSWER_TOP_K)
        sampling.top_k = wanted->top_k;
    if (options->given & ANSWER_MIN_P)
        sampling.min_p = wanted->min_p;
    if (options->given & ANSWER_REPETITION)
        sampling.repetition_penalty = wanted->repetition_penalty;
    if (options->given & ANSWER_PRESENCE)
        sampling.presence_penalty = wanted->presence_penalty;
    if (options->given & ANSWER_FREQUENCY)
        sampling.frequency_penalty = wanted->frequency_penalty;
    if (options->given & ANSWER_SEED)
        sampling.seed = wanted->seed;
    else if (getrandom(&sampling.seed, sizeof sampling.seed, 0) != (ssize_t)sizeof sampling.seed)
        sampling.seed = (uint64_t)(uintptr_t)options; /* no entropy: any number will do */
    sampling.logit_bias = wanted->logit_bias;
    sampling.n_logit_bias = wanted->n_logit_bias;
    return sampling;
}

/* Sets what tools mean for the text and for the submit; *grammar is the caller's. */
static int set_tools(struct answer *answer, const struct answer_options *options,
                     struct engine_submit *submit, char **grammar, struct error *error)
{
    if (options->tools == ANSWER_TOOLS_NONE)
        return 0;
    const char *declared = submit->tools_json ? submit->tools_json : "";
    answer->text.tools = json_loads(declared, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_array(answer->text.tools))
        return error_set(error, ERROR_INVALID, "tools: a list of tools is needed");
    submit->show_special = true; /* the control tokens that calls begin with */
    answer->text.one_call = options->one_tool_call;
    if (options->tools != ANSWER_TOOLS_REQUIRED)
        return 0;
    if (submit->grammar_kind != ENGINE_GRAMMAR_NONE)
        return error_set(error, ERROR_INVALID,
                         "tool_choice: a call is required, so the answer cannot have another format");
    int status = tool_grammar_schema(answer->text.tools, options->tool_name, grammar, error);
    submit->grammar_kind = ENGINE_GRAMMAR_SCHEMA;
    submit->grammar = *grammar;
    return status;
}

static int take_lease(struct answer *answer, const struct answer_options *options, struct error *error)
{
    struct model_host *host = answer->services->host;
    if (options->beside) {
        host_share(host, &options->beside->lease, &answer->lease);
        return 0;
    }
    int status =
        host_acquire_at(host, options->place, options->model, options->wait_ms, &answer->lease, error);
    if (status && options->model_refused)
        *options->model_refused = true;
    return status;
}

int answer_open(struct services *services, const struct answer_options *options, struct answer **out,
                struct error *error)
{
    struct answer *answer = calloc(1, sizeof *answer);
    char *grammar = NULL;
    *out = NULL;
    if (options->model_refused)
        *options->model_refused = false;
    if (!answer)
        return error_memory(error, "an answer", sizeof *answer);
    answer->services = services;
    struct engine_submit submit = options->submit;
    int status = set_tools(answer, options, &submit, &grammar, error);
    if (status)
        goto out;
    answer->text.logprobs = submit.logprobs;
    answer->text.reasoning = options->parse_reasoning && submit.grammar_kind == ENGINE_GRAMMAR_NONE;
    if ((status = take_lease(answer, options, error)) != 0)
        goto out;
    submit.sampling = merge_sampling(answer->lease.engine, options);
    status = engine_submit(answer->lease.engine, &submit, &answer->request, error);
    if (!status)
        answer_text_begin(&answer->text);
out:
    free(grammar);
    if (status)
        answer_close(answer);
    else
        *out = answer;
    return status;
}

void answer_cancel(struct answer *answer)
{
    engine_cancel(answer->request);
}

const char *answer_model(const struct answer *answer)
{
    return answer->lease.model;
}

struct engine *answer_engine(const struct answer *answer)
{
    return answer->lease.engine;
}

/* ---- reading ---- */

static void take_event(struct answer *answer)
{
    struct engine_event *event = &answer->event;
    if (event->kind == EVENT_TOKEN && !event->more_text) {
        double gap_ms = answer->last_token_ns ? (double)(event->time_ns - answer->last_token_ns) / 1e6 : -1.0;
        answer->last_token_ns = event->time_ns;
        live_count_token(answer->services->live, gap_ms);
    }
    answer_text_feed(&answer->text, event);
    if (event->kind == EVENT_TOKEN && answer_text_is_enough(&answer->text))
        engine_cancel(answer->request);
    if (event->kind == EVENT_FINISH) {
        live_count_answer(answer->services->live, answer->text.end.finish, &event->timings);
        answer->counted = true;
    }
}

int answer_next(struct answer *answer, struct answer_piece *piece, int wait_ms)
{
    while (!answer_text_next(&answer->text, piece)) {
        if (answer->text.end_taken)
            return -1;
        if (engine_next_event(answer->request, &answer->event, wait_ms) <= 0)
            return 0;
        take_event(answer);
        wait_ms = 0; /* a token may have given nothing to show; the caller's time is over all the same */
    }
    return 1;
}

void answer_close(struct answer *answer)
{
    if (!answer)
        return;
    if (answer->request && !answer->counted) { /* nobody read it to its end: its figures count all the same */
        engine_cancel(answer->request);
        while (engine_next_event(answer->request, &answer->event, CLOSE_WAIT_MS) == 1)
            take_event(answer);
    }
    engine_request_release(answer->request);
    if (answer->lease.engine)
        host_release(answer->services->host, &answer->lease);
    answer_text_free(&answer->text);
    free(answer);
}
