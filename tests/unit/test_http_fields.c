/* Bodies and their fields, on an exchange that no connection belongs to; and the form of events. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/exchange_internal.h"
#include "http/fields.h"
#include "http/sse.h"

static void begin(struct http_exchange *exchange, const char *body, size_t length)
{
    memset(exchange, 0, sizeof *exchange);
    arena_init(&exchange->arena);
    exchange->target.path = "/test";
    buffer_append(&exchange->body, body, length);
}

/* The answer was 400 and named this parameter (NULL: none). */
static void expect_problem(struct http_exchange *exchange, const char *param)
{
    assert_int_equal(exchange->response.status, 400);
    json_t *json = json_loads(exchange->response.body.data, 0, NULL);
    assert_non_null(json);
    json_t *error = json_object_get(json, "error");
    assert_int_equal(json_object_size(error), 4);
    json_t *named = json_object_get(error, "param");
    if (param)
        assert_string_equal(json_string_value(named), param);
    else
        assert_true(json_is_null(named));
    assert_string_equal(json_string_value(json_object_get(error, "type")), "invalid_request_error");
    json_decref(json);
    exchange_free(exchange);
}

static void bodies(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "[]",
                                        "3",
                                        "null",
                                        "{",
                                        "{}{}",
                                        "{} x",
                                        "{\"a\":1,\"a\":2}",
                                        "{\"a\":NaN}",
                                        "{\"a\":Infinity}",
                                        "{\"a\":1e400}",
                                        "{\"a\":\"\xFF\"}",
                                        "{\"a\":\"\\ud800\"}",
                                        "{\"a\":\"\\u0000\"}",
                                        "{'a':1}",
                                        "{\"a\":01}",
                                        "{\"a\":99999999999999999999}",
                                        "\xEF\xBB\xBF{}",
                                        "{\"\\u0000\":1}"};
    struct http_exchange exchange;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        begin(&exchange, wrong[i], strlen(wrong[i]));
        json_t *json = http_json_object(&exchange, 0);
        if (json)
            fail_msg("%s was taken", wrong[i]);
        expect_problem(&exchange, NULL);
    }
    begin(&exchange, "{\"a\":1}\0", 8); /* a zero byte behind the end is garbage too */
    assert_null(http_json_object(&exchange, 0));
    expect_problem(&exchange, NULL);
    begin(&exchange, "", 0);
    json_t *empty = http_json_object(&exchange, 1);
    assert_int_equal(json_object_size(empty), 0);
    json_decref(empty);
    exchange_free(&exchange);
}

static void depths(void **state)
{
    (void)state;
    struct http_exchange exchange;
    for (int depth = 62; depth <= 66; depth++) { /* arrays inside one object */
        char body[256] = "{\"[[[\\\"[[\":";
        for (int i = 0; i < depth; i++)
            strcat(body, "[");
        for (int i = 0; i < depth; i++)
            strcat(body, "]");
        strcat(body, "}");
        begin(&exchange, body, strlen(body));
        json_t *json = http_json_object(&exchange, 0);
        assert_int_equal(json != NULL, depth + 1 <= 64);
        json_decref(json);
        exchange_free(&exchange);
    }
    size_t n = 1 << 20; /* never recursed into */
    char *brackets = malloc(n);
    memset(brackets, '[', n);
    begin(&exchange, brackets, n);
    assert_null(http_json_object(&exchange, 0));
    expect_problem(&exchange, NULL);
    free(brackets);
}

enum kind { BOOLEAN, INTEGER, NUMBER, STRING, CHOICE, ARRAY, OBJECT, REQUIRED, KNOWN };

static bool read_field(struct http_exchange *exchange, const json_t *json, enum kind kind)
{
    static const char *const choices[] = {"low", "high"};
    static const char *const names[] = {"f", "flavour"};
    bool boolean;
    int64_t integer;
    double number;
    const char *text;
    size_t choice;
    json_t *value;
    switch (kind) {
    case BOOLEAN:
        return http_field_boolean(exchange, json, "f", &boolean);
    case INTEGER:
        return http_field_integer(exchange, json, "f", 0, 16, &integer);
    case NUMBER:
        return http_field_number(exchange, json, "f", 0, 2, &number);
    case STRING:
        return http_field_string(exchange, json, "f", 4, &text);
    case CHOICE:
        return http_field_choice(exchange, json, "f", choices, 2, &choice);
    case ARRAY:
        return http_field_array(exchange, json, "f", 2, &value);
    case OBJECT:
        return http_field_object(exchange, json, "f", &value);
    case REQUIRED:
        return http_field_required(exchange, json, "f");
    default:
        return http_fields_known(exchange, json, names, 2);
    }
}

static void fields(void **state)
{
    (void)state;
    static const struct {
        enum kind kind;
        const char *body;
        bool fine;
    } cases[] = {{BOOLEAN, "{\"f\":true}", true},
                 {BOOLEAN, "{\"f\":null}", true},
                 {BOOLEAN, "{}", true},
                 {BOOLEAN, "{\"f\":1}", false},
                 {BOOLEAN, "{\"f\":\"true\"}", false},
                 {INTEGER, "{\"f\":0}", true},
                 {INTEGER, "{\"f\":16}", true},
                 {INTEGER, "{\"f\":null}", true},
                 {INTEGER, "{\"f\":-1}", false},
                 {INTEGER, "{\"f\":17}", false},
                 {INTEGER, "{\"f\":3.0}", false},
                 {INTEGER, "{\"f\":1e308}", false},
                 {INTEGER, "{\"f\":\"3\"}", false},
                 {INTEGER, "{\"f\":[]}", false},
                 {INTEGER, "{\"f\":9223372036854775807}", false},
                 {INTEGER, "{\"f\":true}", false},
                 {NUMBER, "{\"f\":0}", true},
                 {NUMBER, "{\"f\":2}", true},
                 {NUMBER, "{\"f\":1.5e0}", true},
                 {NUMBER, "{\"f\":-0.001}", false},
                 {NUMBER, "{\"f\":1e308}", false},
                 {NUMBER, "{\"f\":-1e308}", false},
                 {NUMBER, "{\"f\":\"1\"}", false},
                 {NUMBER, "{\"f\":{}}", false},
                 {STRING, "{\"f\":\"\"}", true},
                 {STRING, "{\"f\":\"abcd\"}", true},
                 {STRING, "{\"f\":\"abcde\"}", false},
                 {STRING, "{\"f\":3}", false},
                 {CHOICE, "{\"f\":\"high\"}", true},
                 {CHOICE, "{\"f\":\"High\"}", false},
                 {CHOICE, "{\"f\":2}", false},
                 {ARRAY, "{\"f\":[1,2]}", true},
                 {ARRAY, "{\"f\":[1,2,3]}", false},
                 {ARRAY, "{\"f\":{}}", false},
                 {OBJECT, "{\"f\":{}}", true},
                 {OBJECT, "{\"f\":[]}", false},
                 {REQUIRED, "{\"f\":0}", true},
                 {REQUIRED, "{\"f\":null}", false},
                 {REQUIRED, "{}", false},
                 {KNOWN, "{\"f\":1,\"flavour\":2}", true},
                 {KNOWN, "{}", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_exchange exchange;
        begin(&exchange, cases[i].body, strlen(cases[i].body));
        json_t *json = http_json_object(&exchange, 0);
        assert_non_null(json);
        bool fine = read_field(&exchange, json, cases[i].kind);
        json_decref(json);
        if (fine != cases[i].fine)
            fail_msg("%s", cases[i].body);
        if (fine)
            exchange_free(&exchange);
        else
            expect_problem(&exchange, "f");
    }
    struct http_exchange exchange;
    begin(&exchange, "{\"flavor\":1}", 12);
    json_t *json = http_json_object(&exchange, 0);
    assert_false(read_field(&exchange, json, KNOWN));
    assert_non_null(strstr(exchange.response.body.data, "did you mean 'flavour'?"));
    json_decref(json);
    expect_problem(&exchange, "flavor");
}

static void defaults_stay(void **state)
{
    (void)state;
    struct http_exchange exchange;
    begin(&exchange, "{\"a\":null}", 10);
    json_t *json = http_json_object(&exchange, 0);
    int64_t n = 7;
    const char *text = "default";
    assert_true(http_field_integer(&exchange, json, "a", 0, 1, &n));
    assert_true(http_field_string(&exchange, json, "b", 1, &text));
    assert_int_equal(n, 7);
    assert_string_equal(text, "default");
    assert_false(http_field_given(json, "a"));
    json_decref(json);
    exchange_free(&exchange);
}

static void query_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool fine;
    } cases[] = {
        {"5", true},   {"0", true},   {"-1", false}, {"21", false},  {"", false},
        {" 5", false}, {"5x", false}, {"+5", false}, {"1e1", false}, {"99999999999999999999", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_exchange exchange;
        begin(&exchange, "", 0);
        exchange.target.query[0] = (struct http_pair){"limit", cases[i].value};
        exchange.target.n_query = 1;
        int64_t n = 0;
        assert_int_equal(http_query_integer(&exchange, "limit", 0, 20, &n), cases[i].fine);
        exchange_free(&exchange);
    }
}

static void query_switches(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool fine, is;
    } cases[] = {{"true", true, true}, {"false", true, false}, {"", false, false},
                 {"1", false, false},  {"True", false, false}, {"true ", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_exchange exchange;
        begin(&exchange, "", 0);
        exchange.target.query[0] = (struct http_pair){"imported", cases[i].value};
        exchange.target.n_query = 1;
        bool is = !cases[i].is, given = false, other = true;
        assert_int_equal(http_query_boolean(&exchange, "imported", &is, &given), cases[i].fine);
        assert_true(given && (!cases[i].fine || is == cases[i].is));
        assert_true(http_query_boolean(&exchange, "other", &other, &given));
        assert_true(!given && other);
        exchange_free(&exchange);
    }
}

static void answers(void **state)
{
    (void)state;
    struct http_exchange exchange;
    begin(&exchange, "", 0);
    http_set_header(&exchange, "X-A", "a\r\nX-B: b");
    http_reply_problem(&exchange, 429, "busy", NULL, "with %s", "\"quotes\"\nand \xFF bytes");
    assert_int_equal(exchange.response.status, 429);
    assert_string_equal(exchange.response.headers[0].value, "a  X-B: b");
    assert_string_equal(exchange.response.headers[1].name, "Retry-After");
    json_t *json = json_loads(exchange.response.body.data, 0, NULL);
    assert_non_null(json); /* still JSON, whatever was in the message */
    json_decref(json);
    http_reply_json(&exchange, 200, json_object()); /* the second answer is dropped */
    assert_int_equal(exchange.response.status, 429);
    exchange_free(&exchange);
    begin(&exchange, "", 0);
    http_reply_json(&exchange, 200, NULL);
    assert_int_equal(exchange.response.status, 500);
    exchange_free(&exchange);
}

static void event_format(void **state)
{
    (void)state;
    struct buffer out = {0};
    sse_text(&out, NULL, -1, "one", 3);
    sse_text(&out, "end", 7, "a\nb\r\nc\rd\n", 9);
    sse_comment(&out, "still here");
    assert_string_equal(out.data,
                        "data: one\n\nevent: end\nid: 7\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"
                        ": still here\n\n");
    buffer_clear(&out);
    sse_json(&out, NULL, -1, json_pack("{s:s}", "t", "a\nb"));
    assert_string_equal(out.data, "data: {\"t\":\"a\\nb\"}\n\n");
    assert_false(out.failed);
    sse_json(&out, NULL, -1, NULL);
    assert_true(out.failed);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bodies),        cmocka_unit_test(depths),
                                       cmocka_unit_test(fields),        cmocka_unit_test(defaults_stay),
                                       cmocka_unit_test(query_numbers), cmocka_unit_test(query_switches),
                                       cmocka_unit_test(answers),       cmocka_unit_test(event_format)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
