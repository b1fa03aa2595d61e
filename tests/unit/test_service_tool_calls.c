/* Every format of tool calls, cut at every byte, and everything that only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "service/tool_calls.h"

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":\"object\","
    "\"properties\":"
    "{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"number\"},\"note\":{\"type\":\"string\"},"
    "\"list\":{\"type\":\"array\"}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}]";

struct fixture {
    json_t *tools;
};

static int setup(void **state)
{
    static struct fixture fixture;
    fixture.tools = json_loads(tools_text, 0, NULL);
    assert_non_null(fixture.tools);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    json_decref(((struct fixture *)*state)->tools);
    return 0;
}

/* Everything told, in order: text as it is, a call as "\n@name(arguments)". */
static void record(void *context, const char *name, const char *text, size_t length)
{
    struct buffer *out = context;
    if (name)
        buffer_format(out, "@%s(%.*s)", name, (int)length, text);
    else
        buffer_append(out, text, length);
}

struct part {
    const char *text;
    bool control;
};

static char *run_parts(const json_t *tools, bool only_first, const struct part *parts, size_t n)
{
    struct buffer out = {0};
    struct tool_calls calls = {.tools = tools, .only_first = only_first, .sink = record, .context = &out};
    buffer_append(&out, "", 0);
    for (size_t i = 0; i < n; i++)
        tool_calls_feed(&calls, parts[i].text, strlen(parts[i].text), parts[i].control);
    tool_calls_finish(&calls);
    tool_calls_free(&calls);
    return out.data;
}

/* text in pieces of `step` bytes, the first of `first`. */
static char *run_cut(const json_t *tools, const char *text, size_t first, size_t step)
{
    struct buffer out = {0};
    struct tool_calls calls = {.tools = tools, .sink = record, .context = &out};
    size_t length = strlen(text);
    buffer_append(&out, "", 0);
    for (size_t at = 0; at < length;) {
        size_t n = at == 0 ? first : step;
        n = n < length - at ? n : length - at;
        tool_calls_feed(&calls, text + at, n, false);
        at += n;
    }
    tool_calls_finish(&calls);
    tool_calls_free(&calls);
    return out.data;
}

static void check(void **state, const char *text, const char *expected)
{
    const json_t *tools = ((struct fixture *)*state)->tools;
    size_t length = strlen(text);
    for (size_t first = 1; first <= length; first++) {
        static const size_t steps[] = {SIZE_MAX, 1, 7};
        for (size_t i = 0; i < 3; i++) {
            char *got = run_cut(tools, text, first, steps[i]);
            if (strcmp(got, expected) != 0)
                fail_msg("cut at %zu, then by %zu:\n  %s\nshould be\n  %s", first, steps[i], got, expected);
            free(got);
        }
    }
}

static void same(void **state, const char *text)
{
    check(state, text, text);
}

static void test_hermes(void **state)
{
    check(state, "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2.50}}\n</tool_call>",
          "@add({\"a\": 1, \"b\": 2.50})");
    check(state,
          "Let me see.\n<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}</tool_call>\n"
          "<tool_call>{\"arguments\":{},\"name\":\"get_weather\"}</tool_call>\n",
          "Let me see.\n@add({\"a\":1})@get_weather({})");
    check(state, "\n\n<tool_call>{\"name\":\"get_weather\"}</tool_call> done", "@get_weather({}) done");
    /* unicode, escapes and brackets inside strings, the exact text kept */
    check(state,
          "<tool_call>{\"name\":\"add\",\"arguments\":{\"note\": \"Grüße }]{ \\\"x\\\" \\u00e9 日本 "
          "</tool_call>\"}}</tool_call>",
          "@add({\"note\": \"Grüße }]{ \\\"x\\\" \\u00e9 日本 </tool_call>\"})");
    /* arguments as a string of JSON; numbers of any size */
    check(state, "<tool_call>{\"name\":\"add\",\"arguments\":\"{\\\"a\\\": 1}\"}</tool_call>",
          "@add({\"a\": 1})");
    check(state,
          "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":123456789012345678901234567890}}</tool_call>",
          "@add({\"a\":123456789012345678901234567890})");
    /* the end came before the closing tag */
    check(state, "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}", "@add({\"a\":1})");
    check(state, "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}}</tool_", "@add({\"a\":1})");
    /* a broken one does not hide a good one */
    check(state, "<tool_call>{broken</tool_call><tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>",
          "<tool_call>{broken</tool_call>@add({})");
    check(state, "<tool_call><tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>",
          "<tool_call>@add({})");
}

static void test_hermes_near_misses(void **state)
{
    same(state, "<tool_call>{\"name\":\"subtract\",\"arguments\":{}}</tool_call>");
    same(state, "<tool_call>{\"name\":\"add\",\"arguments\":[1]}</tool_call>");
    same(state, "<tool_call>{\"name\":\"add\",\"arguments\":\"no json\"}</tool_call>");
    same(state, "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1,\"a\":2}}</tool_call>");
    same(state, "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":01}}</tool_call>");
    same(state, "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":1}");
    same(state, "<tool_call>{\"name\":\"add\",\"arguments\":{}} and more</tool_call>");
    same(state, "<tool_call> nothing </tool_call>");
    same(state, "a < b, <tool_cal, <tool_callx>, <tool_call");
    same(state, "<tool_call>");
    same(state, "   \n ");
    same(state, "");
}

static void test_coder(void **state)
{
    check(state,
          "<tool_call>\n<function=add>\n<parameter=a>\n5\n</parameter>\n<parameter=note>\n5\nlines \"x\"\n"
          "</parameter>\n<parameter=list>[1, 2]</parameter>\n</function>\n</tool_call>",
          "@add({\"a\": 5, \"note\": \"5\\nlines \\\"x\\\"\", \"list\": [1, 2]})");
    check(state, "Now: <tool_call><function=get_weather></function></tool_call>", "Now: @get_weather({})");
    /* a value that is not what the schema says stays a string; an unknown one too */
    check(state,
          "<tool_call><function=add><parameter=a>five</parameter><parameter=z>1</parameter></function>",
          "@add({\"a\": \"five\", \"z\": \"1\"})");
    same(state, "<tool_call><function=nope></function></tool_call>");
    same(state, "<tool_call><function=add><parameter=a>1</parameter><parameter=a>2</parameter></function>"
                "</tool_call>");
    same(state, "<tool_call><function=add><parameter=a>1</function></tool_call>");
    same(state, "<tool_call><function=add>words</function></tool_call>");
}

static void test_mistral(void **state)
{
    check(state,
          "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {\"a\": 1}}, {\"name\":\"get_weather\","
          "\"arguments\":{}}]",
          "@add({\"a\": 1})@get_weather({})");
    check(state, "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {}, \"id\": \"x1\"}]", "@add({})");
    check(state, "[TOOL_CALLS]add[ARGS]{\"a\": 1}", "@add({\"a\": 1})");
    check(state, "[TOOL_CALLS]add[CALL_ID]abc123[ARGS]{\"a\": 1}[TOOL_CALLS]get_weather[ARGS]{}",
          "@add({\"a\": 1})@get_weather({})");
    check(state, "[TOOL_CALLS]add{\"a\": 1}", "@add({\"a\": 1})");
    /* all or none of an array */
    same(state, "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {}}, {\"name\":\"nope\",\"arguments\":{}}]");
    same(state, "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {}},]");
    same(state, "[TOOL_CALLS][]");
    same(state, "[TOOL_CALLS]nope[ARGS]{}");
    same(state, "[TOOL_CALLS]add[ARGS]{\"a\": ");
    same(state, "[TOOL_CALLS]add[ARGS]");
    same(state, "[TOOL_CALLS]");
    same(state, "see [TOOL_CALLX] and [1, 2]");
}

static void test_whole_answer(void **state)
{
    check(state, "{\"name\": \"add\", \"parameters\": {\"a\": \"1\"}}", "@add({\"a\": \"1\"})");
    check(state, " \n{\"type\":\"function\",\"name\":\"add\",\"parameters\":{}}\n", "@add({})");
    check(state, "<|python_tag|>{\"name\": \"add\", \"parameters\": {}}", "@add({})");
    check(state, "{\"name\":\"add\",\"parameters\":{}}; {\"name\":\"get_weather\",\"parameters\":{}}",
          "@add({})@get_weather({})");
    same(state, "{\"name\": \"add\", \"parameters\": {}} is how to call it");
    same(state, "Here: {\"name\": \"add\", \"parameters\": {}}");
    same(state, "{\"name\": \"Bob\", \"age\": 3}");
    same(state, "{\"name\": \"add\"}");
    same(state, "{\"city\": \"Ulm\"}");
    same(state, "{\"name\": \"add\", \"parameters\": {");
    same(state, "{}");
    same(state, "{");
}

static void test_control_tokens(void **state)
{
    const json_t *tools = ((struct fixture *)*state)->tools;
    const struct {
        struct part parts[6];
        const char *expected;
    } cases[] = {
        {{{"[TOOL_CALLS]", true}, {"add", false}, {"[ARGS]", true}, {"{\"a\":", false}, {"1}", false}},
         "@add({\"a\":1})"},
        /* not shown when there is no call after it; the same letters as text are */
        {{{"[TOOL_CALLS]", true}, {"nope", false}, {"[ARGS]", true}, {"{}", false}}, "nope{}"},
        {{{"[TOOL_CALLS]", false}, {"nope", false}}, "[TOOL_CALLS]nope"},
        {{{"<|python_tag|>", true}, {"print(1)", false}, {"<|eom_id|>", true}}, "print(1)"},
        {{{"a", false}, {"<|im_start|>", true}, {"b", false}}, "ab"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = 0;
        while (n < 6 && cases[i].parts[n].text)
            n++;
        char *got = run_parts(tools, false, cases[i].parts, n);
        assert_string_equal(got, cases[i].expected);
        free(got);
    }
}

static void test_only_first(void **state)
{
    const json_t *tools = ((struct fixture *)*state)->tools;
    const struct part parts[] = {{"Hm. <tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>", false},
                                 {"<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call> x", false}};
    char *got = run_parts(tools, true, parts, 2);
    assert_string_equal(got, "Hm. @add({})");
    free(got);
}

/* Ordinary text is not held back, and a possible beginning only as long as it is one. */
static void test_is_prompt(void **state)
{
    const json_t *tools = ((struct fixture *)*state)->tools;
    struct buffer out = {0};
    struct tool_calls calls = {.tools = tools, .sink = record, .context = &out};
    tool_calls_feed(&calls, "Hello <", 7, false);
    assert_string_equal(out.data, "Hello ");
    tool_calls_feed(&calls, "b>", 2, false);
    assert_string_equal(out.data, "Hello <b>");
    tool_calls_feed(&calls, " {\"name\"", 8, false);
    assert_string_equal(out.data, "Hello <b> {\"name\"");
    tool_calls_free(&calls);
    buffer_clear(&out);
    calls = (struct tool_calls){.tools = tools, .sink = record, .context = &out};
    tool_calls_feed(&calls, "{\"ci", 4, false); /* another JSON answer */
    assert_string_equal(out.data, "{\"ci");
    tool_calls_free(&calls);
    buffer_free(&out);
}

/* Too much, too deep, too many: text, and nothing is lost. */
static void test_limits(void **state)
{
    const json_t *tools = ((struct fixture *)*state)->tools;
    static const char head[] = "<tool_call>{\"name\":\"add\",\"arguments\":{\"a\":";
    struct buffer text = {0};
    buffer_text(&text, head);
    for (int i = 0; i < 100; i++)
        buffer_text(&text, "[");
    for (int i = 0; i < 100; i++)
        buffer_text(&text, "]");
    buffer_text(&text, "}}</tool_call>");
    char *got = run_cut(tools, text.data, 1, 50);
    assert_string_equal(got, text.data);
    free(got);
    buffer_clear(&text);
    buffer_text(&text, head);
    buffer_text(&text, "\"");
    while (text.length < TOOL_CALL_MAX_BYTES + 1000)
        buffer_text(&text, "0123456789012345678901234567890123456789");
    got = run_cut(tools, text.data, 1, 5000);
    assert_string_equal(got, text.data);
    free(got);
    buffer_clear(&text);
    static const char call[] = "<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>";
    for (int i = 0; i < TOOL_CALL_MAX + 1; i++)
        buffer_text(&text, call);
    got = run_cut(tools, text.data, 1, 500);
    assert_int_equal(strlen(got), TOOL_CALL_MAX * strlen("@add({})") + strlen(call));
    assert_string_equal(got + strlen(got) - strlen(call), call);
    free(got);
    buffer_free(&text);
}

/* JSON inside a text is not counted with what is around it, and parsers recurse: threads of connections have
 * small stacks. */
static void test_depth_inside_texts(void **state)
{
    const json_t *tools = ((struct fixture *)*state)->tools;
    struct buffer deep = {0}, text = {0}, expected = {0};
    for (int i = 0; i < 500; i++)
        buffer_text(&deep, "[");
    for (int i = 0; i < 500; i++)
        buffer_text(&deep, "]");
    buffer_format(&text, "<tool_call>{\"name\":\"add\",\"arguments\":\"{\\\"list\\\":%s}\"}</tool_call>",
                  deep.data);
    char *got = run_cut(tools, text.data, 1, 100);
    assert_string_equal(got, text.data); /* no call */
    free(got);
    buffer_clear(&text);
    buffer_format(
        &text, "<tool_call>\n<function=add>\n<parameter=list>\n%s\n</parameter>\n</function>\n</tool_call>",
        deep.data);
    buffer_format(&expected, "@add({\"list\": \"%s\"})", deep.data);
    got = run_cut(tools, text.data, 1, 100);
    assert_string_equal(got, expected.data); /* a text, not a list */
    free(got);
    buffer_free(&deep);
    buffer_free(&text);
    buffer_free(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hermes),       cmocka_unit_test(test_hermes_near_misses),
        cmocka_unit_test(test_coder),        cmocka_unit_test(test_mistral),
        cmocka_unit_test(test_whole_answer), cmocka_unit_test(test_control_tokens),
        cmocka_unit_test(test_only_first),   cmocka_unit_test(test_is_prompt),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_depth_inside_texts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
