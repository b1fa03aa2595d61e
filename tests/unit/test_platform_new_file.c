/* Files that appear whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "platform/file.h"
#include "platform/new_file.h"
#include "support/folder.h"

static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    folder_make(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    folder_remove(folder);
    return access(folder, F_OK) == 0; /* something was left in it */
}

/* How many files there are. */
static int count_files(void)
{
    int n = 0;
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(list);
    return n;
}

static void expect_content(const char *wanted)
{
    char *text;
    size_t length;
    assert_int_equal(file_read(path, 1000, &text, &length, NULL), 0);
    assert_string_equal(text, wanted);
    free(text);
}

static void write_file(const char *text)
{
    struct new_file file;
    assert_int_equal(new_file_open(&file, path, NULL), 0);
    assert_int_equal(new_file_write(&file, text, strlen(text), NULL), 0);
    assert_int_equal(new_file_commit(&file, NULL), 0);
    new_file_close(&file);
}

static void test_appears_whole(void **state)
{
    (void)state;
    struct new_file file;
    struct stat status;
    assert_int_equal(new_file_open(&file, path, NULL), 0);
    assert_int_equal(new_file_write(&file, "first ", 6, NULL), 0);
    assert_int_equal(new_file_write(&file, "second", 6, NULL), 0);
    assert_false(file_exists(path));
    assert_int_equal(new_file_commit(&file, NULL), 0);
    new_file_close(&file);
    new_file_close(&file); /* legal again */
    expect_content("first second");
    assert_int_equal(count_files(), 1);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    write_file("another");
    expect_content("another");
    assert_int_equal(count_files(), 1);
}

static void test_nothing_is_left_of_what_was_given_up(void **state)
{
    (void)state;
    struct new_file file;
    write_file("old");
    assert_int_equal(new_file_open(&file, path, NULL), 0);
    assert_int_equal(new_file_write(&file, "new", 3, NULL), 0);
    new_file_close(&file);
    expect_content("old");
    assert_int_equal(count_files(), 1);
    assert_int_equal(new_file_check(path, NULL), 0);
    expect_content("old");
    assert_int_equal(count_files(), 1);
}

static void test_refused(void **state)
{
    (void)state;
    struct new_file file;
    struct error error = {0};
    char elsewhere[160];
    assert_int_equal(new_file_open(&file, "", &error), ERROR_INVALID);
    new_file_close(&file);
    assert_int_equal(new_file_open(&file, folder, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "not a regular file"));
    new_file_close(&file);
    assert_int_equal(new_file_check("/dev/null", &error), ERROR_INVALID); /* and never replaced */
    snprintf(elsewhere, sizeof elsewhere, "%s/none/file", folder);
    assert_int_equal(new_file_check(elsewhere, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "no such folder"));
    assert_int_equal(count_files(), 0);
}

static void test_a_full_disk_is_said(void **state)
{
    (void)state;
    struct new_file file;
    struct error error = {0};
    assert_int_equal(new_file_open(&file, path, NULL), 0);
    FILE *own = file.stream;
    file.stream = fopen("/dev/full", "wb");
    if (!file.stream) {
        file.stream = own;
        new_file_close(&file);
        skip();
    }
    fclose(own);
    static char bytes[1 << 20];
    assert_int_equal(new_file_write(&file, bytes, sizeof bytes, &error), ERROR_IO);
    assert_non_null(strstr(error.message, "space"));
    assert_int_equal(new_file_commit(&file, &error), ERROR_IO);
    new_file_close(&file);
    assert_int_equal(count_files(), 0);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {IN_FOLDER(test_appears_whole),
                                       IN_FOLDER(test_nothing_is_left_of_what_was_given_up),
                                       IN_FOLDER(test_refused), IN_FOLDER(test_a_full_disk_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
