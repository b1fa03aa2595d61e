/* For tests of prompt caches: three tiny models, one of them with sliding windows, a prompt, a folder of
 * files for each test, and an engine's prompt kept in one of them. */
#ifndef LLMIND_TESTS_PROMPT_CACHE_RUN_H
#define LLMIND_TESTS_PROMPT_CACHE_RUN_H

#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <sys/stat.h>

#include "engine/random.h"
#include "engine/state.h"

enum { PAGE = BACKEND_PAGE_TOKENS, N_PROMPT = 300, KEPT = N_PROMPT / PAGE * PAGE };

static char model[256], other[256], windowed[256], files[64], path[128], second_path[128];
static int32_t prompt[TINY_CONTEXT];
static struct answer answer;

/* Mistral, of which a layer sees the last 40 positions. */
static inline void write_windowed(void)
{
    struct tiny_options options = {.format = TINY_4BIT, .seed = 8};
    tiny_model_write(&options, windowed, sizeof windowed);
    FILE *file = tiny_create(windowed, "config.json");
    fprintf(file,
            "{\"model_type\":\"mistral\",\"hidden_size\":%d,\"intermediate_size\":%d,"
            "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,\"num_key_value_heads\":%d,\"head_dim\":%d,"
            "\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"vocab_size\":%d,\"max_position_embeddings\":%d,"
            "\"tie_word_embeddings\":false,\"hidden_act\":\"silu\",\"sliding_window\":40,\"eos_token_id\":%d,"
            "\"quantization\":{\"group_size\":64,\"bits\":4}}",
            TINY_HIDDEN, TINY_INTERMEDIATE, TINY_LAYERS, TINY_HEADS, TINY_KV_HEADS, TINY_HEAD_DIM, TINY_VOCAB,
            TINY_CONTEXT, TINY_END);
    fclose(file);
}

static inline int set_up_all(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_4BIT, .seed = 8};
    tiny_model_write(&options, model, sizeof model);
    options.seed = 9;
    tiny_model_write(&options, other, sizeof other);
    write_windowed();
    for (uint32_t i = 0; i < TINY_CONTEXT; i++)
        prompt[i] = (int32_t)(random_u64(1, i) % TINY_BYTES);
    return 0;
}

static inline int tear_down_all(void **state)
{
    (void)state;
    tiny_model_remove(model);
    tiny_model_remove(other);
    tiny_model_remove(windowed);
    return 0;
}

static inline int make_folder(void **state)
{
    (void)state;
    folder_make(files);
    snprintf(path, sizeof path, "%s/cache", files);
    snprintf(second_path, sizeof second_path, "%s/second", files);
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    folder_remove(files);
    return access(files, F_OK) == 0;
}

/* ---- engines ---- */

static inline struct engine_options options_of(const char *folder, uint32_t kv_bits, const char *prompt_cache)
{
    return (struct engine_options){.model = folder,
                                   .prompt_cache = prompt_cache,
                                   .n_threads = 2,
                                   .prefill_chunk = 100,
                                   .max_sequences = 2,
                                   .kv_bits = kv_bits};
}

static inline struct engine *open_engine(const struct engine_options *options)
{
    struct engine *engine = NULL;
    struct error error = {0};
    if (engine_open(options, &engine, &error))
        fail_msg("engine_open: %s", error.message);
    return engine;
}

static inline struct engine_stats stats_of(struct engine *engine)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats;
}

static inline struct engine_submit only_prompt(uint32_t n)
{
    struct engine_submit submit = run_greedy(prompt, n, 0);
    submit.prompt_only = true;
    return submit;
}

/* Computes the first n tokens of the prompt and keeps them. */
static inline void save(struct engine *engine, uint32_t n, const char *to)
{
    struct engine_submit submit = only_prompt(n);
    struct engine_saved_prompt saved;
    struct error error = {0};
    struct stat status;
    run(engine, &submit, &answer);
    assert_int_equal(answer.finish, FINISH_LENGTH);
    assert_int_equal(answer.n_tokens, 0);
    if (engine_save_prompt_cache(engine, &submit, to, &saved, &error))
        fail_msg("engine_save_prompt_cache: %s", error.message);
    assert_int_equal(saved.n_tokens, n / PAGE * PAGE);
    assert_int_equal(saved.n_prompt, n);
    assert_int_equal(stat(to, &status), 0);
    assert_int_equal(saved.file_bytes, status.st_size);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static inline void save_with(const struct engine_options *options, const char *to)
{
    struct engine *engine = open_engine(options);
    save(engine, N_PROMPT, to);
    engine_close(engine);
}

/* ---- files ---- */

static inline uint8_t *read_file(const char *from, size_t *length)
{
    struct stat status;
    assert_int_equal(stat(from, &status), 0);
    *length = (size_t)status.st_size;
    uint8_t *bytes = malloc(*length + 1); /* for one more */
    FILE *file = fopen(from, "rb");
    assert_true(bytes && file);
    assert_int_equal(fread(bytes, 1, *length, file), *length);
    fclose(file);
    return bytes;
}

static inline void write_file(const char *to, const uint8_t *bytes, size_t length)
{
    unlink(to); /* a file cut to nothing and written again is flushed by some file systems, and slow */
    FILE *file = fopen(to, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static inline int count_files(void)
{
    int n = 0;
    DIR *list = opendir(files);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(list);
    return n;
}

#endif
