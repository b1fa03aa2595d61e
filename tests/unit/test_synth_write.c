/* Whole folders: what a finished model holds, and that an unfinished one is never found under its name. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "synth/checkpoint.h"
#include "synth/synth.h"
#include "synth/vocabulary.h"

struct scratch {
    char root[40], model[64];
};

static int set_up(void **state)
{
    struct scratch *scratch = calloc(1, sizeof *scratch);
    snprintf(scratch->root, sizeof scratch->root, "/tmp/llmind-synth-XXXXXX");
    if (!mkdtemp(scratch->root))
        return -1;
    snprintf(scratch->model, sizeof scratch->model, "%s/model", scratch->root);
    *state = scratch;
    return 0;
}

static int tear_down(void **state)
{
    struct scratch *scratch = *state;
    char command[160];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch->root);
    int result = system(command);
    free(scratch);
    return result;
}

static json_t *load(const char *folder, const char *name)
{
    char path[256];
    json_error_t error;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fail_msg("%s: %s", name, error.text);
    return json;
}

static bool exists(const char *folder, const char *suffix)
{
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s%s", folder, suffix);
    return stat(path, &status) == 0;
}

static void writes_a_model(void **state)
{
    struct scratch *scratch = *state;
    struct synth_options options = {.shape = "tiny-qwen3-moe", .mode = "mxfp4"};
    struct synth_report report;
    struct error error;
    assert_int_equal(synth_write(&options, scratch->model, NULL, NULL, &report, &error), 0);
    assert_int_equal(report.n_files, 1);

    json_t *config = load(scratch->model, "config.json");
    assert_string_equal(json_string_value(json_object_get(config, "model_type")), "qwen3_moe");
    json_t *quantization = json_object_get(config, "quantization");
    assert_string_equal(json_string_value(json_object_get(quantization, "mode")), "mxfp4");
    json_t *router = json_object_get(quantization, "model.layers.3.mlp.gate");
    assert_int_equal(json_integer_value(json_object_get(router, "bits")), 8);
    json_decref(config);

    json_t *index = load(scratch->model, "model.safetensors.index.json");
    json_int_t total = json_integer_value(json_object_get(json_object_get(index, "metadata"), "total_size"));
    assert_int_equal(total, report.tensor_bytes);
    json_decref(index);
    json_decref(load(scratch->model, "generation_config.json"));
    json_decref(load(scratch->model, "tokenizer_config.json"));
    assert_false(exists(scratch->model, ".partial"));
}

/* Every id has exactly one token, and every merge joins two tokens that exist into a third. */
static void the_vocabulary_is_complete(void **state)
{
    struct scratch *scratch = *state;
    struct synth_options options = {.shape = "qwen3-0.6b", .n_layers = 1, .bits = 2};
    assert_int_equal(synth_write(&options, scratch->model, NULL, NULL, NULL, NULL), 0);
    json_t *tokenizer = load(scratch->model, "tokenizer.json");
    json_t *model = json_object_get(tokenizer, "model"), *vocab = json_object_get(model, "vocab");
    json_t *added = json_object_get(tokenizer, "added_tokens"), *merges = json_object_get(model, "merges");
    assert_int_equal(json_object_size(vocab), 151643);
    assert_int_equal(json_object_size(vocab) + json_array_size(added), 151936);

    char *seen = calloc(151936, 1);
    const char *token;
    json_t *id;
    json_object_foreach(vocab, token, id)
        seen[json_integer_value(id)]++;
    size_t i;
    json_t *pair;
    json_array_foreach(added, i, id)
        seen[json_integer_value(json_object_get(id, "id"))]++;
    for (i = 0; i < 151936; i++)
        assert_int_equal(seen[i], 1);
    free(seen);

    json_array_foreach(merges, i, pair) {
        char joined[64];
        const char *left = json_string_value(json_array_get(pair, 0));
        const char *right = json_string_value(json_array_get(pair, 1));
        snprintf(joined, sizeof joined, "%s%s", left, right);
        assert_non_null(json_object_get(vocab, left));
        assert_non_null(json_object_get(vocab, right));
        assert_int_equal(json_integer_value(json_object_get(vocab, joined)), 256 + i);
    }
    json_decref(tokenizer);
}

static bool stop_at_once(void *context, uint64_t done, uint64_t total)
{
    (void)total;
    *(uint64_t *)context = done;
    return false;
}

static void leaves_nothing_when_stopped(void **state)
{
    struct scratch *scratch = *state;
    struct synth_options options = {.shape = "tiny-llama"};
    struct error error;
    uint64_t done = 0;
    assert_int_equal(synth_write(&options, scratch->model, stop_at_once, &done, NULL, &error),
                     ERROR_CANCELLED);
    assert_true(done > 0);
    assert_false(exists(scratch->model, ""));
    assert_false(exists(scratch->model, ".partial"));
}

static void refuses_a_folder_that_holds_something(void **state)
{
    struct scratch *scratch = *state;
    struct synth_options options = {.shape = "tiny-llama"};
    struct error error;
    assert_int_equal(mkdir(scratch->model, 0777), 0);
    assert_int_equal(synth_write(&options, scratch->model, NULL, NULL, NULL, &error), 0); /* empty: fine */
    assert_int_equal(synth_write(&options, scratch->model, NULL, NULL, NULL, &error), ERROR_INVALID);
    assert_true(exists(scratch->model, "/config.json"));
}

static void cleans_up_after_a_crash(void **state)
{
    struct scratch *scratch = *state;
    struct synth_options options = {.shape = "tiny-llama"};
    char partial[96], stale[160];
    snprintf(partial, sizeof partial, "%s.partial", scratch->model);
    snprintf(stale, sizeof stale, "%s/model-00001-of-00002.safetensors", partial);
    assert_int_equal(mkdir(partial, 0777), 0);
    fclose(fopen(stale, "w"));
    assert_int_equal(synth_write(&options, scratch->model, NULL, NULL, NULL, NULL), 0);
    assert_false(exists(scratch->model, "/model-00001-of-00002.safetensors"));
}

static void the_same_seed_writes_the_same_bytes(void **state)
{
    struct scratch *scratch = *state;
    char a[64], b[64], command[400];
    snprintf(a, sizeof a, "%s/a", scratch->root);
    snprintf(b, sizeof b, "%s/b", scratch->root);
    struct synth_options options = {.shape = "tiny-mistral", .seed = 5, .outliers = true};
    assert_int_equal(synth_write(&options, a, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(synth_write(&options, b, NULL, NULL, NULL, NULL), 0);
    snprintf(command, sizeof command, "diff -r '%s' '%s'", a, b);
    assert_int_equal(system(command), 0);
    options.seed = 6;
    snprintf(b, sizeof b, "%s/c", scratch->root);
    assert_int_equal(synth_write(&options, b, NULL, NULL, NULL, NULL), 0);
    snprintf(command, sizeof command, "cmp -s '%s/model.safetensors' '%s/model.safetensors'", a, b);
    assert_int_not_equal(system(command), 0);
}

/* Shards are cut where the limit says and the index names the file of every tensor. */
static void cuts_shards(void **state)
{
    struct scratch *scratch = *state;
    struct synth_shape shape;
    struct synth_format format;
    struct synth_tensors tensors;
    struct output_folder folder;
    uint32_t n_files = 0;
    assert_int_equal(synth_shape_find("tiny-llama", &shape, NULL), 0);
    assert_int_equal(synth_format_parse(NULL, 4, 64, &format, NULL), 0);
    assert_int_equal(synth_tensors_list(&tensors, &shape, &format, 0, false, NULL), 0);
    assert_int_equal(folder_begin(&folder, scratch->model, NULL), 0);
    assert_int_equal(checkpoint_write(&folder, &tensors, 300000, NULL, NULL, &n_files, NULL), 0);
    assert_int_equal(folder_commit(&folder, NULL), 0);
    assert_true(n_files >= 4);
    json_t *index = load(scratch->model, "model.safetensors.index.json");
    json_t *map = json_object_get(index, "weight_map");
    assert_int_equal(json_object_size(map), tensors.count);
    for (uint32_t i = 0; i < tensors.count; i++) {
        char name[128];
        snprintf(name, sizeof name, "/%s", json_string_value(json_object_get(map, tensors.items[i].name)));
        assert_true(exists(scratch->model, name));
    }
    json_decref(index);
    synth_tensors_free(&tensors);
}

static void two_writers_do_not_mix(void **state)
{
    struct scratch *scratch = *state;
    struct output_folder first, second;
    struct error error;
    assert_int_equal(folder_begin(&first, scratch->model, &error), 0);
    assert_int_equal(folder_begin(&second, scratch->model, &error), ERROR_BUSY);
    folder_abandon(&second);
    assert_true(exists(scratch->model, ".partial"));
    assert_int_equal(folder_check_space(&first, UINT64_MAX / 2, &error), ERROR_LIMIT);
    folder_abandon(&first);
    assert_false(exists(scratch->model, ".partial"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_a_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_vocabulary_is_complete, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaves_nothing_when_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_folder_that_holds_something, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cleans_up_after_a_crash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_seed_writes_the_same_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cuts_shards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_writers_do_not_mix, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
