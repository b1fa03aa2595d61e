/* Files of tensors: what is filled in arrives at its place, whatever the names, and what goes wrong is told.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "output/json.h"
#include "output/shards.h"

struct scratch {
    char root[64], model[80], partial[96];
    struct output_folder folder;
};

static int set_up(void **state)
{
    struct scratch *scratch = calloc(1, sizeof *scratch);
    assert_non_null(scratch);
    snprintf(scratch->root, sizeof scratch->root, "/tmp/llmind-output-XXXXXX");
    assert_non_null(mkdtemp(scratch->root));
    snprintf(scratch->model, sizeof scratch->model, "%s/model", scratch->root);
    snprintf(scratch->partial, sizeof scratch->partial, "%s.partial", scratch->model);
    assert_int_equal(folder_begin(&scratch->folder, scratch->model, NULL), 0);
    *state = scratch;
    return 0;
}

static int tear_down(void **state)
{
    struct scratch *scratch = *state;
    char command[128];
    folder_abandon(&scratch->folder);
    snprintf(command, sizeof command, "rm -rf '%s'", scratch->root);
    int failed = system(command);
    free(scratch);
    return failed;
}

enum { MANY_ROWS = 5000, LONG_ROW = 4096 }; /* 20 MB: several buffers */

static const struct output_tensor tensors[] = {
    {"plain", "U8", 2, {3, 4}, 3, 4},   {"a \"name\" with \\ and \xC3\xA4", "U8", 1, {5}, 1, 5},
    {"nothing", "U8", 2, {0, 4}, 0, 4}, {"large", "U32", 2, {MANY_ROWS, LONG_ROW / 4}, MANY_ROWS, LONG_ROW},
    {"scalar", "U8", 0, {0}, 1, 1},
};
enum { N_TENSORS = sizeof tensors / sizeof *tensors };

struct asked {
    uint64_t next_row[N_TENSORS];
    uint32_t last;
    uint32_t fail_at, stop_at; /* calls; 0: never */
    uint32_t calls, progress;
    uint64_t done;
};

static uint8_t byte_of(uint32_t tensor, uint64_t at)
{
    return (uint8_t)(tensor * 31 + at * 7 + at / 256);
}

static int fill(void *context, uint32_t tensor, uint64_t first, uint64_t count, uint8_t *out,
                struct error *error)
{
    struct asked *asked = context;
    assert_true(tensor >= asked->last);
    asked->last = tensor;
    assert_int_equal(first, asked->next_row[tensor]);
    asked->next_row[tensor] = first + count;
    if (++asked->calls == asked->fail_at)
        return error_set(error, ERROR_INVALID, "no more");
    uint64_t row_bytes = tensors[tensor].row_bytes;
    for (uint64_t i = 0; i < count * row_bytes; i++)
        out[i] = byte_of(tensor, first * row_bytes + i);
    return 0;
}

static bool progress(void *context, uint64_t done, uint64_t total)
{
    struct asked *asked = context;
    assert_true(done > asked->done && done <= total);
    asked->done = done;
    return ++asked->progress != asked->stop_at;
}

static int write_all(const struct scratch *scratch, struct asked *asked, uint64_t shard_bytes,
                     uint32_t *n_files, struct error *error)
{
    const struct output_source source = {tensors, N_TENSORS, 12345, fill, progress, asked};
    return output_shards(&scratch->folder, &source, shard_bytes, n_files, error);
}

static void *contents(const char *folder, const char *name, size_t *length)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    void *data = malloc(*length + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *length, file), *length);
    fclose(file);
    return data;
}

static void check_tensor(const char *folder, const char *name, uint32_t i)
{
    size_t length;
    uint8_t *data = contents(folder, name, &length);
    uint64_t header = 0, bytes = tensors[i].rows * tensors[i].row_bytes;
    for (int k = 7; k >= 0; k--)
        header = header << 8 | data[k];
    assert_int_equal((header + 8) % 64, 0);
    json_t *object = json_loadb((char *)data + 8, header, 0, NULL);
    json_t *entry = json_object_get(object, tensors[i].name);
    assert_non_null(entry);
    assert_string_equal(json_string_value(json_object_get(entry, "dtype")), tensors[i].dtype);
    assert_int_equal(json_array_size(json_object_get(entry, "shape")), tensors[i].n_dims);
    json_t *offsets = json_object_get(entry, "data_offsets");
    uint64_t first = (uint64_t)json_integer_value(json_array_get(offsets, 0));
    assert_int_equal((uint64_t)json_integer_value(json_array_get(offsets, 1)) - first, bytes);
    assert_true(8 + header + first + bytes <= length);
    const uint8_t *at = data + 8 + header + first;
    for (uint64_t k = 0; k < bytes; k++)
        if (at[k] != byte_of(i, k))
            fail_msg("%s: byte %llu", tensors[i].name, (unsigned long long)k);
    json_decref(object);
    free(data);
}

static void check_all(const struct scratch *scratch, uint32_t n_files)
{
    size_t length;
    char *text = contents(scratch->partial, "model.safetensors.index.json", &length);
    json_t *index = json_loadb(text, length, 0, NULL);
    json_t *map = json_object_get(index, "weight_map"), *metadata = json_object_get(index, "metadata");
    assert_int_equal(json_object_size(map), N_TENSORS);
    assert_int_equal(json_integer_value(json_object_get(metadata, "total_parameters")), 12345);
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        const char *name = json_string_value(json_object_get(map, tensors[i].name));
        assert_non_null(name);
        assert_int_equal(strcmp(name, "model.safetensors") == 0, n_files == 1);
        check_tensor(scratch->partial, name, i);
    }
    json_decref(index);
    free(text);
}

static void everything_arrives(void **state)
{
    struct scratch *scratch = *state;
    struct asked asked = {0};
    uint32_t n_files = 0;
    assert_int_equal(write_all(scratch, &asked, OUTPUT_SHARD_BYTES, &n_files, NULL), 0);
    assert_int_equal(n_files, 1);
    assert_int_equal(asked.done, 12 + 5 + MANY_ROWS * LONG_ROW + 1);
    check_all(scratch, 1);
}

static void shards(void **state)
{
    struct scratch *scratch = *state;
    struct asked asked = {0};
    uint32_t n_files = 0;
    assert_int_equal(write_all(scratch, &asked, 20, &n_files, NULL), 0);
    assert_int_equal(n_files, 3); /* the large one has a file of its own */
    check_all(scratch, n_files);
}

static void what_goes_wrong_is_told(void **state)
{
    struct scratch *scratch = *state;
    struct error error = {0};
    uint32_t n_files = 0;
    struct asked refused = {.fail_at = 3}, stopped = {.stop_at = 3};
    assert_int_equal(write_all(scratch, &refused, OUTPUT_SHARD_BYTES, &n_files, &error), ERROR_INVALID);
    assert_string_equal(error.message, "no more");
    assert_int_equal(write_all(scratch, &stopped, OUTPUT_SHARD_BYTES, &n_files, &error), ERROR_CANCELLED);
}

/* The file may not grow beyond a megabyte: the thread that writes meets it, in the middle of a tensor. */
static void a_disk_that_is_full(void **state)
{
    struct scratch *scratch = *state;
    struct error error = {0};
    struct asked asked = {0};
    uint32_t n_files = 0;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1 << 20;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int status = write_all(scratch, &asked, OUTPUT_SHARD_BYTES, &n_files, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, ERROR_IO);
    assert_non_null(strstr(error.message, ".partial/model.safetensors: "));
    assert_non_null(strstr(error.message, "large"));
}

static void a_small_file(void **state)
{
    struct scratch *scratch = *state;
    size_t length;
    struct error error = {0};
    assert_int_equal(output_json(&scratch->folder, "b.json", NULL, true, &error), ERROR_MEMORY);
    assert_int_equal(
        output_json(&scratch->folder, "a.json", json_pack("{s:i, s:i}", "b", 1, "a", 2), true, NULL), 0);
    char *text = contents(scratch->partial, "a.json", &length);
    text[length] = 0;
    assert_string_equal(text, "{\n    \"a\": 2,\n    \"b\": 1\n}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_arrives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_goes_wrong_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_is_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_small_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
