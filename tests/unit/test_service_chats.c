/* Conversations with a database, without one, and with one that stops taking anything. */
#include <math.h>
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

#include "service/chats.h"
#include "service/settings.h"
#include "store/store.h"
#include "support/folder.h"

static char folder[64];
static struct store *store;
static struct chats *chats;

static int set_up(void **state)
{
    (void)state;
    folder_make(folder);
    return store_open(folder, &store, NULL) || chats_open(store, NULL, &chats, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    chats_close(chats);
    store_close(store);
    store = NULL;
    folder_remove(folder);
    return 0;
}

static int set_up_without(void **state)
{
    (void)state;
    folder_make(folder);
    return chats_open(NULL, "the disk is full", &chats, NULL);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void create(char id[33], const char *title)
{
    json_t *chat;
    assert_int_equal(chats_create(chats, title, NULL, NULL, &chat, NULL), 0);
    snprintf(id, 33, "%s", text_of(chat, "id"));
    json_decref(chat);
}

static int say(const char *id, const char *role, const char *text, int64_t replaces)
{
    json_t *saved = NULL;
    struct chats_message message = {.role = role, .text = text, .length = strlen(text), .replaces = replaces};
    int status = chats_add_message(chats, id, &message, &saved, NULL);
    json_decref(saved);
    return status;
}

/* "role:text ..." of a chat's messages. */
static void expect(const char *id, const char *expected)
{
    char text[512] = "";
    json_t *chat;
    const json_t *message;
    size_t i;
    assert_int_equal(chats_get(chats, id, &chat, NULL), 0);
    json_array_foreach(json_object_get(chat, "messages"), i, message) {
        assert_int_equal(json_integer_value(json_object_get(message, "index")), i);
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%c:%s ", text_of(message, "role")[0],
                 text_of(message, "content"));
    }
    assert_int_equal(json_integer_value(json_object_get(chat, "message_count")), i);
    assert_string_equal(text, expected);
    json_decref(chat);
}

static void expect_title(const char *first, const char *title)
{
    char id[33];
    json_t *chat;
    create(id, NULL);
    assert_int_equal(say(id, "user", first, -1), 0);
    assert_int_equal(chats_get(chats, id, &chat, NULL), 0);
    assert_string_equal(text_of(chat, "title"), title);
    json_decref(chat);
}

static void titles_come_from_the_first_message(void **state)
{
    (void)state;
    expect_title("Hello\nthere", "Hello");
    expect_title("  ## Heading", "Heading");
    expect_title("\n\n", "New chat");
    expect_title("one two three four five six seven eight nine ten eleven twelve thirteen",
                 "one two three four five six seven eight nine ten eleven…");
    expect_title("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…");
    expect_title("bad \xFF byte", "bad \xEF\xBF\xBD byte");
}

/* The same story with and without a database. */
static void a_conversation(void **state)
{
    (void)state;
    char id[33];
    create(id, NULL);
    assert_int_equal(say(id, "user", "one", -1), 0);
    assert_int_equal(say(id, "assistant", "two", -1), 0);
    expect(id, "u:one a:two ");
    assert_int_equal(say(id, "assistant", "three", 1), 0);
    expect(id, "u:one a:three ");
    assert_int_equal(say(id, "assistant", "x", 0), ERROR_BUSY);
    assert_int_equal(say(id, "nobody", "x", -1), ERROR_INVALID);
    assert_int_equal(say(id, "user", "four", -1), 0);
    assert_int_equal(chats_take_back(chats, id, 1, NULL), ERROR_BUSY);
    assert_int_equal(chats_take_back(chats, id, 2, NULL), 0);
    expect(id, "u:one a:three ");
    json_t *out;
    assert_int_equal(chats_update(chats, id, "Named", "m", NULL, &out, NULL), 0);
    assert_string_equal(text_of(out, "title"), "Named");
    assert_string_equal(text_of(out, "model"), "m");
    json_decref(out);
    assert_int_equal(chats_list(chats, 10, NULL, "THREE", &out, NULL), 0);
    assert_int_equal(json_array_size(json_object_get(out, "chats")), 1);
    json_decref(out);
    assert_int_equal(chats_list(chats, 10, NULL, "four", &out, NULL), 0);
    assert_int_equal(json_array_size(json_object_get(out, "chats")), 0);
    json_decref(out);
    assert_int_equal(chats_delete(chats, id, NULL), 0);
    assert_int_equal(chats_get(chats, id, &out, NULL), ERROR_NOT_FOUND);
    assert_int_equal(say(id, "user", "late", -1), ERROR_NOT_FOUND);
}

static void without_a_database_it_says_so(void **state)
{
    (void)state;
    json_t *chat;
    assert_int_equal(chats_create(chats, "t", NULL, NULL, &chat, NULL), 0);
    assert_true(json_is_false(json_object_get(chat, "saved")));
    assert_string_equal(text_of(chat, "saved_reason"), "the disk is full");
    json_decref(chat);
}

static void memory_for_what_is_not_saved_ends(void **state)
{
    (void)state;
    struct error error = {0};
    char id[33];
    char *text = malloc(1 << 20);
    assert_non_null(text);
    memset(text, 'x', (1 << 20) - 1);
    text[(1 << 20) - 1] = '\0';
    create(id, NULL);
    int n = 0;
    while (say(id, "user", text, -1) == 0)
        assert_true(++n <= CHATS_UNSAVED_BYTES >> 20);
    assert_int_equal(n, CHATS_UNSAVED_BYTES >> 20);
    assert_int_equal(chats_take_back(chats, id, n - 1, NULL), 0);
    assert_int_equal(say(id, "user", "small", -1), 0);
    assert_int_equal(chats_delete(chats, id, NULL), 0);
    free(text);
    json_t *chat;
    int status = 0;
    for (n = 0; n <= CHATS_UNSAVED && !status; n++)
        if (!(status = chats_create(chats, NULL, NULL, NULL, &chat, &error)))
            json_decref(chat);
    assert_int_equal(status, ERROR_IO);
    assert_non_null(strstr(error.message, "reached its limit"));
}

static void hostile_ids_are_not_found(void **state)
{
    (void)state;
    static const char *const ids[] = {"",
                                      "x",
                                      "0123456789ABCDEF0123456789ABCDEF",
                                      "0123456789abcdef0123456789abcdef0",
                                      "00000000000000000000000000000000",
                                      "../../etc/passwd"};
    json_t *out;
    char *text;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_int_equal(chats_get(chats, ids[i], &out, NULL), ERROR_NOT_FOUND);
        assert_int_equal(chats_delete(chats, ids[i], NULL), ERROR_NOT_FOUND);
        assert_int_equal(chats_update(chats, ids[i], "t", NULL, NULL, &out, NULL), ERROR_NOT_FOUND);
        assert_int_equal(say(ids[i], "user", "x", -1), ERROR_NOT_FOUND);
        assert_int_equal(chats_take_back(chats, ids[i], 0, NULL), ERROR_NOT_FOUND);
        assert_int_equal(chats_markdown(chats, ids[i], &text, NULL), ERROR_NOT_FOUND);
        assert_false(chats_stop(chats, ids[i]));
    }
}

static void count_cancel(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void one_answer_at_a_time(void **state)
{
    (void)state;
    char a[33], b[33];
    atomic_int cancelled = 0;
    create(a, "a");
    create(b, "b");
    assert_int_equal(chats_turn_begin(chats, a, count_cancel, &cancelled, NULL), 0);
    assert_int_equal(chats_turn_begin(chats, a, count_cancel, &cancelled, NULL), ERROR_BUSY);
    assert_int_equal(chats_turn_begin(chats, b, count_cancel, &cancelled, NULL), 0);
    assert_true(chats_stop(chats, a));
    assert_int_equal(atomic_load(&cancelled), 1);
    chats_turn_end(chats, a);
    assert_false(chats_stop(chats, a));
    assert_int_equal(chats_turn_begin(chats, a, count_cancel, &cancelled, NULL), 0);
    chats_turn_end(chats, a);
    chats_turn_end(chats, b);
}

enum { THREADS = 6, TURNS = 15 };

static void *talk(void *unused)
{
    char id[33];
    create(id, "t");
    for (int i = 0; i < TURNS; i++) {
        json_t *page;
        assert_int_equal(say(id, "user", "question", -1), 0);
        assert_int_equal(say(id, "assistant", "answer", -1), 0);
        assert_int_equal(chats_list(chats, 5, NULL, i % 2 ? "answer" : NULL, &page, NULL), 0);
        json_decref(page);
    }
    json_t *chat;
    assert_int_equal(chats_get(chats, id, &chat, NULL), 0);
    assert_int_equal(json_array_size(json_object_get(chat, "messages")), 2 * TURNS);
    json_decref(chat);
    return unused;
}

static void threads_do_not_mix_their_chats(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, talk, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void settings_outlive_the_process(void **state)
{
    (void)state;
    struct settings *settings;
    char param[32] = "";
    for (int round = 0; round < 2; round++) {
        assert_int_equal(settings_open(store, NULL, &settings, NULL), 0);
        double temperature = settings_number(settings, "temperature");
        assert_true(round ? temperature == 0.5 : isnan(temperature));
        json_t *changes = json_pack("{s:f, s:s}", "temperature", 0.5, "theme", "dark");
        assert_int_equal(settings_write(settings, changes, param, sizeof param, NULL), 0);
        json_decref(changes);
        changes = json_pack("{s:s, s:i}", "theme", "light", "kv_bits", 5);
        assert_int_equal(settings_write(settings, changes, param, sizeof param, NULL), ERROR_INVALID);
        assert_string_equal(param, "kv_bits");
        json_decref(changes);
        char *theme = settings_string(settings, "theme");
        assert_string_equal(theme, "dark");
        free(theme);
        assert_null(settings_string(settings, "system_prompt"));
        settings_close(settings);
    }
}

int main(void)
{
#define WITH(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define WITHOUT(function) cmocka_unit_test_setup_teardown(function, set_up_without, tear_down)
    const struct CMUnitTest tests[] = {WITH(titles_come_from_the_first_message),
                                       WITHOUT(titles_come_from_the_first_message),
                                       WITH(a_conversation),
                                       WITHOUT(a_conversation),
                                       WITHOUT(without_a_database_it_says_so),
                                       WITHOUT(memory_for_what_is_not_saved_ends),
                                       WITH(hostile_ids_are_not_found),
                                       WITHOUT(hostile_ids_are_not_found),
                                       WITH(one_answer_at_a_time),
                                       WITH(threads_do_not_mix_their_chats),
                                       WITHOUT(threads_do_not_mix_their_chats),
                                       WITH(settings_outlive_the_process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
