/* Stop strings: the same text and the same end, however the text was cut into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/random.h"
#include "engine/stops.h"

struct result {
    char out[512];
    bool stopped;
    size_t most_held;
};

/* Pushes text in pieces whose ends are the set bits of `cuts` (characters kept whole by the caller). */
static struct result run(const char *text, const char *const *strings, uint32_t n, uint64_t cuts)
{
    struct arena arena;
    struct stops stops;
    struct result result = {0};
    size_t length = strlen(text), written = 0;
    arena_init(&arena);
    assert_int_equal(stops_init(&stops, strings, n, 64, &arena, NULL), 0);
    for (size_t start = 0, end; start < length && !result.stopped; start = end) {
        end = start + 1;
        while (end < length && !(cuts >> (end - 1) & 1))
            end++;
        size_t ready;
        memcpy(stops_tail(&stops), text + start, end - start);
        result.stopped = stops_push(&stops, end - start, &ready);
        memcpy(result.out + written, stops.text, ready);
        written += ready;
        stops_consume(&stops, ready);
        if (!result.stopped && stops.length > result.most_held)
            result.most_held = stops.length;
    }
    if (!result.stopped)
        memcpy(result.out + written, stops.text, stops.length);
    assert_true(result.most_held <= stops_max_held(&stops));
    arena_free(&arena);
    return result;
}

static void test_every_way_of_cutting(void **state)
{
    (void)state;
    const struct {
        const char *text, *stops[3];
        uint32_t n;
        const char *out;
        bool stopped;
    } cases[] = {
        {"say stop now", {"stop"}, 1, "say ", true},
        {"say sto", {"stop"}, 1, "say sto", false},
        {"ssstop!", {"sstop"}, 1, "s", true},
        {"aabaabaaac", {"aabaaac"}, 1, "aab", true},
        {"abcd", {"abc", "b"}, 2, "a", true},   /* "b" is complete first */
        {"xabcd", {"bc", "abc"}, 2, "x", true}, /* complete together: the longer one */
        {"one\n\ntwo", {"\n\n"}, 1, "one", true},
        {"no match", {"END", "zz", "tch!"}, 3, "no match", false},
        {"stop", {"stop"}, 1, "", true},
        {"mississippi", {"issip"}, 1, "miss", true},
        {"plain", {NULL}, 0, "plain", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t ways = (size_t)1 << (strlen(cases[i].text) - 1);
        for (uint64_t cuts = 0; cuts < ways; cuts++) {
            struct result result = run(cases[i].text, cases[i].stops, cases[i].n, cuts);
            assert_string_equal(result.out, cases[i].out);
            assert_int_equal(result.stopped, cases[i].stopped);
        }
    }
}

static void test_nothing_is_held_without_need(void **state)
{
    (void)state;
    const char *const stop[] = {"stop"};
    assert_int_equal(run("s t o p", stop, 1, ~UINT64_C(0)).most_held, 1);
    assert_int_equal(run("sto", stop, 1, ~UINT64_C(0)).most_held, 3);
    assert_int_equal(run("no such start", stop, 0, ~UINT64_C(0)).most_held, 0);
}

static void test_whole_characters(void **state)
{
    (void)state;
    /* "é" and "è" share their first byte: it alone is not the start of a stop string that could be held,
     * because pieces are whole characters */
    const char *const stop[] = {"\xC3\xA9nd", "\xF0\x9F\x98\x80"};
    struct result result = run("\xC3\xA8\xC3\xA9n\xC3\xA9nd", stop, 2, 0);
    assert_string_equal(result.out, "\xC3\xA8\xC3\xA9n");
    assert_true(result.stopped);
    result = run("ok \xF0\x9F\x98\x81\xF0\x9F\x98\x80", stop, 2, UINT64_C(1) << 2 | UINT64_C(1) << 6);
    assert_string_equal(result.out, "ok \xF0\x9F\x98\x81");
    assert_true(result.stopped);
}

/* Against a search that sees the whole text at once. */
static void test_random_texts(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 3000; round++) {
        char text[24] = {0}, strings[3][6] = {{0}};
        const char *stops[3];
        uint64_t r = 0;
        for (int i = 0; i < 20; i++)
            text[i] = (char)('a' + random_u64(round, r++) % 3);
        for (int s = 0; s < 3; s++) {
            size_t length = 2 + random_u64(round, r++) % 4;
            for (size_t i = 0; i < length; i++)
                strings[s][i] = (char)('a' + random_u64(round, r++) % 3);
            stops[s] = strings[s];
        }
        char expected[24];
        strcpy(expected, text);
        size_t end = SIZE_MAX, begin = 0;
        for (size_t i = 0; i < strlen(text); i++)
            for (int s = 0; s < 3; s++)
                if (!strncmp(text + i, stops[s], strlen(stops[s])) && i + strlen(stops[s]) < end) {
                    begin = i;
                    end = i + strlen(stops[s]);
                }
        if (end != SIZE_MAX)
            expected[begin] = '\0';
        struct result result = run(text, stops, 3, random_u64(round, r));
        assert_string_equal(result.out, expected);
        assert_int_equal(result.stopped, end != SIZE_MAX);
    }
}

static void test_bad_stop_strings(void **state)
{
    (void)state;
    char too_long[ENGINE_MAX_STOP_BYTES + 2];
    memset(too_long, 'x', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    const struct {
        const char *text, *what;
    } cases[] = {{"", "empty"},
                 {NULL, "empty"},
                 {too_long, "longer"},
                 {"\xA9", "UTF-8"},
                 {"ok\xC3", "UTF-8"},
                 {"\xC0\x80", "UTF-8"},
                 {"\xED\xA0\x80", "UTF-8"},
                 {"\xF4\x90\x80\x80", "UTF-8"},
                 {"\xE0\x80\x80", "UTF-8"}};
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stops stops;
        struct error error = {0};
        const char *strings[2] = {"good", cases[i].text};
        assert_int_equal(stops_init(&stops, strings, 2, 64, &arena, &error), ERROR_INVALID);
        assert_non_null(strstr(error.message, "stops[1]"));
        assert_non_null(strstr(error.message, cases[i].what));
    }
    struct stops stops;
    const char *many[ENGINE_MAX_STOPS + 1];
    for (int i = 0; i <= ENGINE_MAX_STOPS; i++)
        many[i] = "x";
    assert_int_equal(stops_init(&stops, many, ENGINE_MAX_STOPS, 64, &arena, NULL), 0);
    assert_int_equal(stops_init(&stops, many, ENGINE_MAX_STOPS + 1, 64, &arena, NULL), ERROR_INVALID);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way_of_cutting), cmocka_unit_test(test_nothing_is_held_without_need),
        cmocka_unit_test(test_whole_characters),     cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_bad_stop_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
