/* Conversations in the database: whole transactions, limits, readers beside a writer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/chats.h"
#include "store/settings.h"
#include "support/folder.h"

static const char id_a[] = "0123456789abcdef0123456789abcdef", id_b[] = "ffffffffffffffffffffffffffffffff";
static char folder[64];
static struct store *store;

static int set_up(void **state)
{
    (void)state;
    folder_make(folder);
    return store_open(folder, &store, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    store_close(store);
    folder_remove(folder);
    return 0;
}

static int make_chat(const char *id, const char *title, int64_t now)
{
    struct store_chat chat = {.id = id, .title = title, .created_ms = now, .updated_ms = now};
    struct store_chat_write write = {.id = id, .create = &chat, .take_away = -1, .updated_ms = now};
    return store_chats_write(store, &write, NULL);
}

static int say(const char *id, const char *role, const char *text, size_t length, int64_t take_away,
               struct error *error)
{
    struct store_message message = {.role = role, .text = text, .length = length, .created_ms = 5};
    struct store_chat_write write = {
        .id = id, .take_away = take_away, .messages = &message, .n_messages = 1, .updated_ms = 5};
    return store_chats_write(store, &write, error);
}

struct seen {
    int64_t chats, messages, counted;
    char last[64], opening[256], order[256];
    bool wrong;
};

static int see_chat(void *context, const struct store_chat *chat, struct error *error)
{
    (void)error;
    struct seen *seen = context;
    seen->chats++;
    seen->counted = chat->messages;
    snprintf(seen->opening, sizeof seen->opening, "%s", chat->opening ? chat->opening : "-");
    size_t n = strlen(seen->order);
    snprintf(seen->order + n, sizeof seen->order - n, "%s ", chat->title ? chat->title : "-");
    return 0;
}

static int see_message(void *context, const struct store_message *message, struct error *error)
{
    (void)error;
    struct seen *seen = context;
    seen->wrong |= message->position != seen->messages++ || strlen(message->text) != message->length;
    snprintf(seen->last, sizeof seen->last, "%.60s", message->text);
    return 0;
}

static int read_all(const char *id, struct seen *seen)
{
    memset(seen, 0, sizeof *seen);
    struct store_visitor visitor = {see_chat, see_message, seen};
    return store_chats_read(store, id, &visitor, NULL);
}

static void list(const char *search, const char *expected)
{
    struct seen seen = {0};
    struct store_page page = {.limit = 10, .search = search};
    struct store_visitor visitor = {.chat = see_chat, .context = &seen};
    assert_int_equal(store_chats_list(store, &page, &visitor, NULL), 0);
    assert_string_equal(seen.order, expected);
}

static void messages_come_back_in_order(void **state)
{
    (void)state;
    struct seen seen;
    assert_int_equal(make_chat(id_a, NULL, 1), 0);
    assert_int_equal(say(id_a, "user", "one", 3, -1, NULL), 0);
    assert_int_equal(say(id_a, "assistant", "two", 3, -1, NULL), 0);
    assert_int_equal(read_all(id_a, &seen), 0);
    assert_int_equal(seen.messages, 2);
    assert_int_equal(seen.counted, 2);
    assert_string_equal(seen.opening, "one");
    assert_string_equal(seen.last, "two");
    assert_int_equal(say(id_a, "assistant", "three", 5, 1, NULL), 0); /* in place of the last */
    assert_int_equal(read_all(id_a, &seen), 0);
    assert_int_equal(seen.messages, 2);
    assert_string_equal(seen.last, "three");
    struct error error = {0};
    assert_int_equal(say(id_a, "assistant", "x", 1, 0, &error), ERROR_BUSY); /* not the last */
    assert_int_equal(say(id_a, "assistant", "x", 1, 99, &error), ERROR_BUSY);
    assert_int_equal(say(id_b, "user", "x", 1, -1, &error), ERROR_NOT_FOUND);
    assert_int_equal(read_all(id_a, &seen), 0);
    assert_string_equal(seen.last, "three");
}

static void a_write_is_whole_or_not_there(void **state)
{
    (void)state;
    struct seen seen;
    struct store_chat chat = {.id = id_a, .created_ms = 1, .updated_ms = 1};
    struct store_message messages[2] = {{.role = "user", .text = "fine", .length = 4},
                                        {.role = "nobody", .text = "not", .length = 3}};
    struct store_chat_write write = {
        .id = id_a, .create = &chat, .take_away = -1, .messages = messages, .n_messages = 2};
    assert_int_not_equal(store_chats_write(store, &write, NULL), 0);
    assert_int_equal(read_all(id_a, &seen), ERROR_NOT_FOUND);
    messages[1].role = "assistant";
    assert_int_equal(store_chats_write(store, &write, NULL), 0);
    assert_int_not_equal(store_chats_write(store, &write, NULL), 0); /* the id is taken */
    assert_int_equal(read_all(id_a, &seen), 0);
    assert_int_equal(seen.messages, 2);
}

static void limits_hold(void **state)
{
    (void)state;
    struct error error = {0};
    char *text = malloc(STORE_MESSAGE_BYTES + 1);
    assert_non_null(text);
    memset(text, 'x', STORE_MESSAGE_BYTES + 1);
    assert_int_equal(make_chat(id_a, "a", 1), 0);
    assert_int_equal(say(id_a, "user", text, STORE_MESSAGE_BYTES + 1, -1, &error), ERROR_LIMIT);
    for (int i = 0; i < STORE_CHAT_BYTES / STORE_MESSAGE_BYTES; i++)
        assert_int_equal(say(id_a, "user", text, STORE_MESSAGE_BYTES, -1, NULL), 0);
    assert_int_equal(say(id_a, "user", text, 1, -1, &error), ERROR_LIMIT);
    assert_non_null(strstr(error.message, "begin a new one"));
    free(text);

    enum { N = 1000 };
    static struct store_message many[N];
    assert_int_equal(make_chat(id_b, "b", 1), 0);
    for (int i = 0; i < N; i++)
        many[i] = (struct store_message){.role = "user", .text = "m", .length = 1};
    struct store_chat_write write = {.id = id_b, .take_away = -1, .messages = many, .n_messages = N};
    for (int i = 0; i < STORE_CHAT_MESSAGES / N; i++)
        assert_int_equal(store_chats_write(store, &write, NULL), 0);
    assert_int_equal(say(id_b, "user", "m", 1, -1, &error), ERROR_LIMIT);
}

static void hostile_ids_and_searches_find_nothing(void **state)
{
    (void)state;
    struct seen seen;
    assert_int_equal(make_chat(id_a, "100% safe_title\\", 1), 0);
    static const char *const ids[] = {"", "%", "' OR 1=1--", "0123456789ABCDEF0123456789ABCDEF", "\xFF\xFE"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_int_equal(read_all(ids[i], &seen), ERROR_NOT_FOUND);
        assert_int_equal(store_chats_delete(store, ids[i], NULL), ERROR_NOT_FOUND);
        assert_int_equal(store_chats_update(store, ids[i], "t", NULL, NULL, NULL), ERROR_NOT_FOUND);
        assert_int_equal(say(ids[i], "user", "x", 1, -1, NULL), ERROR_NOT_FOUND);
    }
    list("100%", "100% safe_title\\ ");
    list("SAFE_", "100% safe_title\\ ");
    list("\\", "100% safe_title\\ ");
    list("1%safe", "");
    list("s_fe", "");
    list("') OR 1=1 --", "");
}

static void lists_are_newest_first_and_find_texts(void **state)
{
    (void)state;
    assert_int_equal(make_chat(id_a, "old", 1), 0);
    assert_int_equal(make_chat(id_b, "new", 2), 0);
    list(NULL, "new old ");
    assert_int_equal(say(id_a, "user", "needle", 6, -1, NULL), 0); /* at 5 */
    list(NULL, "old new ");
    list("NEEDLE", "old ");
    assert_int_equal(store_chats_update(store, id_a, "", NULL, NULL, NULL), 0);
    list("needle", "- ");
    assert_int_equal(store_chats_delete(store, id_a, NULL), 0);
    list("needle", "");
    list(NULL, "new ");
}

enum { READERS = 12, WRITES = 60 };
static atomic_bool done;
static atomic_int wrong_reads;

static void *read_on(void *unused)
{
    (void)unused;
    struct seen seen;
    while (!atomic_load(&done))
        if (read_all(id_a, &seen) || seen.wrong || seen.messages != seen.counted || seen.messages % 2)
            atomic_fetch_add(&wrong_reads, 1);
    return NULL;
}

static void *write_on(void *unused)
{
    struct store_message pair[2] = {{.role = "user", .text = "question", .length = 8},
                                    {.role = "assistant", .text = "answer", .length = 6}};
    struct store_chat_write write = {.id = id_a, .take_away = -1, .messages = pair, .n_messages = 2};
    for (int i = 0; i < WRITES; i++)
        if (store_chats_write(store, &write, NULL))
            atomic_fetch_add(&wrong_reads, 1);
    return unused;
}

static void readers_see_whole_transactions(void **state)
{
    (void)state;
    struct seen seen;
    pthread_t readers[READERS], writers[2];
    assert_int_equal(make_chat(id_a, "a", 1), 0);
    atomic_store(&done, false);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_on, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(atomic_load(&wrong_reads), 0);
    assert_int_equal(read_all(id_a, &seen), 0);
    assert_int_equal(seen.messages, 2 * 2 * WRITES);
}

static int see_setting(void *context, const struct store_setting *setting, struct error *error)
{
    (void)error;
    char *text = context;
    snprintf(text + strlen(text), 100 - strlen(text), "%s=%s ", setting->key, setting->value);
    return 0;
}

static void settings_are_written_all_or_none(void **state)
{
    (void)state;
    char text[100] = "";
    const struct store_setting first[] = {{"a", "1"}, {"b", "\"x\""}};
    const struct store_setting second[] = {{"a", NULL}, {"b", "2"}, {"c", "null"}};
    assert_int_equal(store_settings_write(store, first, 2, NULL), 0);
    assert_int_equal(store_settings_write(store, second, 3, NULL), 0);
    assert_int_equal(store_settings_read(store, see_setting, text, NULL), 0);
    assert_string_equal(text, "b=2 c=null ");
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {CASE(messages_come_back_in_order),
                                       CASE(a_write_is_whole_or_not_there),
                                       CASE(limits_hold),
                                       CASE(hostile_ids_and_searches_find_nothing),
                                       CASE(lists_are_newest_first_and_find_texts),
                                       CASE(readers_see_whole_transactions),
                                       CASE(settings_are_written_all_or_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
