/* Events in, pieces out: thoughts, calls, tokens with their log-probabilities, cut everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "service/answer_text.h"

static const char tools_text[] = "[{\"type\":\"function\",\"function\":{\"name\":\"add\"}}]";

struct run {
    bool reasoning, inside, tools, one_call, logprobs;
};

/* Everything that came out: [thought], text, @name(arguments), #tokens where a piece carries some, and how it
 * ended. */
static void record(struct answer_text *text, struct buffer *out)
{
    struct answer_piece piece;
    while (answer_text_next(text, &piece)) {
        for (size_t i = 0; i < piece.n_tokens; i++)
            buffer_format(out, "#%d", piece.tokens[i].token);
        if (piece.kind == ANSWER_TEXT)
            buffer_append(out, piece.text, piece.length);
        else if (piece.kind == ANSWER_REASONING)
            buffer_format(out, "[%.*s]", (int)piece.length, piece.text);
        else if (piece.kind == ANSWER_TOOL_NAME)
            buffer_format(out, "@%u %.*s", piece.tool_index, (int)piece.length, piece.text);
        else if (piece.kind == ANSWER_TOOL_ARGUMENTS)
            buffer_format(out, "(%.*s)", (int)piece.length, piece.text);
        else if (piece.kind == ANSWER_END)
            buffer_format(out, "|%d%s r%u", (int)piece.finish, piece.has_tool_calls ? " calls" : "",
                          piece.reasoning_tokens);
    }
}

/* Neighbouring thoughts are one: "[a][b]" is "[ab]". */
static void join(struct buffer *out)
{
    char *at;
    while ((at = out->length ? strstr(out->data, "][") : NULL) != NULL) {
        memmove(at, at + 2, strlen(at + 2) + 1);
        out->length -= 2;
    }
}

static struct engine_event token(int32_t id, const char *text, size_t length)
{
    struct engine_event event = {.kind = EVENT_TOKEN, .token = id, .text_length = (uint16_t)length};
    memcpy(event.text, text, length);
    return event;
}

static void begin(struct answer_text *text, const struct run *run)
{
    *text = (struct answer_text){
        .reasoning = run->reasoning, .one_call = run->one_call, .logprobs = run->logprobs};
    if (run->tools)
        text->tools = json_loads(tools_text, 0, NULL);
    answer_text_begin(text);
}

static void end(struct answer_text *text, enum engine_finish finish, struct buffer *out)
{
    struct engine_event event = {.kind = EVENT_FINISH, .finish = finish};
    answer_text_feed(text, &event);
    record(text, out);
    join(out);
    answer_text_free(text);
}

/* The whole text in tokens of `step` bytes, the first of `first`. */
static void check_cut(const struct run *run, const char *bytes, size_t first, size_t step,
                      const char *expected)
{
    struct answer_text text;
    struct buffer out = {0};
    size_t length = strlen(bytes);
    begin(&text, run);
    for (size_t at = 0, n = first; at < length; at += n, n = step) {
        n = n < length - at ? n : length - at;
        struct engine_event event = token(1, bytes + at, n);
        event.starts_thinking = run->inside;
        answer_text_feed(&text, &event);
        record(&text, &out);
    }
    end(&text, FINISH_STOP, &out);
    char *count = strstr(out.data, " r"); /* of thinking tokens: depends on the cut */
    *count = '\0';
    if (strcmp(out.data, expected) != 0)
        fail_msg("cut at %zu, then by %zu:\n  %s\nshould be\n  %s", first, step, out.data, expected);
    buffer_free(&out);
}

static void check(const struct run *run, const char *bytes, const char *expected)
{
    for (size_t first = 1; first <= strlen(bytes); first++) {
        check_cut(run, bytes, first, 400, expected);
        check_cut(run, bytes, first, 1, expected);
        check_cut(run, bytes, first, 5, expected);
    }
}

static void test_reasoning(void **state)
{
    (void)state;
    const struct run run = {.reasoning = true};
    check(&run, "<think>\nHm, 1 < 2.\n\nYes.\n</think>\n\nIt is.", "[Hm, 1 < 2.\n\nYes.]It is.|1");
    check(&run, "  <think></think>Hello", "Hello|1");
    check(&run, "<think>\n\n</think>\n\nHello", "Hello|1");
    check(&run, "<think>a </thin b</think>c", "[a </thin b]c|1");
    check(&run, "No thought: <think>x</think>", "No thought: <think>x</think>|1");
    check(&run, "<think>a</think>b<think>c</think>", "[a]b<think>c</think>|1");
    check(&run, "<thinking>x", "<thinking>x|1");
    check(&run, "<thin", "<thin|1");
    check(&run, "<think>cut off </thi", "[cut off </thi]|1");
    check(&run, "  plain", "  plain|1");
    const struct run inside = {.reasoning = true, .inside = true};
    check(&inside, "\nHm.</think>\nYes", "[Hm.]Yes|1");
    check(&inside, "<think>Hm.</think>\nYes", "[Hm.]Yes|1");
    check(&inside, "</think>Yes", "Yes|1");
    const struct run off = {0};
    check(&off, "<think>a</think>b", "<think>a</think>b|1");
}

static void test_calls_after_thoughts(void **state)
{
    (void)state;
    const struct run run = {.reasoning = true, .tools = true};
    check(&run,
          "<think>I <tool_call> it</think>\n<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":\"</think>\"}}"
          "</tool_call>",
          "[I <tool_call> it]@0 add({\"a\":\"</think>\"})|1 calls");
    check(&run, "{\"name\":\"add\",\"parameters\":{}};{\"name\":\"add\",\"parameters\":{}}",
          "@0 add({})@1 add({})|1 calls");
    check(&run, "<tool_call>{\"name\":\"sub\"}</tool_call>", "<tool_call>{\"name\":\"sub\"}</tool_call>|1");
}

static void test_one_call(void **state)
{
    (void)state;
    struct run run = {.tools = true, .one_call = true};
    struct answer_text text;
    struct buffer out = {0};
    begin(&text, &run);
    const char call[] = "<tool_call>{\"name\":\"add\"}</tool_call>";
    struct engine_event event = token(1, call, strlen(call));
    answer_text_feed(&text, &event);
    record(&text, &out);
    assert_true(answer_text_is_enough(&text));
    answer_text_feed(&text, &event);
    record(&text, &out);
    end(&text, FINISH_CANCELLED, &out); /* we cancelled it: for the client it has ended well */
    assert_string_equal(out.data, "@0 add({})|1 calls r0");
    buffer_free(&out);
}

/* Tokens leave with the first text after them, in order, each once; the one that ends the answer does not. */
static void test_tokens(void **state)
{
    (void)state;
    struct run run = {.reasoning = true, .logprobs = true};
    struct answer_text text;
    struct buffer out = {0};
    begin(&text, &run);
    static const char *const texts[] = {"<think>", "a", " ", "b", "</think>", "x", "", "y", ""};
    for (int32_t i = 0; i < 9; i++) {
        struct engine_event event = token(i, texts[i], strlen(texts[i]));
        answer_text_feed(&text, &event);
        record(&text, &out);
    }
    end(&text, FINISH_STOP, &out);
    assert_string_equal(out.data, "#0#1[a]#2#3[ b]#4#5x#6#7y|1 r5");
    buffer_free(&out);

    begin(&text, &run);
    struct engine_event event = token(7, "<thi", 4);
    answer_text_feed(&text, &event);
    event = token(8, "", 0); /* bytes of a character that is not whole */
    answer_text_feed(&text, &event);
    record(&text, &out);
    assert_int_equal(out.length, 0);
    end(&text, FINISH_LENGTH, &out);
    assert_string_equal(out.data, "#7#8<thi|2 r0");
    buffer_free(&out);
}

static void test_ids(void **state)
{
    (void)state;
    char a[ANSWER_TOOL_ID], b[ANSWER_TOOL_ID];
    answer_tool_id(a);
    answer_tool_id(b);
    assert_int_equal(strlen(a), 29);
    assert_memory_equal(a, "call_", 5);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasoning), cmocka_unit_test(test_calls_after_thoughts),
        cmocka_unit_test(test_one_call),  cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
