/* Patterns against paths, and targets taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/router.h"
#include "http/target.h"

static const struct http_route some[] = {
    {"GET", "/api/chats", NULL, "", NULL, NULL, 0, false},
    {"POST", "/api/chats", NULL, "", NULL, NULL, 0, false},
    {"GET", "/api/chats/{id}", NULL, "", NULL, NULL, 0, false},
    {"GET", "/api/chats/{id}/export.md", NULL, "", NULL, NULL, 0, false},
};
static const struct http_route others[] = {
    {"DELETE", "/api/models/{id...}", NULL, "", NULL, NULL, 0, false},
    {"POST", "/api/models/{id}", NULL, "", NULL, NULL, 0, false},
    {"POST", "/api/models/load", NULL, "", NULL, NULL, 0, false},
    {"GET", "/a/{x}/b/{y}", NULL, "", NULL, NULL, 0, false},
    {"GET", "/", NULL, "", NULL, NULL, 0, false},
};
static const struct http_route pages[] = {
    {"GET", "/chat", NULL, NULL, NULL, NULL, 0, false},
    {"GET", "/chat/{rest...}", NULL, NULL, NULL, NULL, 0, false},
};
static const struct http_route_table table_a = {some, 4}, table_b = {others, 5}, table_c = {pages, 2};
static const struct http_route_table *const tables[] = {&table_a, &table_b, &table_c};

static struct http_match match(const char *method, const char *path)
{
    struct http_match found;
    http_match_route(tables, 3, method, path, &found);
    return found;
}

static void finds(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *pattern;
    } cases[] = {{"GET", "/api/chats", "/api/chats"},
                 {"HEAD", "/api/chats", "/api/chats"},
                 {"GET", "/api/chats/x", "/api/chats/{id}"},
                 {"GET", "/api/chats/x%2Fy", "/api/chats/{id}"},
                 {"GET", "/api/chats/x/export.md", "/api/chats/{id}/export.md"},
                 {"POST", "/api/models/load", "/api/models/load"},
                 {"POST", "/api/models/loads", "/api/models/{id}"},
                 {"DELETE", "/api/models/load", "/api/models/{id...}"},
                 {"DELETE", "/api/models/a/b/c", "/api/models/{id...}"},
                 {"GET", "/", "/"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_match found = match(cases[i].method, cases[i].path);
        assert_non_null(found.route);
        assert_string_equal(found.route->pattern, cases[i].pattern);
    }
    static const char *const nothing[] = {"/api/chats/",   "/api//chats",    "//api/chats",
                                          "/api/chats/x/", "api/chats",      "/API/chats",
                                          "/api/models/",  "/api/chats/x/y", "",
                                          "/a//b/1"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        struct http_match found = match("GET", nothing[i]);
        if (found.route || found.allow[0])
            fail_msg("'%s' was found", nothing[i]);
    }
}

static void parameters(void **state)
{
    (void)state;
    struct http_match found = match("DELETE", "/api/models/org/name%20x");
    assert_int_equal(found.n_parameters, 1);
    assert_memory_equal(found.parameters[0].name, "id", found.parameters[0].name_length);
    assert_int_equal(found.parameters[0].name_length, 2);
    assert_string_equal(found.parameters[0].value, "org/name%20x");
    found = match("GET", "/a/1/b/22");
    assert_int_equal(found.n_parameters, 2);
    assert_int_equal(found.parameters[0].length, 1);
    assert_int_equal(found.parameters[1].length, 2);
    assert_memory_equal(found.parameters[1].name, "y", 1);
}

static void allows(void **state)
{
    (void)state;
    struct http_match found = match("PATCH", "/api/chats");
    assert_null(found.route);
    assert_string_equal(found.allow, "GET, HEAD, POST, OPTIONS");
    found = match("GET", "/api/models/load");
    assert_null(found.route);
    assert_string_equal(found.allow, "DELETE, POST, OPTIONS");
    found = match("GET", "/api/chat");
    assert_string_equal(found.allow, "");
    assert_string_equal(found.near, "/api/chats");
}

/* The page's addresses are there for browsers; whoever means the API is told of the API. */
static void page_addresses(void **state)
{
    (void)state;
    assert_string_equal(match("GET", "/chat").route->pattern, "/chat");
    assert_string_equal(match("HEAD", "/chat/a/b").route->pattern, "/chat/{rest...}");
    assert_string_equal(match("OPTIONS", "/chat").allow, "GET, HEAD, OPTIONS");
    static const char *const methods[] = {"POST", "PUT", "DELETE", "BREW"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct http_match found = match(methods[i], "/chat");
        assert_null(found.route);
        assert_string_equal(found.allow, "");
    }
    assert_null(match("GET", "/chat/").route);
    assert_null(match("GET", "/chat2").near);
}

static void targets(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path; /* NULL: refused */
    } cases[] = {{"/a", "/a"},       {"/%41%2f", "/A/"},       {"/a?b=c", "/a"}, {"/%", NULL},
                 {"/%4", NULL},      {"/%4g", NULL},           {"/%00", NULL},   {"/a?x=%00", NULL},
                 {"/a?%zz=1", NULL}, {"/%C3%A4", "/\xC3\xA4"}, {"/%FF", NULL},   {"/a?x=%FF", NULL},
                 {"/%C0%80", NULL},  {"/a+b", "/a+b"},         {"/a?", "/a"},    {"/a?&&", "/a"},
                 {"/%2500", "/%00"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        struct http_target target;
        struct error error = {0};
        arena_init(&arena);
        int status = target_parse(cases[i].text, &arena, &target, &error);
        if ((status == 0) != (cases[i].path != NULL))
            fail_msg("%s: %d %s", cases[i].text, status, error.message);
        if (cases[i].path)
            assert_string_equal(target.path, cases[i].path);
        arena_free(&arena);
    }
}

static void queries(void **state)
{
    (void)state;
    struct arena arena;
    struct http_target target;
    struct error error = {0};
    arena_init(&arena);
    assert_int_equal(target_parse("/a?x=1&y=a+b%2B&z&x=2&=e&q=a=b", &arena, &target, &error), 0);
    assert_string_equal(target.raw_path, "/a");
    assert_int_equal(target.n_query, 6);
    assert_string_equal(target.query[1].value, "a b+");
    assert_string_equal(target.query[2].name, "z");
    assert_string_equal(target.query[2].value, "");
    assert_string_equal(target.query[5].value, "a=b");
    char many[4 * (HTTP_MAX_QUERY + 2)] = "/?";
    for (int i = 0; i <= HTTP_MAX_QUERY; i++)
        strcat(many, "a=&");
    assert_int_equal(target_parse(many, &arena, &target, &error), ERROR_INVALID);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds),   cmocka_unit_test(parameters),
                                       cmocka_unit_test(allows),  cmocka_unit_test(page_addresses),
                                       cmocka_unit_test(targets), cmocka_unit_test(queries)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
