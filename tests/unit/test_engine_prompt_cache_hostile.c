/* Prompt cache files that are damaged, cut, made up, or of other models and options: each is refused in one
 * clear line, and nothing worse happens. */
#define XXH_STATIC_LINKING_ONLY /* the state is ours to place */
#include <xxhash.h>

#include "support/prompt_cache_run.h"

#include "backend/cpu/kernels/kv.h"
#include "engine/prompt_cache_file.h"

/* The places of the format, by number: see prompt_cache_file.h. */
enum { HEADER = 440, HEADER_END = HEADER + TINY_LAYERS * 24, TOKENS_AT = HEADER_END + 8 };

static int open_status(const struct engine_options *options, struct error *error)
{
    struct engine *engine = NULL;
    *error = (struct error){0};
    int status = engine_open(options, &engine, error);
    if (!status) {
        engine_close(engine);
        return 0;
    }
    assert_null(engine);
    assert_int_equal(error->code, status);
    for (const char *p = error->message; *p; p++)
        assert_true((unsigned char)*p >= 0x20);
    return status;
}

static void expect_refusal(const struct engine_options *options, int status, const char *said)
{
    struct error error;
    assert_int_equal(open_status(options, &error), status);
    if (!strstr(error.message, said))
        fail_msg("not said: \"%s\", but: %s", said, error.message);
}

enum { FLIPS = 100, CUTS = 30 };

static void test_damage(void **state)
{
    (void)state;
    struct engine_options options = options_of(model, 16, NULL);
    struct error error;
    size_t n;
    save_with(&options, path);
    uint8_t *good = read_file(path, &n);
    options.prompt_cache = path;
    assert_int_equal(open_status(&options, &error), 0);
    /* a third each: in the header, in tokens, in pages and their checksum */
    const size_t from[] = {0, TOKENS_AT, TOKENS_AT + KEPT * sizeof(int32_t)};
    const size_t to[] = {TOKENS_AT, TOKENS_AT + KEPT * sizeof(int32_t), n};
    for (uint32_t i = 0; i < FLIPS; i++) {
        size_t part = i % 3, at = from[part] + random_u64(4, 2 * i) % (to[part] - from[part]);
        uint8_t bit = (uint8_t)(1u << (random_u64(4, 2 * i + 1) % 8));
        good[at] ^= bit;
        write_file(path, good, n);
        good[at] ^= bit;
        int status = open_status(&options, &error);
        if (status != ERROR_INVALID && status != ERROR_UNSUPPORTED)
            fail_msg("bit %u of byte %zu of %zu: %d, %s", bit, at, n, status, error.message);
        assert_null(strstr(error.message, path)); /* clients of a server read it */
    }
    good[n - 1] ^= 0x80; /* the very last one */
    write_file(path, good, n);
    good[n - 1] ^= 0x80;
    expect_refusal(&options, ERROR_INVALID, "is damaged");
    write_file(path, good, n);
    assert_int_equal(open_status(&options, &error), 0);
    free(good);
}

static void test_cut_short(void **state)
{
    (void)state;
    struct engine_options options = options_of(model, 8, NULL);
    size_t n;
    save_with(&options, path);
    uint8_t *good = read_file(path, &n);
    options.prompt_cache = path;
    const size_t ends[] = {0,     1,     31,   32, HEADER - 1, HEADER, HEADER_END, TOKENS_AT, TOKENS_AT + 1,
                           n - 8, n - 1, n + 1};
    for (size_t i = 0; i < sizeof ends / sizeof *ends + CUTS; i++) {
        size_t end = i < CUTS ? random_u64(5, i) % n : ends[i - CUTS];
        good[n] = 0;
        write_file(path, good, end);
        expect_refusal(&options, ERROR_INVALID,
                       end < 32          ? "no prompt cache"
                       : end < TOKENS_AT ? "ends within its header"
                       : end < n         ? "is cut short"
                                         : "is longer than it was");
    }
    free(good);
}

/* The file with another number at a place of its header, and a checksum that fits. */
static void write_changed(const uint8_t *good, size_t n, size_t at, const void *number, size_t bytes)
{
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, good, n);
    memcpy(copy + at, number, bytes);
    uint64_t sum = XXH64(copy, HEADER_END, 0);
    memcpy(copy + HEADER_END, &sum, sizeof sum);
    write_file(path, copy, n);
    free(copy);
}

/* Whoever makes a file up can make its checksums fit. */
static void test_made_up_headers(void **state)
{
    (void)state;
    static const struct {
        size_t at, bytes;
        uint64_t number;
        int status;
        const char *said;
    } changes[] = {
        {32, 8, UINT64_MAX, ERROR_INVALID, "is cut short"},
        {32, 8, 0, ERROR_INVALID, "is longer than it was"},
        {40, 8, 1, ERROR_INVALID, "weights or their configurations differ"},
        {48, 8, UINT64_MAX, ERROR_INVALID, "laid its pages out otherwise"},
        {48, 8, 0, ERROR_INVALID, "laid its pages out otherwise"},
        {56, 4, UINT32_MAX, ERROR_LIMIT, "more than the context"},
        {56, 4, 0, ERROR_INVALID, "contradict"},
        {56, 4, KEPT - 1, ERROR_INVALID, "contradict"},
        {56, 4, KEPT + PAGE, ERROR_INVALID, "contradict"},
        {60, 4, 0, ERROR_INVALID, "laid its pages out otherwise"},
        {64, 4, UINT32_MAX, ERROR_INVALID, "vocabulary"},
        {68, 4, 8, ERROR_INVALID, "--kv-bits 8"},
        {72, 4, 99, ERROR_INVALID, "laid its pages out otherwise"},
        {76, 4, 1, ERROR_INVALID, "--precise"},
        {80, 4, UINT32_MAX, ERROR_INVALID, "more layers than there can be"},
        {80, 4, 1, ERROR_INVALID, "the checksum of its header"},
        {80, 4, 60000, ERROR_INVALID, "ends within its header"},
        {HEADER + 8, 4, 77, ERROR_INVALID, "it keeps 77 key heads"},
    };
    struct engine_options options = options_of(model, 16, NULL);
    size_t n;
    save_with(&options, path);
    uint8_t *good = read_file(path, &n), unending[128];
    options.prompt_cache = path;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        write_changed(good, n, changes[i].at, &changes[i].number, changes[i].bytes);
        expect_refusal(&options, changes[i].status, changes[i].said);
    }
    memset(unending, 0xFF, sizeof unending); /* texts without their zero, and no UTF-8 */
    write_changed(good, n, 344, unending, 32);
    expect_refusal(&options, ERROR_INVALID, "make it again");
    write_changed(good, n, 88, unending, sizeof unending);
    struct error error;
    assert_int_equal(open_status(&options, &error), 0); /* a name is only told */
    int32_t beyond = TINY_VOCAB;
    write_changed(good, n, TOKENS_AT + 40, &beyond, sizeof beyond);
    expect_refusal(&options, ERROR_INVALID, "not all of its tokens");
    free(good);
}

/* Whoever shortens the file while it is read: it ends early, and nothing worse happens. */
static void test_shortened_meanwhile(void **state)
{
    (void)state;
    struct engine_options options = options_of(model, 16, NULL);
    struct engine *engine = open_engine(&options);
    struct error error = {0};
    struct prompt_cache_reader reader;
    save(engine, N_PROMPT, path);
    const struct plan *plan = engine_plan(engine);
    struct prompt_cache_identity own = {.backend = "cpu",
                                        .page_bytes = backend_page_bytes(plan, 16),
                                        .page_tokens = PAGE,
                                        .page_layout = KV_PAGE_LAYOUT,
                                        .vocab = TINY_VOCAB,
                                        .kv_bits = 16,
                                        .caches = plan->caches,
                                        .n_caches = plan->n_caches};
    snprintf(own.isa, sizeof own.isa, "%s", engine_info(engine)->isa);
    uint8_t *page = malloc(own.page_bytes);
    assert_non_null(page);
    if (prompt_cache_open(&reader, path, &own, TINY_CONTEXT, &error))
        fail_msg("prompt_cache_open: %s", error.message);
    assert_int_equal(prompt_cache_read_page(&reader, page, &error), 0);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(prompt_cache_read_page(&reader, page, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "is cut short: it ends within its pages"));
    assert_int_equal(prompt_cache_finish(&reader, &error), ERROR_INVALID);
    prompt_cache_close(&reader);
    free(page);
    engine_close(engine);
}

static void test_other_models_and_options(void **state)
{
    (void)state;
    struct engine_options options = options_of(model, 16, NULL), changed;
    char name[300];
    save_with(&options, path);
    options.prompt_cache = path;
    changed = options;
    changed.model = other;
    expect_refusal(&changed, ERROR_INVALID, "weights or their configurations differ");
    snprintf(name, sizeof name, "made for the model %s", strrchr(model, '/') + 1);
    expect_refusal(&changed, ERROR_INVALID, name);
    changed = options;
    changed.model = windowed;
    expect_refusal(&changed, ERROR_INVALID, "window of 0");
    changed = options;
    changed.kv_bits = 8;
    expect_refusal(&changed, ERROR_INVALID, "--kv-bits 16");
    changed = options;
    changed.precise = true;
    expect_refusal(&changed, ERROR_INVALID, "computed without --precise");
    changed = options;
    changed.context = 128;
    expect_refusal(&changed, ERROR_LIMIT, "--ctx 256");
    changed = options;
    changed.no_prefix_sharing = true;
    expect_refusal(&changed, ERROR_UNSUPPORTED, "share no pages");
    struct engine *engine = open_engine(&options);
    bool is_reference = strcmp(engine_info(engine)->isa, "reference") == 0;
    engine_close(engine);
    changed = options;
    changed.isa = "reference";
    if (!is_reference)
        expect_refusal(&changed, ERROR_INVALID, "--backend cpu --isa ");
}

static void test_other_files(void **state)
{
    (void)state;
    struct engine_options options = options_of(model, 16, path);
    static const char text[] = "Once upon a time there was a text file that was no prompt cache at all.";
    expect_refusal(&options, ERROR_NOT_FOUND, "does not exist");
    write_file(path, (const uint8_t *)text, sizeof text);
    expect_refusal(&options, ERROR_INVALID, "no prompt cache");
    options.prompt_cache = files;
    expect_refusal(&options, ERROR_INVALID, "is a folder");
    options.prompt_cache = NULL;
    save_with(&options, path);
    size_t n;
    uint8_t *good = read_file(path, &n);
    assert_memory_equal(good, "llmind.prompt-cache/1", sizeof "llmind.prompt-cache/1");
    good[sizeof "llmind.prompt-cache/" - 1] = '2';
    write_file(path, good, n);
    free(good);
    options.prompt_cache = path;
    expect_refusal(&options, ERROR_UNSUPPORTED, "\"llmind.prompt-cache/2\"");
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_damage),          IN_FOLDER(test_cut_short),
        IN_FOLDER(test_made_up_headers), IN_FOLDER(test_other_models_and_options),
        IN_FOLDER(test_other_files),     IN_FOLDER(test_shortened_meanwhile),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
