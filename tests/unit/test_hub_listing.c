/* Listings, also with random bytes changed; which files are chosen of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/choose.h"
#include "hub/names.h"

#define SHA1 "0123456789abcdef0123456789abcdef01234567"
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENTRY(name, size) "{\"rfilename\":\"" name "\",\"size\":" size ",\"blobId\":\"" SHA1 "\"}"
#define LFS(name, size)                                                                                      \
    "{\"rfilename\":\"" name "\",\"size\":1,\"blobId\":\"" SHA1 "\",\"lfs\":{\"sha256\":\"" SHA256           \
    "\",\"size\":" size "}}"
#define LISTING(entries) "{\"id\":\"o/n\",\"sha\":\"" SHA1 "\",\"siblings\":[" entries "]}"
#define SMALL ENTRY("config.json", "10") "," ENTRY("tokenizer.json", "20")

static void test_a_listing(void **state)
{
    (void)state;
    static const char text[] =
        LISTING(ENTRY("b/c.py", "7") "," LFS("model.safetensors", "5000000000") "," SMALL);
    struct hub_listing listing;
    assert_int_equal(hub_listing_parse(text, strlen(text), &listing, NULL), 0);
    assert_string_equal(listing.commit, SHA1);
    assert_int_equal(listing.n_files, 4);
    const struct hub_file *file = hub_listing_find(&listing, "model.safetensors");
    assert_true(file && file->bytes == 5000000000u); /* of lfs, not of the pointer */
    assert_string_equal(file->hash, SHA256);
    file = hub_listing_find(&listing, "config.json");
    assert_true(file && file->bytes == 10);
    assert_string_equal(file->hash, SHA1);
    assert_null(hub_listing_find(&listing, "nothing"));
    hub_listing_free(&listing);
}

static void test_bad_listings(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"sha\":\"" SHA1 "\"}",
        "{\"sha\":\"main\",\"siblings\":[]}",
        "{\"sha\":\"" SHA1 "\",\"siblings\":[null]}",
        LISTING(ENTRY("../x", "1")),
        LISTING(ENTRY("/x", "1")),
        LISTING(ENTRY("a\\u0000b", "1")),
        LISTING(ENTRY("a\\nb", "1")),
        LISTING(ENTRY("a", "-1")),
        LISTING(ENTRY("a", "1.5")),
        LISTING(ENTRY("a", "\"1\"")),
        LISTING(ENTRY("a", "1e99")),
        LISTING(ENTRY("a", "9223372036854775807")),
        LISTING(ENTRY("a", "99999999999999999999")),
        LISTING(ENTRY("a", "1") "," ENTRY("a", "1")),
        LISTING("{\"rfilename\":\"a\",\"size\":1}"),
        LISTING("{\"rfilename\":\"a\",\"size\":1,\"blobId\":\"../../../../etc/passwd0000000000000000000\"}"),
        LISTING("{\"rfilename\":\"a\",\"size\":1,\"blobId\":\"" SHA256 "\"}"),
        LISTING("{\"rfilename\":\"a\",\"size\":1,\"blobId\":\"0123456789ABCDEF0123456789ABCDEF01234567\"}"),
        LISTING("{\"rfilename\":\"a\",\"size\":1,\"lfs\":{\"sha256\":\"" SHA1 "\",\"size\":1}}"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hub_listing listing;
        struct error error = {0};
        if (hub_listing_parse(bad[i], strlen(bad[i]), &listing, &error) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_true(error.message[0] && listing.n_files == 0 && !listing.files);
    }
}

/* Whatever is taken has names that are safe and hashes that are hashes. */
static void check_invariants(const struct hub_listing *listing)
{
    assert_true(hub_is_hex(listing->commit, HUB_COMMIT));
    for (size_t i = 0; i < listing->n_files; i++) {
        const struct hub_file *file = &listing->files[i];
        assert_int_equal(hub_check_file(file->name, NULL), 0);
        assert_true(hub_is_hex(file->hash, 40) || hub_is_hex(file->hash, 64));
        assert_true(file->bytes <= HUB_MAX_FILE_BYTES);
    }
    struct hub_choice choice;
    if (hub_choose(listing, NULL, 0, true, &choice, NULL) == 0) {
        for (size_t i = 0; i < choice.n_files; i++)
            assert_true(hub_file_is_plain(choice.files[i].name));
        hub_choice_free(&choice);
    }
}

static void test_changed_listings(void **state)
{
    (void)state;
    static const char text[] =
        LISTING(SMALL "," LFS("model.safetensors", "50") "," ENTRY("a/b/c", "1") "," ENTRY("model.bin", "1"));
    static const char spice[] = "\0\"\\/.,:{}[]0-9eu\x7f\xff\n";
    char changed[sizeof text];
    size_t n_taken = 0;
    srand(7);
    for (int round = 0; round < 20000; round++) {
        struct hub_listing listing;
        memcpy(changed, text, sizeof text);
        for (int k = rand() % 3; k >= 0; k--)
            changed[(size_t)rand() % (sizeof text - 1)] = spice[(size_t)rand() % (sizeof spice - 1)];
        size_t length = rand() % 8 ? sizeof text - 1 : (size_t)rand() % sizeof text;
        if (hub_listing_parse(changed, length, &listing, NULL) == 0) {
            check_invariants(&listing);
            n_taken++;
        }
        hub_listing_free(&listing);
    }
    assert_true(n_taken > 0 && n_taken < 19000);
}

static void test_roles(void **state)
{
    (void)state;
    static const char *const never[] = {"pytorch_model.bin",   "model.pt",
                                        "model.ckpt",          "x.pkl",
                                        "modeling_x.py",       "run.sh",
                                        "model.gguf",          ".gitattributes",
                                        "a/config.json",       "vocab.json",
                                        "merges.txt",          "config.json.py",
                                        "a/model.safetensors", "x.safetensors.bin",
                                        "tokenizer.py",        "Config.json"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (hub_role_of(never[i]) != HUB_ROLE_NONE)
            fail_msg("%s would be fetched", never[i]);
    assert_int_equal(hub_role_of("config.json"), HUB_ROLE_CONFIG);
    assert_int_equal(hub_role_of("model.safetensors.index.json"), HUB_ROLE_INDEX);
    assert_int_equal(hub_role_of("chat_template.jinja"), HUB_ROLE_SMALL);
    assert_int_equal(hub_role_of("model-00001-of-00002.safetensors"), HUB_ROLE_WEIGHTS);
}

static int choose(const char *text, char *const *shards, size_t n_shards, struct hub_choice *choice,
                  struct hub_listing *listing)
{
    assert_int_equal(hub_listing_parse(text, strlen(text), listing, NULL), 0);
    return hub_choose(listing, shards, n_shards, false, choice, NULL);
}

static void test_choice(void **state)
{
    (void)state;
    struct hub_listing listing;
    struct hub_choice choice;
    static const char plain[] = LISTING(
        LFS("model.safetensors", "50") "," LFS("adapter.safetensors", "9") "," SMALL "," ENTRY("x.bin", "1"));
    assert_int_equal(choose(plain, NULL, 0, &choice, &listing), 0);
    assert_int_equal(choice.n_files, 3);
    assert_int_equal(choice.total_bytes, 80);
    assert_string_equal(choice.files[0].name, "config.json");
    assert_string_equal(choice.files[2].name, "model.safetensors");
    hub_choice_free(&choice);
    char *const missing[] = {(char[]){"other.safetensors"}};
    assert_int_equal(hub_choose(&listing, missing, 1, false, &choice, NULL), ERROR_INVALID);
    char *const named[] = {(char[]){"adapter.safetensors"}};
    assert_int_equal(hub_choose(&listing, named, 1, false, &choice, NULL), 0);
    assert_string_equal(choice.files[2].name, "adapter.safetensors");
    hub_choice_free(&choice);
    hub_listing_free(&listing);
    static const char *const unusable[] = {
        LISTING(SMALL), LISTING(SMALL "," ENTRY("pytorch_model.bin", "5")),
        LISTING(LFS("model.safetensors", "5")),
        LISTING(ENTRY("config.json", "1") "," LFS("model.safetensors", "5")) /* no tokenizer */};
    for (size_t i = 0; i < sizeof unusable / sizeof *unusable; i++) {
        assert_int_equal(choose(unusable[i], NULL, 0, &choice, &listing), ERROR_UNSUPPORTED);
        hub_listing_free(&listing);
    }
}

static void expect_index(const char *text, size_t expected)
{
    char **names;
    size_t count;
    int status = hub_index_parse(text, strlen(text), &names, &count, NULL);
    assert_true((status == 0) == (expected > 0));
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static void test_index(void **state)
{
    (void)state;
    expect_index(
        "{\"weight_map\":{\"a\":\"m1.safetensors\",\"b\":\"m2.safetensors\",\"c\":\"m1.safetensors\"}}", 2);
    static const char *const bad[] = {"{}",
                                      "{\"weight_map\":[]}",
                                      "{\"weight_map\":{}}",
                                      "{\"weight_map\":{\"a\":1}}",
                                      "{\"weight_map\":{\"a\":\"m.bin\"}}",
                                      "{\"weight_map\":{\"a\":\"../m.safetensors\"}}",
                                      "{\"weight_map\":{\"a\":\"x/m.safetensors\"}}",
                                      "{\"weight_map\":{\"a\":\".safetensors\"}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_index(bad[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_listing),        cmocka_unit_test(test_bad_listings),
        cmocka_unit_test(test_changed_listings), cmocka_unit_test(test_roles),
        cmocka_unit_test(test_choice),           cmocka_unit_test(test_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
