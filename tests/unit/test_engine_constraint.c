/* Constrained answers of a model with random weights: it wants nothing in particular, so whatever a grammar
 * lets through is said sooner or later. Every answer must fit its schema, greedy and hot. */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <jansson.h>
#include <stdlib.h>

#include "platform/clock.h"
#include "text/tokenizer.h"

enum { N_PROMPT = 6, SEEDS = 20, MAX_TOKENS = 1500 };

static const int32_t prompt[N_PROMPT] = {72, 101, 108, 108, 111, 58};
static struct answer answer, other;
static char folder[256];
static struct engine *engine;

static int open_engine(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_F32, .seed = 11};
    tiny_model_write(&options, folder, sizeof folder);
    engine = run_open(folder, 2, 64, 8);
    return 0;
}

static int close_engine(void **state)
{
    (void)state;
    engine_close(engine);
    tiny_model_remove(folder);
    return 0;
}

static struct engine_submit constrained(enum engine_grammar_kind kind, const char *grammar, float temperature,
                                        uint64_t seed)
{
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, MAX_TOKENS);
    submit.ignore_eos = false;
    submit.sampling.temperature = temperature;
    submit.sampling.seed = seed;
    submit.grammar_kind = kind;
    submit.grammar = grammar;
    return submit;
}

/* ---- schemas, and what their values must be ---- */

static bool one_of(const char *text, const char *a, const char *b, const char *c)
{
    return text && (!strcmp(text, a) || !strcmp(text, b) || !strcmp(text, c));
}

static bool is_enums(const json_t *value)
{
    const json_t *size = json_object_get(value, "size");
    return json_object_size(value) == 2 &&
           one_of(json_string_value(json_object_get(value, "color")), "red", "gr\xC3\xBCn", "blue") &&
           json_is_integer(size) && json_integer_value(size) >= -3 && json_integer_value(size) <= 120;
}

static bool is_matrix(const json_t *value)
{
    size_t n = json_array_size(value);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(value, i);
        if (!json_is_array(row) || json_array_size(row) > 3)
            return false;
        for (size_t j = 0; j < json_array_size(row); j++)
            if (!json_is_boolean(json_array_get(row, j)) && !json_is_null(json_array_get(row, j)))
                return false;
    }
    return json_is_array(value) && n >= 1 && n <= 4;
}

static bool is_number(const json_t *value)
{
    double x = json_number_value(value);
    return json_is_number(value) && x >= -1.5 && x <= 2.5 && x * 4 == (double)(int)(x * 4);
}

static bool is_optional(const json_t *value)
{
    size_t known = 0;
    const json_t *b = json_object_get(value, "b"), *c = json_object_get(value, "c");
    known += b != NULL;
    known += c != NULL;
    return json_is_object(value) && json_is_true(json_object_get(value, "a")) &&
           (!b || !strcmp(json_string_value(b), "x")) && (!c || json_is_array(c)) &&
           json_object_size(value) == 1 + known;
}

static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static bool is_text(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && characters(text) >= 2 && characters(text) <= 12;
}

static bool is_any_of(const json_t *value)
{
    if (json_is_object(value))
        return json_object_size(value) == 1 && json_is_null(json_object_get(value, "none"));
    return json_is_boolean(value) || one_of(json_string_value(value), "\xE6\x97\xA5\xE6\x9C\xAC", "ja", "ja");
}

static const struct {
    const char *schema;
    bool (*fits)(const json_t *value);
} cases[] = {
    {"{\"type\":\"object\",\"properties\":{\"color\":{\"enum\":[\"red\",\"gr\xC3\xBCn\",\"blue\"]},"
     "\"size\":{\"type\":\"integer\",\"minimum\":-3,\"maximum\":120}},\"required\":[\"color\",\"size\"],"
     "\"additionalProperties\":false}",
     is_enums},
    {"{\"type\":\"array\",\"minItems\":1,\"maxItems\":4,\"items\":{\"$ref\":\"#/$defs/row\"},\"$defs\":{"
     "\"row\":{\"type\":\"array\",\"maxItems\":3,\"items\":{\"type\":[\"boolean\",\"null\"]}}}}",
     is_matrix},
    {"{\"type\":\"number\",\"minimum\":-1.5,\"maximum\":2.5,\"multipleOf\":0.25}", is_number},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"const\":true},\"b\":{\"const\":\"x\"},"
     "\"c\":{\"type\":\"array\",\"maxItems\":2,\"items\":{\"type\":\"null\"}}},\"required\":[\"a\"],"
     "\"additionalProperties\":false}",
     is_optional},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":12}", is_text},
    {"{\"anyOf\":[{\"type\":\"boolean\"},{\"enum\":[\"\xE6\x97\xA5\xE6\x9C\xAC\",\"ja\"]},"
     "{\"type\":\"object\",\"properties\":{\"none\":{\"type\":\"null\"}},\"required\":[\"none\"],"
     "\"additionalProperties\":false}]}",
     is_any_of},
};

static void check_answer(size_t i, float temperature, uint64_t seed)
{
    struct engine_submit submit = constrained(ENGINE_GRAMMAR_SCHEMA, cases[i].schema, temperature, seed);
    run(engine, &submit, &answer);
    if (answer.finish != FINISH_STOP)
        fail_msg("schema %zu, seed %llu: finish %d (%s) after %u tokens: %s", i, (unsigned long long)seed,
                 (int)answer.finish, answer.error.message, answer.n_tokens, answer.text);
    json_error_t why;
    json_t *value =
        json_loadb(answer.text, answer.text_length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (!value || !cases[i].fits(value))
        fail_msg("schema %zu, seed %llu: %s: %s", i, (unsigned long long)seed,
                 value ? "does not fit" : why.text, answer.text);
    json_decref(value);
}

static void test_answers_fit_their_schema(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_answer(i, 0, 0);
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            check_answer(i, 1.5f, seed);
    }
}

static void test_any_object(void **state)
{
    (void)state;
    uint32_t n_ended = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct engine_submit submit = constrained(ENGINE_GRAMMAR_JSON, NULL, 1, seed);
        run(engine, &submit, &answer);
        if (answer.finish == FINISH_LENGTH)
            continue; /* nothing bounds how much an object may hold */
        assert_int_equal(answer.finish, FINISH_STOP);
        json_t *value = json_loadb(answer.text, answer.text_length, 0, NULL);
        assert_true(json_is_object(value));
        json_decref(value);
        n_ended++;
    }
    assert_true(n_ended > SEEDS / 2);
}

/* ---- where an answer ends ---- */

static void test_the_end(void **state)
{
    (void)state;
    /* may end anywhere: by the model's own end token, which is no text */
    struct engine_submit submit = constrained(ENGINE_GRAMMAR_REGEX, "a*", 1, 5);
    run(engine, &submit, &answer);
    assert_int_equal(answer.finish, FINISH_STOP);
    assert_int_equal(answer.tokens[answer.n_tokens - 1], TINY_END);
    assert_int_equal(strspn(answer.text, "a"), answer.text_length);
    /* complete: at once, without one */
    submit = constrained(ENGINE_GRAMMAR_LARK, "start: \"yes\" | \"no\"", 1.5f, 5);
    run(engine, &submit, &answer);
    assert_int_equal(answer.finish, FINISH_STOP);
    assert_true(!strcmp(answer.text, "yes") || !strcmp(answer.text, "no"));
    assert_int_not_equal(answer.tokens[answer.n_tokens - 1], TINY_END);
    /* not at the end yet */
    submit = constrained(ENGINE_GRAMMAR_SCHEMA, cases[0].schema, 0, 0);
    submit.max_tokens = 3;
    run(engine, &submit, &answer);
    assert_int_equal(answer.finish, FINISH_LENGTH);
    assert_int_equal(answer.n_tokens, 3);
    /* a stop string is stronger */
    static const char *const stops[] = {"es"};
    submit = constrained(ENGINE_GRAMMAR_REGEX, "yes, yes", 0, 0);
    submit.stops = stops;
    submit.n_stops = 1;
    run(engine, &submit, &answer);
    assert_int_equal(answer.finish, FINISH_STOP);
    assert_string_equal(answer.text, "y");
}

/* ---- with everything else that touches sampling ---- */

static void test_nothing_else_can_be_drawn(void **state)
{
    (void)state;
    struct engine_logit_bias bias[64];
    struct engine_submit submit = constrained(ENGINE_GRAMMAR_REGEX, "[ab]{40}", 0, 3);
    for (int32_t i = 0; i < 62; i++) /* everything that is not allowed is wanted badly */
        bias[i] = (struct engine_logit_bias){.token = i == 0 ? TINY_END : TINY_VOCAB - i, .bias = 1e6f};
    bias[62] = (struct engine_logit_bias){.token = 'z', .bias = 1e6f};
    bias[63] = (struct engine_logit_bias){.token = 'a', .bias = -1e6f};
    submit.sampling.logit_bias = bias;
    submit.sampling.n_logit_bias = 64;
    for (int hot = 0; hot < 2; hot++) {
        submit.sampling.temperature = hot ? 100 : 0;
        submit.sampling.repetition_penalty = hot ? 1.5f : 1;
        submit.sampling.top_k = hot ? 50 : 0; /* more than are allowed */
        run(engine, &submit, &answer);
        assert_int_equal(answer.finish, FINISH_STOP);
        assert_int_equal(answer.text_length, 40);
        assert_int_equal(strspn(answer.text, "ab"), 40);
    }
    for (int by = 0; by < 2; by++) {
        submit = constrained(ENGINE_GRAMMAR_REGEX, "[ab]{40}", 1.5f, 3);
        submit.sampling.top_p = by ? 0.3f : 1;
        submit.sampling.min_p = by ? 0 : 0.2f;
        run(engine, &submit, &answer);
        assert_int_equal(strspn(answer.text, "ab"), 40);
    }
}

/* Log probabilities are the model's, whatever the grammar allows. */
static void test_logprobs_are_the_models(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, 1);
    submit.logprobs = true;
    submit.top_logprobs = ENGINE_MAX_LOGPROBS;
    run(engine, &submit, &other);
    submit.grammar_kind = ENGINE_GRAMMAR_REGEX;
    submit.grammar = "[0-9]{5}";
    submit.ignore_eos = false;
    run(engine, &submit, &answer);
    assert_memory_equal(answer.top[0], other.top[0], sizeof answer.top[0]);
    assert_true(answer.tokens[0] != other.tokens[0] && answer.logprobs[0] < other.logprobs[0]);
}

/* ---- beside others ---- */

static void submits_of(struct engine_submit *submits)
{
    submits[0] = constrained(ENGINE_GRAMMAR_SCHEMA, cases[0].schema, 1.5f, 1);
    submits[1] = run_greedy(prompt, N_PROMPT, 60);
    submits[2] = constrained(ENGINE_GRAMMAR_SCHEMA, cases[4].schema, 1, 2);
    submits[3] = run_greedy(prompt, N_PROMPT - 1, 60);
    submits[3].sampling.temperature = 1;
    for (int i = 0; i < 4; i++)
        submits[i].logprobs = true;
}

static void test_beside_others_as_alone(void **state)
{
    (void)state;
    struct engine_submit submits[4];
    struct engine_request *requests[4];
    static struct answer alone[4];
    submits_of(submits);
    for (int i = 0; i < 4; i++)
        run(engine, &submits[i], &alone[i]);
    for (int i = 0; i < 4; i++)
        requests[i] = run_submit(engine, &submits[i]);
    for (int i = 0; i < 4; i++) {
        run_collect(requests[i], &answer);
        assert_int_equal(answer.finish, alone[i].finish);
        assert_int_equal(answer.n_tokens, alone[i].n_tokens);
        assert_memory_equal(answer.tokens, alone[i].tokens, sizeof answer.tokens);
        assert_memory_equal(answer.logprobs, alone[i].logprobs, sizeof answer.logprobs);
        assert_string_equal(answer.text, alone[i].text);
    }
}

/* Released and closed while they run. */
static void test_cut_short(void **state)
{
    (void)state;
    struct engine *own = run_open(folder, 1, 64, 4);
    struct engine_submit submit = constrained(ENGINE_GRAMMAR_REGEX, "(?s).*", 2, 1);
    struct engine_request *requests[3];
    struct engine_event event;
    for (int i = 0; i < 3; i++)
        requests[i] = run_submit(own, &submit);
    do
        assert_int_equal(engine_next_event(requests[0], &event, RUN_TIMEOUT_MS), 1);
    while (event.kind == EVENT_PREFILL);
    engine_request_release(requests[0]);
    engine_close(own);
    engine_request_release(requests[1]);
    engine_request_release(requests[2]);
}

/* ---- refusals ---- */

static void refused(const struct engine_submit *submit, int code, const char *word)
{
    struct engine_request *request = NULL;
    struct error error = {0};
    uint64_t start = clock_now_ns();
    assert_int_equal(engine_submit(engine, submit, &request, &error), code);
    assert_null(request);
    if (!strstr(error.message, word))
        fail_msg("\"%s\" does not say \"%s\"", error.message, word);
    assert_true(clock_now_ns() - start < UINT64_C(10000000000)); /* 1.5 s, on a machine with time */
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        enum engine_grammar_kind kind;
        const char *text;
        int code;
        const char *word;
    } wrong[] = {
        {ENGINE_GRAMMAR_SCHEMA, NULL, ERROR_INVALID, "grammar: its text is missing"},
        {(enum engine_grammar_kind)7, "x", ERROR_INVALID, "grammar_kind 7"},
        {ENGINE_GRAMMAR_SCHEMA, "{", ERROR_INVALID, "grammar: the JSON schema is not JSON"},
        {ENGINE_GRAMMAR_SCHEMA, "{\"type\":\"array\",\"uniqueItems\":true}", ERROR_UNSUPPORTED,
         "#/uniqueItems"},
        {ENGINE_GRAMMAR_SCHEMA, "{\"$ref\":\"#/$defs/missing\"}", ERROR_INVALID, "missing"},
        {ENGINE_GRAMMAR_REGEX, "(", ERROR_INVALID, "regular expression"},
        {ENGINE_GRAMMAR_REGEX, "[^\\x00-\\x{10FFFF}]", ERROR_INVALID, "regular expression"},
        {ENGINE_GRAMMAR_LARK, "start: rule", ERROR_INVALID, "rule"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct engine_submit submit = constrained(wrong[i].kind, wrong[i].text, 0, 0);
        refused(&submit, wrong[i].code, wrong[i].word);
    }
    struct engine_submit submit = constrained(ENGINE_GRAMMAR_REGEX, "a", 0, 0);
    submit.ignore_eos = true;
    refused(&submit, ERROR_INVALID, "ignore_eos");

    /* hostile: eight thousand optional members; a text that is too long */
    size_t capacity = 300000, length = 0;
    char *text = malloc(capacity);
    assert_non_null(text);
    length += (size_t)snprintf(text, capacity, "{\"type\":\"object\",\"properties\":{\"p\":{}");
    for (int i = 0; i < 8000; i++)
        length += (size_t)snprintf(text + length, capacity - length, ",\"p%d\":{}", i);
    snprintf(text + length, capacity - length, "}}");
    submit = constrained(ENGINE_GRAMMAR_SCHEMA, text, 0, 0);
    refused(&submit, ERROR_LIMIT, "JSON schema");
    memset(text, 'a', capacity - 1);
    text[capacity - 1] = '\0';
    submit = constrained(ENGINE_GRAMMAR_REGEX, text, 0, 0);
    refused(&submit, ERROR_LIMIT, "at most");
    free(text);

    /* and the engine is as it was */
    check_answer(0, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_fit_their_schema),
        cmocka_unit_test(test_any_object),
        cmocka_unit_test(test_the_end),
        cmocka_unit_test(test_nothing_else_can_be_drawn),
        cmocka_unit_test(test_logprobs_are_the_models),
        cmocka_unit_test(test_beside_others_as_alone),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
