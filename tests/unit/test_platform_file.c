#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file.h"

/* A fresh folder per test, whose few known files are removed at the end. */
static char folder[64];
static const char *const names[] = {"content", "empty", "pipe", "link", "large", "short"};

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/llmind-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static const char *path_of(const char *name)
{
    static char path[128];
    assert_int_equal(file_join(path, sizeof path, folder, name, NULL), 0);
    return path;
}

static const char *write_file(const char *name, const void *data, size_t length)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void read_gives_what_was_written(void **state)
{
    (void)state;
    static unsigned char data[100000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    char *text;
    size_t length;
    const char *path = write_file("content", data, sizeof data);
    assert_int_equal(file_read(path, sizeof data, &text, &length, NULL), 0);
    assert_int_equal(length, sizeof data);
    assert_memory_equal(text, data, sizeof data);
    assert_int_equal(text[length], 0);
    free(text);

    path = write_file("empty", "", 0);
    assert_int_equal(file_read(path, 0, &text, &length, NULL), 0);
    assert_int_equal(length, 0);
    assert_string_equal(text, "");
    free(text);
}

static void read_refuses_more_than_the_limit(void **state)
{
    (void)state;
    char *text = (char *)1;
    size_t length = 7;
    struct error error;
    const char *path = write_file("content", "12345678", 8);
    assert_int_equal(file_read(path, 7, &text, &length, &error), ERROR_LIMIT);
    assert_null(text);
    assert_int_equal(length, 0);
    assert_non_null(strstr(error.message, "content is larger than 7 bytes"));
    assert_int_equal(file_read(path, 8, &text, &length, &error), 0);
    free(text);
    assert_int_equal(file_read(path, SIZE_MAX, &text, &length, &error), 0);
    free(text);
}

/* A file of /proc says size 0 and has content; the limit still holds. */
static void read_trusts_no_size(void **state)
{
    (void)state;
    char *text;
    size_t length;
    if (!file_exists("/proc/self/status"))
        skip();
    assert_int_equal(file_read("/proc/self/status", 1 << 20, &text, &length, NULL), 0);
    assert_non_null(strstr(text, "VmRSS:"));
    assert_int_equal(strlen(text), length);
    free(text);
    assert_int_equal(file_read("/proc/self/status", 10, &text, &length, NULL), ERROR_LIMIT);
}

static void only_regular_files(void **state)
{
    (void)state;
    char *text;
    size_t length;
    struct error error;
    struct file_map map;
    assert_int_equal(file_read(path_of("absent"), 100, &text, &length, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "absent does not exist"));
    assert_int_equal(file_read(folder, 100, &text, &length, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "is a folder"));
    assert_int_equal(file_map_open(folder, &map, &error), ERROR_INVALID);
    assert_int_equal(file_map_open("/dev/zero", &map, &error), ERROR_INVALID);
    assert_int_equal(map.length, 0);

    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0); /* a plain open would wait for a writer for ever */
    alarm(20);
    assert_int_equal(file_read(path_of("pipe"), 100, &text, &length, &error), ERROR_INVALID);
    assert_int_equal(file_map_open(path_of("pipe"), &map, &error), ERROR_INVALID);
    alarm(0);
}

static void map_shows_the_file(void **state)
{
    (void)state;
    struct file_map map;
    const char *path = write_file("content", "weights", 7);
    assert_int_equal(file_map_open(path, &map, NULL), 0);
    assert_int_equal(map.length, 7);
    assert_memory_equal(map.data, "weights", 7);
    file_map_close(&map);
    assert_null(map.data);
    file_map_close(&map);
    file_map_close(NULL);

    path = write_file("empty", "", 0);
    assert_int_equal(file_map_open(path, &map, NULL), 0);
    assert_int_equal(map.length, 0);
    assert_non_null(map.data);
    file_map_close(&map);

    assert_int_equal(symlink("content", path_of("link")), 0); /* the hub's cache is made of links */
    assert_int_equal(file_map_open(path_of("link"), &map, NULL), 0);
    assert_int_equal(map.length, 7);
    file_map_close(&map);
}

static void a_replaced_file_does_not_change_the_map(void **state)
{
    (void)state;
    struct file_map map;
    assert_int_equal(file_map_open(write_file("content", "before", 6), &map, NULL), 0);
    char old[128];
    strcpy(old, path_of("content"));
    assert_int_equal(rename(write_file("short", "x", 1), old), 0);
    assert_memory_equal(map.data, "before", 6);
    file_map_close(&map);
}

static void paths_are_joined(void **state)
{
    (void)state;
    char out[16];
    struct error error;
    assert_int_equal(file_join(out, sizeof out, "a", "b", NULL), 0);
    assert_string_equal(out, "a/b");
    assert_int_equal(file_join(out, sizeof out, "a/", "b", NULL), 0);
    assert_string_equal(out, "a/b");
    assert_int_equal(file_join(out, sizeof out, "/", "b", NULL), 0);
    assert_string_equal(out, "/b");
    assert_int_equal(file_join(out, sizeof out, "", "b", NULL), 0);
    assert_string_equal(out, "b");
    assert_int_equal(file_join(out, sizeof out, "0123456", "89abcde", NULL), 0); /* 15 and the zero */
    assert_int_equal(file_join(out, sizeof out, "0123456", "89abcdef", &error), ERROR_LIMIT);
}

static void tests_of_existence(void **state)
{
    (void)state;
    assert_true(file_exists(folder));
    assert_true(file_is_folder(folder));
    assert_false(file_exists(path_of("absent")));
    assert_false(file_is_folder(path_of("absent")));
    write_file("content", "x", 1);
    assert_true(file_exists(path_of("content")));
    assert_false(file_is_folder(path_of("content")));
}

static void the_program_finds_itself(void **state)
{
    (void)state;
    char path[4096], of_folder[4096], small[4];
    struct error error;
    assert_int_equal(file_program_path(path, sizeof path, NULL), 0);
    assert_non_null(strstr(path, "test_platform_file"));
    assert_int_equal(file_program_folder(of_folder, sizeof of_folder, NULL), 0);
    assert_true(file_is_folder(of_folder));
    assert_int_equal(strncmp(path, of_folder, strlen(of_folder)), 0);
    assert_int_equal(path[strlen(of_folder)], '/');
    assert_int_equal(file_program_folder(small, sizeof small, &error), ERROR_LIMIT);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

static void what_was_just_written_is_in_memory(void **state)
{
    (void)state;
    static unsigned char data[300001];
    uint64_t resident = 7, size = 7;
    const char *path = write_file("content", data, sizeof data);
    assert_true(file_resident_bytes(path, &resident, &size));
    assert_int_equal(size, sizeof data);
    assert_int_equal(resident, sizeof data);
    assert_true(file_resident_bytes(write_file("empty", "", 0), &resident, &size));
    assert_int_equal(resident + size, 0);
    assert_false(file_resident_bytes(path_of("absent"), &resident, &size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(read_gives_what_was_written),
        WITH_FOLDER(read_refuses_more_than_the_limit),
        cmocka_unit_test(read_trusts_no_size),
        WITH_FOLDER(only_regular_files),
        WITH_FOLDER(map_shows_the_file),
        WITH_FOLDER(what_was_just_written_is_in_memory),
        WITH_FOLDER(a_replaced_file_does_not_change_the_map),
        cmocka_unit_test(paths_are_joined),
        WITH_FOLDER(tests_of_existence),
        cmocka_unit_test(the_program_finds_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
