/* Masks over the tiny model's tokenizer, where ids 0 to 255 are the bytes: what they allow, where they end,
 * and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "support/tiny_model.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

enum { WORDS = (TINY_VOCAB + 31) / 32 };

static char folder[256];
static struct grammar_factory *factory;
static uint32_t mask[WORDS];

static int open_factory(void **state)
{
    (void)state;
    static const int32_t eos[] = {-1, TINY_END, TINY_USER, 1 << 20};
    struct tiny_options options = {.format = TINY_F32, .seed = 1, .long_token = 700};
    struct tokenizer *tokenizer = NULL;
    tiny_model_write(&options, folder, sizeof folder);
    int failed = tokenizer_open(folder, &tokenizer, NULL) ||
                 grammar_factory_open(tokenizer, TINY_VOCAB, eos, 4, &factory, NULL);
    tokenizer_close(tokenizer); /* the factory does without */
    return failed;
}

static int close_factory(void **state)
{
    (void)state;
    grammar_factory_close(factory);
    tiny_model_remove(folder);
    return 0;
}

static struct grammar *open_grammar(enum grammar_kind kind, const char *text)
{
    struct grammar *grammar = NULL;
    struct error error = {0};
    if (grammar_open(factory, kind, text, strlen(text), &grammar, &error))
        fail_msg("%s: %s", text, error.message);
    return grammar;
}

static bool may(int32_t token)
{
    return mask[token / 32] >> (token % 32) & 1;
}

static uint32_t n_allowed(void)
{
    uint32_t n = 0;
    for (int32_t i = 0; i < WORDS * 32; i++)
        n += may(i);
    return n;
}

static enum grammar_end go_on(struct grammar *grammar, const char *text)
{
    enum grammar_end end = GRAMMAR_END_NO;
    struct error error = {0};
    for (; *text; text++) {
        if (grammar_mask(grammar, mask, &error) || !may((unsigned char)*text))
            fail_msg("at \"%s\": %s", text, error.message);
        if (grammar_accept(grammar, (unsigned char)*text, &end, &error))
            fail_msg("at \"%s\": %s", text, error.message);
    }
    return end;
}

static void test_the_end_is_allowed_where_the_text_may_end(void **state)
{
    (void)state;
    struct grammar *grammar = open_grammar(GRAMMAR_REGEX, "ab?c*");
    assert_int_equal(grammar_mask(grammar, mask, NULL), 0);
    assert_true(may('a') && n_allowed() == 1);
    assert_int_equal(go_on(grammar, "a"), GRAMMAR_END_ALLOWED);
    assert_int_equal(grammar_mask(grammar, mask, NULL), 0);
    assert_true(may('b') && may('c') && may(TINY_END) && may(TINY_USER)); /* both ends */
    assert_int_equal(n_allowed(), 4);
    grammar_close(grammar);
    grammar = open_grammar(GRAMMAR_REGEX, "abc");
    assert_int_equal(go_on(grammar, "ab"), GRAMMAR_END_NO);
    assert_int_equal(go_on(grammar, "c"), GRAMMAR_END_REACHED);
    grammar_close(grammar);
}

/* Special tokens, holes, padding, a token too long to be looked at, bytes that no text has. */
static void test_what_has_no_text_is_never_allowed(void **state)
{
    (void)state;
    struct grammar *grammar = open_grammar(GRAMMAR_REGEX, "(?s).*");
    assert_int_equal(grammar_mask(grammar, mask, NULL), 0);
    assert_true(may('a') && may(0xC3) && may(TINY_BYTES)); /* the first merge */
    for (int32_t i = TINY_END; i < WORDS * 32; i++)
        assert_int_equal(may(i), i == TINY_END || i == TINY_USER);
    assert_false(may(0xFF) || may(0xC0) || may(0x80));
    grammar_close(grammar);
    /* unless the grammar names it */
    grammar = open_grammar(GRAMMAR_LARK, "start: <|assistant|> \"x\"");
    assert_int_equal(grammar_mask(grammar, mask, NULL), 0);
    assert_true(may(TINY_ASSISTANT) && n_allowed() == 1);
    grammar_close(grammar);
}

static void test_json(void **state)
{
    (void)state;
    struct grammar *grammar = open_grammar(GRAMMAR_JSON, "");
    assert_int_equal(go_on(grammar, "{\n  \"a\": [1.5e3, true, {}], \"\": \"\\n\xC3\xA9\"\n"),
                     GRAMMAR_END_NO);
    assert_int_equal(go_on(grammar, "}"), GRAMMAR_END_REACHED);
    grammar_close(grammar);
    grammar = open_grammar(GRAMMAR_SCHEMA, "{\"type\":\"integer\",\"maximum\":20,\"minimum\":0}");
    assert_int_equal(go_on(grammar, "1"), GRAMMAR_END_ALLOWED);
    assert_int_equal(grammar_mask(grammar, mask, NULL), 0);
    assert_true(may('9') && may(TINY_END) && !may('.'));
    grammar_close(grammar);
}

static void test_what_was_not_allowed_is_an_error(void **state)
{
    (void)state;
    struct grammar *grammar = open_grammar(GRAMMAR_REGEX, "abc");
    enum grammar_end end;
    struct error error = {0};
    assert_true(grammar_accept(grammar, 'x', &end, &error) < 0);
    assert_true(error.message[0] != '\0' && !strchr(error.message, '\n'));
    assert_true(grammar_mask(grammar, mask, &error) < 0); /* and stays one */
    grammar_close(grammar);
    grammar = open_grammar(GRAMMAR_REGEX, "abc");
    assert_true(grammar_accept(grammar, INT32_MAX, &end, &error) < 0);
    grammar_close(grammar);
    grammar_close(NULL);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        enum grammar_kind kind;
        const char *text;
        int code;
        const char *word;
    } wrong[] = {
        {GRAMMAR_SCHEMA, "{\"a\":", ERROR_INVALID, "not JSON"},
        {GRAMMAR_SCHEMA, "\"\xC3\x28\"", ERROR_INVALID, "UTF-8"},
        {GRAMMAR_SCHEMA, "{\"properties\":{\"a/b\":{\"not\":{}}}}", ERROR_UNSUPPORTED,
         "#/properties/a~1b/not"},
        {GRAMMAR_SCHEMA, "{\"x-guidance\":{\"lenient\":true}}", ERROR_UNSUPPORTED, "x-guidance"},
        {GRAMMAR_SCHEMA, "{\"type\":\"string\",\"format\":\"shoe\"}", ERROR_UNSUPPORTED, "shoe"},
        {GRAMMAR_REGEX, "a{2,1}", ERROR_INVALID, "regular expression"},
        {GRAMMAR_REGEX, "(?=a)b", ERROR_UNSUPPORTED, "look-around"},
        {GRAMMAR_LARK, "start: \"a\" <|none|>", ERROR_INVALID, "none"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct grammar *grammar = NULL;
        struct error error = {0};
        int code =
            grammar_open(factory, wrong[i].kind, wrong[i].text, strlen(wrong[i].text), &grammar, &error);
        if (code != wrong[i].code || !strstr(error.message, wrong[i].word))
            fail_msg("%s: %d, %s", wrong[i].text, code, error.message);
        assert_null(grammar);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end_is_allowed_where_the_text_may_end),
        cmocka_unit_test(test_what_has_no_text_is_never_allowed),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_what_was_not_allowed_is_an_error),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, open_factory, close_factory);
}
