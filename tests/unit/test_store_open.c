/* Which files the store takes for its own, what it makes of them, and what it leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "platform/file.h"
#include "store/migrate.h"
#include "store/store.h"
#include "support/folder.h"

static char folder[64], path[128];

static int set_up(void **state)
{
    (void)state;
    folder_make(folder);
    snprintf(path, sizeof path, "%s/llmind.db", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

static void execute(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s", message);
    sqlite3_close(db);
}

static int number(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    int value = sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return value;
}

static void open_and_close(void)
{
    struct store *store;
    struct error error = {0};
    if (store_open(folder, &store, &error))
        fail_msg("%s", error.message);
    assert_string_equal(store_path(store), path);
    store_close(store);
}

/* The file is refused with this code, the message says words, and every byte stays. */
static void refused(int code, const char *words)
{
    struct store *store = (struct store *)folder;
    struct error error = {0};
    char *before, *after;
    size_t n_before, n_after;
    assert_int_equal(file_read(path, 1 << 20, &before, &n_before, NULL), 0);
    assert_int_equal(store_open(folder, &store, &error), code);
    assert_null(store);
    assert_non_null(strstr(error.message, words));
    assert_non_null(strstr(error.message, path));
    assert_int_equal(file_read(path, 1 << 20, &after, &n_after, NULL), 0);
    assert_int_equal(n_before, n_after);
    assert_memory_equal(before, after, n_before);
    free(before);
    free(after);
}

static void a_new_database_is_private_and_current(void **state)
{
    (void)state;
    open_and_close();
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(number("PRAGMA user_version"), store_schema_version);
    assert_string_equal(store_migrations[0].name, "0001_chats.sql");
    open_and_close();
}

static void folders_on_the_way_are_made(void **state)
{
    (void)state;
    char deep[128], file[192];
    struct store *store;
    struct stat status;
    snprintf(deep, sizeof deep, "%s/a/b//c", folder);
    assert_int_equal(store_open(deep, &store, NULL), 0);
    store_close(store);
    assert_int_equal(stat(deep, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    snprintf(file, sizeof file, "%s/llmind.db", deep);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(deep), 0);
    snprintf(deep, sizeof deep, "%s/a/b", folder);
    rmdir(deep);
    snprintf(deep, sizeof deep, "%s/a", folder);
    assert_int_equal(rmdir(deep), 0);
    assert_int_equal(store_open("", &store, NULL), ERROR_LIMIT);
    assert_int_equal(store_open("/proc/nothing/here", &store, NULL), ERROR_IO);
}

static void every_old_version_comes_up_with_its_rows(void **state)
{
    (void)state;
    for (int version = 1; version < store_schema_version; version++) {
        for (int i = 0; i < version; i++)
            execute(store_migrations[i].sql);
        execute("INSERT INTO chat (id, title, created_ms, updated_ms) "
                "VALUES ('0123456789abcdef0123456789abcdef', 'kept', 1, 1)");
        char pragma[64];
        snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", version);
        execute(pragma);
        open_and_close();
        assert_int_equal(number("PRAGMA user_version"), store_schema_version);
        assert_int_equal(number("SELECT count(*) FROM chat WHERE title = 'kept'"), 1);
        assert_int_equal(number("SELECT count(*) FROM setting"), 0);
        assert_int_equal(unlink(path), 0);
    }
}

static void a_migration_that_fails_leaves_the_version_before(void **state)
{
    (void)state;
    execute(store_migrations[0].sql);
    execute("PRAGMA user_version=1; CREATE TABLE setting (mine TEXT)"); /* in the way of 0002 */
    struct store *store;
    struct error error = {0};
    assert_int_not_equal(store_open(folder, &store, &error), 0);
    assert_non_null(strstr(error.message, "0002_settings.sql"));
    assert_int_equal(number("PRAGMA user_version"), 1);
}

static void a_newer_database_is_left_alone(void **state)
{
    (void)state;
    open_and_close();
    execute("PRAGMA user_version=999");
    refused(ERROR_UNSUPPORTED, "newer LLMind (schema 999");
}

static void a_newer_database_keeps_its_journal(void **state)
{
    (void)state;
    open_and_close();
    char journal[160], *before, *after;
    size_t n_before, n_after;
    snprintf(journal, sizeof journal, "%s-wal", path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* a process of the newer version that was killed: its last commit is in the WAL */
        sqlite3 *db;
        sqlite3_open(path, &db);
        sqlite3_exec(db, "PRAGMA user_version=999", NULL, NULL, NULL);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    assert_int_equal(file_read(journal, 1 << 20, &before, &n_before, NULL), 0);
    assert_true(n_before > 0);
    refused(ERROR_UNSUPPORTED, "newer LLMind");
    assert_int_equal(file_read(journal, 1 << 20, &after, &n_after, NULL), 0);
    assert_int_equal(n_before, n_after);
    assert_memory_equal(before, after, n_before);
    free(before);
    free(after);
}

static void write_file(const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

static void what_is_no_database_is_left_alone(void **state)
{
    (void)state;
    char noise[8192];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 2654435761u >> 13);
    write_file(noise, sizeof noise);
    refused(ERROR_INVALID, "move the file away");
    write_file("hello", 5);
    refused(ERROR_INVALID, "move the file away");
}

static void a_damaged_database_is_left_alone(void **state)
{
    (void)state;
    open_and_close();
    char *bytes;
    size_t length;
    assert_int_equal(file_read(path, 1 << 20, &bytes, &length, NULL), 0);
    write_file(bytes, length / 2); /* cut */
    refused(ERROR_INVALID, "damaged");
    memset(bytes + 100, 0xA5, 1000); /* the root of its schema */
    write_file(bytes, length);
    refused(ERROR_INVALID, "damaged");
    free(bytes);
}

static void other_programs_databases_are_left_alone(void **state)
{
    (void)state;
    execute("CREATE TABLE bookmarks (url TEXT)");
    refused(ERROR_INVALID, "another program");
    unlink(path);
    execute("PRAGMA application_id=7");
    execute("PRAGMA user_version=1");
    refused(ERROR_INVALID, "another program");
}

static void processes_that_open_a_new_database_at_once_agree(void **state)
{
    (void)state;
    enum { PROCESSES = 8 };
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct store *store;
            int status = store_open(folder, &store, NULL);
            if (!status)
                store_close(store);
            _exit(status ? 1 : 0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(number("PRAGMA user_version"), store_schema_version);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {CASE(a_new_database_is_private_and_current),
                                       CASE(folders_on_the_way_are_made),
                                       CASE(every_old_version_comes_up_with_its_rows),
                                       CASE(a_migration_that_fails_leaves_the_version_before),
                                       CASE(a_newer_database_is_left_alone),
                                       CASE(a_newer_database_keeps_its_journal),
                                       CASE(what_is_no_database_is_left_alone),
                                       CASE(a_damaged_database_is_left_alone),
                                       CASE(other_programs_databases_are_left_alone),
                                       CASE(processes_that_open_a_new_database_at_once_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
