/* An answer over an engine and a host that this file plays: what is submitted, what is counted, what is given
 * back, whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/door.h"
#include "service/answer.h"
#include "service/host.h"
#include "service/live.h"

/* ---- an engine that says what a test wants ---- */

static const char *script[16]; /* texts of tokens, NULL ends it */
static size_t said;
static enum engine_finish last_finish; /* how the script ends */
static bool cancelled, finished;
static int submit_status, acquire_status;
static int leases, requests;
static struct engine_submit submitted;
static char submitted_grammar[2048];

static struct engine_sampling fake_default(const struct engine *engine)
{
    (void)engine;
    return (struct engine_sampling){
        .temperature = 0.25f, .top_k = 40, .top_p = 0.5f, .repetition_penalty = 1.125f, .seed = 99};
}

static struct engine_request the_request;
static int fake_submit(struct engine *engine, const struct engine_submit *submit, struct engine_request **out,
                       struct error *error)
{
    the_request.door = engine->door;
    submitted = *submit;
    submitted_grammar[0] = '\0';
    if (submit->grammar)
        strncpy(submitted_grammar, submit->grammar, sizeof submitted_grammar - 1);
    if (submit_status)
        return error_set(error, submit_status, "refused");
    requests++;
    *out = &the_request;
    return 0;
}

static void fake_cancel(struct engine_request *request)
{
    (void)request;
    cancelled = true;
}

static void fake_release(struct engine_request *request)
{
    (void)request;
    requests--;
}

static int fake_next(struct engine_request *request, struct engine_event *event, int timeout_ms)
{
    (void)request;
    (void)timeout_ms;
    if (finished)
        return -1;
    *event = (struct engine_event){.time_ns = 1000000 * (said + 1)};
    if (!cancelled && script[said]) {
        event->kind = EVENT_TOKEN;
        event->text_length = (uint16_t)strlen(script[said]);
        memcpy(event->text, script[said++], event->text_length);
        return 1;
    }
    finished = true;
    event->kind = EVENT_FINISH;
    event->finish = cancelled ? FINISH_CANCELLED : last_finish;
    event->timings.generated_tokens = (uint32_t)said;
    if (event->finish == FINISH_ERROR)
        error_set(&event->error, ERROR_IO, "the worker is gone");
    return 1;
}

static const struct engine_door door = {.sampling_default = fake_default,
                                        .submit = fake_submit,
                                        .cancel = fake_cancel,
                                        .release = fake_release,
                                        .next_event = fake_next};
static struct engine the_engine = {.door = &door};

/* ---- the rest of the service, as far as an answer needs it: these stand in for host.c and live.c ---- */

int host_acquire_at(struct model_host *host, struct host_place *place, const char *model, uint32_t wait_ms,
                    struct host_lease *lease, struct error *error)
{
    (void)host;
    (void)place;
    (void)wait_ms;
    if (acquire_status)
        return error_set(error, acquire_status, "no such model");
    leases++;
    *lease = (struct host_lease){.engine = &the_engine, .model = model ? model : "loaded"};
    return 0;
}

void host_share(struct model_host *host, const struct host_lease *held, struct host_lease *lease)
{
    (void)host;
    leases++;
    *lease = *held;
}

void host_release(struct model_host *host, struct host_lease *lease)
{
    (void)host;
    assert_ptr_equal(lease->engine, &the_engine);
    leases--;
}

static int counted_tokens, counted_answers;
static double last_gap;
static enum engine_finish counted_finish;
static uint32_t counted_generated;

void live_count_token(struct live *live, double gap_ms)
{
    (void)live;
    counted_tokens++;
    last_gap = gap_ms;
}

void live_count_answer(struct live *live, enum engine_finish finish, const struct engine_timings *timings)
{
    (void)live;
    counted_answers++;
    counted_finish = finish;
    counted_generated = timings->generated_tokens;
}

/* ---- tests ---- */

static int reset(void **state)
{
    (void)state;
    memset(script, 0, sizeof script);
    said = 0;
    last_finish = FINISH_STOP;
    cancelled = finished = false;
    submit_status = acquire_status = 0;
    counted_tokens = counted_answers = 0;
    return 0;
}

static int check_given_back(void **state)
{
    (void)state;
    assert_int_equal(leases, 0);
    assert_int_equal(requests, 0);
    return 0;
}

static struct services services;
static const char tools[] = "[{\"type\":\"function\",\"function\":{\"name\":\"add\"}},"
                            "{\"type\":\"function\",\"function\":{\"name\":\"sub\"}}]";

static struct answer *open_answer(const struct answer_options *options)
{
    struct answer *answer = NULL;
    struct error error = {0};
    assert_int_equal(answer_open(&services, options, &answer, &error), 0);
    return answer;
}

static void test_defaults_of_the_model(void **state)
{
    (void)state;
    struct answer_options options = {.given = ANSWER_TEMPERATURE | ANSWER_SEED | ANSWER_TOP_K};
    options.submit.sampling.temperature = 0; /* given, and zero: greedy, not the default */
    options.submit.sampling.seed = 5;
    struct answer *answer = open_answer(&options);
    assert_true(submitted.sampling.temperature == 0 && submitted.sampling.top_k == 0);
    assert_true(submitted.sampling.top_p == 0.5f && submitted.sampling.repetition_penalty == 1.125f);
    assert_int_equal(submitted.sampling.seed, 5);
    assert_string_equal(answer_model(answer), "loaded");
    answer_close(answer);
    reset(NULL);
    options.given = 0;
    answer_close(open_answer(&options));
    uint64_t first = submitted.sampling.seed;
    reset(NULL);
    answer_close(open_answer(&options));
    assert_true(first != submitted.sampling.seed); /* random unless given */
}

static void test_read_to_the_end(void **state)
{
    (void)state;
    script[0] = "Hel";
    script[1] = "lo";
    struct answer_options options = {.model = "m"};
    struct answer *answer = open_answer(&options);
    struct answer_piece piece;
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    assert_true(piece.kind == ANSWER_TEXT && piece.length == 3 && memcmp(piece.text, "Hel", 3) == 0);
    assert_true(last_gap < 0);
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    assert_true(last_gap > 0.99 && last_gap < 1.01);
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    assert_true(piece.kind == ANSWER_END && piece.finish == FINISH_STOP && !piece.has_tool_calls);
    assert_int_equal(answer_next(answer, &piece, 0), -1);
    answer_close(answer);
    assert_int_equal(counted_tokens, 2);
    assert_int_equal(counted_answers, 1);
    assert_false(cancelled);
}

/* Nobody reads on: cancelled, counted with its real figures, and everything is given back. */
static void test_closed_in_the_middle(void **state)
{
    (void)state;
    script[0] = "a";
    script[1] = "b";
    struct answer_options options = {0};
    struct answer *answer = open_answer(&options);
    struct answer_piece piece;
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    answer_close(answer);
    assert_true(cancelled);
    assert_int_equal(counted_answers, 1);
    assert_int_equal(counted_finish, FINISH_CANCELLED);
    assert_int_equal(counted_generated, 1);
}

/* The second choice of a request never asks for the model again: its turn might come after a change of
 * models that waits for the first. */
static void test_beside(void **state)
{
    (void)state;
    struct answer_options options = {.model = "m"};
    struct answer *first = open_answer(&options);
    acquire_status = ERROR_BUSY;
    options.beside = first;
    struct answer *second = open_answer(&options);
    assert_ptr_equal(answer_engine(first), answer_engine(second));
    assert_string_equal(answer_model(second), "m");
    assert_int_equal(leases, 2);
    answer_close(first);
    answer_close(second);
}

static void test_failures(void **state)
{
    (void)state;
    struct answer *answer;
    struct error error = {0};
    bool refused = false;
    struct answer_options options = {.model_refused = &refused};
    acquire_status = ERROR_NOT_FOUND;
    assert_int_equal(answer_open(&services, &options, &answer, &error), ERROR_NOT_FOUND);
    assert_true(refused && answer == NULL);
    reset(NULL);
    submit_status = ERROR_BUSY;
    assert_int_equal(answer_open(&services, &options, &answer, &error), ERROR_BUSY);
    assert_false(refused);
    reset(NULL);
    last_finish = FINISH_ERROR;
    answer = open_answer(&options);
    struct answer_piece piece;
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    assert_true(piece.kind == ANSWER_END && piece.finish == FINISH_ERROR);
    assert_string_equal(piece.error.message, "the worker is gone");
    answer_close(answer);
    assert_int_equal(counted_finish, FINISH_ERROR);
    options.tools = ANSWER_TOOLS_AUTO;
    options.submit.tools_json = "{}";
    assert_int_equal(answer_open(&services, &options, &answer, &error), ERROR_INVALID);
    answer_close(NULL);
}

static void test_required_calls_have_a_grammar(void **state)
{
    (void)state;
    struct answer *answer;
    struct error error = {0};
    struct answer_options options = {.tools = ANSWER_TOOLS_REQUIRED, .submit.tools_json = tools};
    answer_close(open_answer(&options));
    assert_true(submitted.show_special && submitted.grammar_kind == ENGINE_GRAMMAR_SCHEMA);
    assert_non_null(strstr(submitted_grammar, "\"add\""));
    assert_non_null(strstr(submitted_grammar, "\"sub\""));
    options.tool_name = "sub";
    reset(NULL);
    answer_close(open_answer(&options));
    assert_null(strstr(submitted_grammar, "\"add\""));
    options.tool_name = "mul";
    assert_int_equal(answer_open(&services, &options, &answer, &error), ERROR_INVALID);
    options.tool_name = NULL;
    options.submit.grammar_kind = ENGINE_GRAMMAR_JSON; /* cannot be both */
    assert_int_equal(answer_open(&services, &options, &answer, &error), ERROR_INVALID);
}

static void test_one_call_is_enough(void **state)
{
    (void)state;
    script[0] = "<tool_call>{\"name\":\"add\"}</tool_call>";
    script[1] = script[2] = "<tool_call>{\"name\":\"sub\"}</tool_call>";
    struct answer_options options = {
        .tools = ANSWER_TOOLS_AUTO, .submit.tools_json = tools, .one_tool_call = true};
    struct answer *answer = open_answer(&options);
    struct answer_piece piece;
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    assert_true(piece.kind == ANSWER_TOOL_NAME && piece.length == 3 && memcmp(piece.text, "add", 3) == 0);
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    assert_int_equal(piece.kind, ANSWER_TOOL_ARGUMENTS);
    assert_true(cancelled);
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    assert_true(piece.kind == ANSWER_END && piece.finish == FINISH_STOP && piece.has_tool_calls);
    answer_close(answer);
    assert_int_equal(counted_finish, FINISH_STOP);
}

/* A token that shows nothing yet does not make the caller wait longer than it wanted. */
static void test_held_back_text_comes_back_to_the_caller(void **state)
{
    (void)state;
    script[0] = "<think>";
    script[1] = "so";
    struct answer_options options = {.parse_reasoning = true};
    struct answer *answer = open_answer(&options);
    struct answer_piece piece;
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    assert_true(piece.kind == ANSWER_REASONING && piece.length == 2);
    assert_int_equal(answer_next(answer, &piece, 0), 1);
    assert_true(piece.kind == ANSWER_END && piece.reasoning_tokens == 2);
    answer_close(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults_of_the_model, reset, check_given_back),
        cmocka_unit_test_setup_teardown(test_read_to_the_end, reset, check_given_back),
        cmocka_unit_test_setup_teardown(test_closed_in_the_middle, reset, check_given_back),
        cmocka_unit_test_setup_teardown(test_beside, reset, check_given_back),
        cmocka_unit_test_setup_teardown(test_failures, reset, check_given_back),
        cmocka_unit_test_setup_teardown(test_required_calls_have_a_grammar, reset, check_given_back),
        cmocka_unit_test_setup_teardown(test_one_call_is_enough, reset, check_given_back),
        cmocka_unit_test_setup_teardown(test_held_back_text_comes_back_to_the_caller, reset,
                                        check_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
