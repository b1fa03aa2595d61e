/* The detokenizer against Python's rules: never half a character, U+FFFD per maximal subpart, whatever way
 * the bytes are cut into tokens. The tokenizer is written here: ids 0..255 are the bytes, then some longer
 * tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "text/chat_template.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

static char folder[] = "/tmp/llmind_text_XXXXXX";
static struct tokenizer *bytes_tokenizer;

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

/* Byte 0xNN is the sentencepiece token <0xNN>; "▁the" 256, "▁" 257; <|end|> 258 is special, <think> 259 is
 * not. */
static char *tokenizer_json(const char *decoder)
{
    char *json = malloc(1 << 16);
    assert_non_null(json);
    size_t n = 0;
    n += (size_t)snprintf(
        json + n, (1 << 16) - n,
        "{\"version\":\"1.0\",\"added_tokens\":["
        "{\"id\":258,\"content\":\"<|end|>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
        "\"normalized\":false,\"special\":true},"
        "{\"id\":259,\"content\":\"<think>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
        "\"normalized\":false,\"special\":false}],"
        "\"normalizer\":null,\"pre_tokenizer\":null,\"post_processor\":null,\"decoder\":%s,"
        "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"merges\":[],\"vocab\":{",
        decoder);
    for (int i = 0; i < 256; i++) {
        n += (size_t)snprintf(json + n, (1 << 16) - n, "\"<0x%02X>\":%d,", (unsigned)i, i);
    }
    snprintf(json + n, (1 << 16) - n, "\"\xE2\x96\x81the\":256,\"\xE2\x96\x81\":257}}}");
    return json;
}

static const char sentencepiece[] =
    "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xE2\x96\x81\"},"
    "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}";

static int setup(void **state)
{
    (void)state;
    struct error error = {0};
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    char *json = tokenizer_json(sentencepiece);
    write_file("tokenizer.json", json);
    write_file("tokenizer_config.json",
               "{\"eos_token\":\"<|end|>\",\"chat_template\":\"{{ messages[0].content }}"
               "<|end|>{% if messages|length > 1 %}{{ raise_exception('too many') }}{% endif %}\"}");
    free(json);
    return tokenizer_open(folder, &bytes_tokenizer, &error);
}

static int teardown(void **state)
{
    (void)state;
    char path[256];
    tokenizer_close(bytes_tokenizer);
    const char *names[] = {"tokenizer.json", "tokenizer_config.json"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

/* Pushes ids one by one; every piece must be whole UTF-8 by itself. */
static size_t decode(const int32_t *ids, size_t count, char *out, bool with_special, bool continues)
{
    struct detokenizer detokenizer;
    detokenizer_init(&detokenizer, bytes_tokenizer, with_special, continues);
    size_t room = detokenizer_max_piece(bytes_tokenizer);
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        size_t piece = detokenizer_push(&detokenizer, ids[i], out + length, room);
        assert_true(piece <= room);
        for (size_t k = 0; k < piece;) {
            unsigned char c = (unsigned char)out[length + k];
            size_t need = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
            assert_true(c < 0x80 || c >= 0xC2);
            assert_true(k + need <= piece);
            for (size_t j = 1; j < need; j++) {
                assert_int_equal((unsigned char)out[length + k + j] & 0xC0, 0x80);
            }
            k += need;
        }
        length += piece;
    }
    return length + detokenizer_finish(&detokenizer, out + length, room);
}

static void check_bytes(const char *bytes, const char *expected)
{
    int32_t ids[64];
    char out[1024];
    size_t count = strlen(bytes);
    for (size_t i = 0; i < count; i++) {
        ids[i] = (unsigned char)bytes[i];
    }
    size_t length = decode(ids, count, out, false, true);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(out, expected, length);
}

#define FFFD "\xEF\xBF\xBD"

static void test_replacement(void **state)
{
    (void)state;
    /* Each pair is what Python says: bytes.decode("utf-8", "replace"). */
    static const char *const cases[][2] = {
        {"", ""},
        {"abc", "abc"},
        {"\xC3\xA9\xE6\x9D\xB1\xF0\x9F\x99\x82", "\xC3\xA9\xE6\x9D\xB1\xF0\x9F\x99\x82"},
        {"\xFF", FFFD},
        {"a\xC3", "a" FFFD},
        {"\xC3(", FFFD "("},
        {"\xE2\x82", FFFD},
        {"\xE2\x82x", FFFD "x"},
        {"\xE2\xC3\xA9", FFFD "\xC3\xA9"},
        {"\xF0\x9F\x99", FFFD},
        {"\xF0\x9F\x99\xF0\x9F\x99\x82", FFFD "\xF0\x9F\x99\x82"},
        {"\xED\xA0\x80", FFFD FFFD FFFD},
        {"\xF4\x90\x80\x80", FFFD FFFD FFFD FFFD},
        {"\xC0\xAF", FFFD FFFD},
        {"\xE0\x80\xAF", FFFD FFFD FFFD},
        {"\xF0\x80\x80\x80", FFFD FFFD FFFD FFFD},
        {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
        {"\xED\x9F\xBF\xEE\x80\x80", "\xED\x9F\xBF\xEE\x80\x80"},
        {"\x80\xBF", FFFD FFFD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_bytes(cases[i][0], cases[i][1]);
    }
}

static void test_first_space(void **state)
{
    (void)state;
    char out[256];
    const int32_t ids[] = {258, 256, 256};
    assert_int_equal(decode(ids, 3, out, false, false), 7);
    assert_memory_equal(out, "the the", 7);
    assert_int_equal(decode(ids, 3, out, false, true), 8);
    assert_memory_equal(out, " the the", 8);
    assert_int_equal(decode(ids, 3, out, true, false), 15);
    assert_memory_equal(out, "<|end|> the the", 15);
    assert_true(tokenizer_strips_first_space(bytes_tokenizer));
}

static void test_ids_out_of_range(void **state)
{
    (void)state;
    char out[256];
    const int32_t ids[] = {-1, INT32_MIN, INT32_MAX, 260, 'x', 100000};
    assert_int_equal(decode(ids, 6, out, true, false), 1);
    size_t length = 7;
    assert_string_equal(tokenizer_token_bytes(bytes_tokenizer, 260, true, &length), "");
    assert_int_equal(length, 0);
    assert_false(tokenizer_is_special(bytes_tokenizer, -5));
    assert_true(tokenizer_is_special(bytes_tokenizer, 258));
    assert_false(tokenizer_is_special(bytes_tokenizer, 259));
}

static void test_table(void **state)
{
    (void)state;
    size_t length = 0;
    assert_int_equal(tokenizer_vocab_size(bytes_tokenizer), 260);
    assert_memory_equal(tokenizer_token_bytes(bytes_tokenizer, 0xE2, false, &length), "\xE2", 1);
    assert_int_equal(length, 1);
    assert_memory_equal(tokenizer_token_bytes(bytes_tokenizer, 256, false, &length), " the", 4);
    assert_int_equal(length, 4);
    tokenizer_token_bytes(bytes_tokenizer, 258, false, &length);
    assert_int_equal(length, 0);
    assert_memory_equal(tokenizer_token_bytes(bytes_tokenizer, 259, false, &length), "<think>", 7);
    assert_int_equal(tokenizer_find(bytes_tokenizer, "<think>"), 259);
    assert_int_equal(tokenizer_find(bytes_tokenizer, "no such token"), -1);
    assert_int_equal(tokenizer_eos(bytes_tokenizer), 258);
    assert_int_equal(tokenizer_bos(bytes_tokenizer), -1);
}

static void test_encode_appends(void **state)
{
    (void)state;
    struct token_list list = {0};
    struct error error = {0};
    assert_int_equal(token_list_push(&list, 7, &error), 0);
    assert_int_equal(tokenizer_encode(bytes_tokenizer, "a<|end|>", 8, false, &list, &error), 0);
    assert_int_equal(tokenizer_encode(bytes_tokenizer, "", 0, false, &list, &error), 0);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.ids[0], 7);
    assert_int_equal(list.ids[1], 'a');
    assert_int_equal(list.ids[2], 258);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(token_list_push(&list, i, &error), 0);
    }
    assert_int_equal(list.count, 1003);
    token_list_free(&list);
    assert_null(list.ids);
}

static void test_rendered(void **state)
{
    (void)state;
    struct chat_template *chat_template = NULL;
    struct error error = {0};
    struct token_list list = {0};
    char *text = NULL;
    size_t length = 0;
    assert_int_equal(chat_template_open(folder, bytes_tokenizer, &chat_template, &error), 0);
    assert_non_null(chat_template);
    struct chat_template_input input = {.messages_json = "[{\"role\":\"user\",\"content\":\"<|end|>\"}]"};
    assert_int_equal(chat_template_render(chat_template, &input, &text, &length, &error), 0);
    assert_string_equal(text, "<\xEF\xB7\x91|end|><|end|>");
    assert_int_equal(tokenizer_encode_rendered(bytes_tokenizer, text, length, &list, &error), 0);
    assert_int_equal(list.count, 8); /* seven bytes and one token */
    assert_int_equal(list.ids[0], '<');
    assert_int_equal(list.ids[7], 258);
    assert_int_equal(chat_template_unmark(text, length), 14);
    assert_string_equal(text, "<|end|><|end|>");
    free(text);
    token_list_free(&list);

    input.messages_json = "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}]";
    assert_int_equal(chat_template_render(chat_template, &input, &text, &length, &error), ERROR_INVALID);
    assert_null(text);
    assert_non_null(strstr(error.message, "too many"));
    input.messages_json = "[";
    assert_int_equal(chat_template_render(chat_template, &input, &text, &length, NULL), ERROR_INVALID);
    input.messages_json = NULL;
    assert_int_equal(chat_template_render(chat_template, &input, &text, &length, &error), ERROR_INVALID);
    chat_template_close(chat_template);
    chat_template_close(NULL);
    tokenizer_close(NULL);
}

static void test_all_splits(void **state)
{
    (void)state;
    /* Whatever id sequence gives the bytes, the text is the same: here every pair and triple of edge bytes.
     */
    static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                          0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED,
                                          0xEE, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF, ' '};
    const size_t n = sizeof edges;
    char out[256];
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b < n; b++) {
            for (size_t c = 0; c < n; c++) {
                const int32_t ids[] = {edges[a], edges[b], edges[c], 'z'};
                size_t length = decode(ids, 4, out, false, true);
                assert_true(length > 0 && out[length - 1] == 'z');
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replacement),      cmocka_unit_test(test_first_space),
        cmocka_unit_test(test_ids_out_of_range), cmocka_unit_test(test_table),
        cmocka_unit_test(test_encode_appends),   cmocka_unit_test(test_rendered),
        cmocka_unit_test(test_all_splits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
