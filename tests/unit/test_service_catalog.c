/* The catalogue over folders made for the test: what is found, what is not, and names that try to get out.
 * The "models" here hold a config.json only, so their summaries fail; that too must be shown, not hidden. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "platform/places.h"
#include "service/catalog.h"

static char root[64];

static const char *under(const char *path)
{
    static char buffers[4][PATH_MAX];
    static unsigned next;
    char *buffer = buffers[next++ % 4];
    snprintf(buffer, PATH_MAX, "%s/%s", root, path);
    return buffer;
}

static void make_folder(const char *path)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", under(path));
    for (char *p = part + strlen(root) + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            assert_true(mkdir(part, 0777) == 0 || errno == EEXIST);
            *p = '/';
        }
    assert_true(mkdir(part, 0777) == 0 || errno == EEXIST);
}

static void make_file(const char *path, const char *text)
{
    FILE *file = fopen(under(path), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_model(const char *path)
{
    char config[512];
    make_folder(path);
    snprintf(config, sizeof config, "%s/config.json", path);
    make_file(config, "{}");
}

static int set_up(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/llmind-catalog-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    setenv("LLMIND_DATA_DIR", under("data"), 1);
    setenv("HF_HUB_CACHE", under("hub"), 1);
    setenv("LLMIND_MODEL_PATH", "", 1);
    setenv("LLMIND_BUILTIN", under("builtin"), 1);
    make_model("builtin");
    make_model("data/models/tiny-llama");
    make_model("data/models/other");
    make_folder("data/models/not-a-model");
    make_model("data/secret");
    make_model("hub/models--org--thing/snapshots/aaa111");
    make_model("hub/models--org--thing/snapshots/bbb222");
    make_folder("hub/models--org--thing/refs");
    make_file("hub/models--org--thing/refs/main", "bbb222\n");
    make_model("hub/models--gpt2/snapshots/ccc333"); /* no refs: the newest snapshot */
    make_folder("hub/models--org--half/snapshots/ddd444");
    make_model("hub/datasets--org--data/snapshots/eee555");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static int find(const char *name, char path[PATH_MAX], struct error *error)
{
    return catalog_find(name, path, PATH_MAX, error);
}

static void finds_names(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct error error = {0};
    assert_int_equal(find("tiny-llama", path, &error), 0);
    assert_string_equal(path, under("data/models/tiny-llama"));
    assert_int_equal(find("org/thing", path, &error), 0);
    assert_string_equal(path, under("hub/models--org--thing/snapshots/bbb222"));
    assert_int_equal(find("org/thing@aaa111", path, &error), 0);
    assert_string_equal(path, under("hub/models--org--thing/snapshots/aaa111"));
    assert_int_equal(find("org/thing@main", path, &error), 0);
    assert_int_equal(find("gpt2", path, &error), 0);
    assert_string_equal(path, under("hub/models--gpt2/snapshots/ccc333"));
    assert_int_equal(find("builtin", path, &error), 0);
    assert_string_equal(path, under("builtin"));
}

static void model_path_folders(void **state)
{
    (void)state;
    char path[PATH_MAX], list[PATH_MAX];
    struct error error = {0};
    make_model("elsewhere/third");
    snprintf(list, sizeof list, "%s::%s/absent", under("elsewhere"), root);
    setenv("LLMIND_MODEL_PATH", list, 1);
    assert_int_equal(find("third", path, &error), 0);
    assert_string_equal(path, under("elsewhere/third"));
    setenv("LLMIND_MODEL_PATH", "", 1);
    assert_int_equal(find("third", path, &error), ERROR_NOT_FOUND);
}

static void names_cannot_leave(void **state)
{
    (void)state;
    static const char *const tricks[] = {"../secret",
                                         "tiny-llama/../../secret",
                                         "/etc",
                                         "..",
                                         ".",
                                         "",
                                         "a//b",
                                         "tiny-llama/",
                                         "tiny-llama/.",
                                         "org/thing@../../../../data/secret",
                                         "org/thing@",
                                         "org/thing@..",
                                         "a\\b",
                                         "a\nb",
                                         "org/../secret",
                                         "../../data/models/tiny-llama"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof tricks / sizeof *tricks; i++) {
        struct error error = {0};
        assert_int_equal(find(tricks[i], path, &error), ERROR_NOT_FOUND);
        assert_true(error.message[0] != '\0');
        assert_null(strchr(error.message, '\n'));
    }
    char absolute[PATH_MAX], overlong[2000];
    snprintf(absolute, sizeof absolute, "%s", under("data/secret"));
    assert_int_equal(find(absolute, path, NULL), ERROR_NOT_FOUND);           /* a folder is not a name ... */
    assert_int_equal(catalog_resolve(absolute, path, sizeof path, NULL), 0); /* ... but is a MODEL */
    memset(overlong, 'a', sizeof overlong);
    overlong[sizeof overlong - 1] = '\0';
    assert_int_equal(find(overlong, path, NULL), ERROR_NOT_FOUND);
}

static void hostile_references_are_ignored(void **state)
{
    (void)state;
    char path[PATH_MAX];
    make_model("hub/models--org--evil/snapshots/fff666");
    make_folder("hub/models--org--evil/refs");
    make_file("hub/models--org--evil/refs/main", "../../../data/secret");
    assert_int_equal(find("org/evil", path, NULL), 0);
    assert_string_equal(path, under("hub/models--org--evil/snapshots/fff666"));
    make_file("hub/models--org--evil/refs/main", ""); /* empty */
    assert_int_equal(find("org/evil", path, NULL), 0);
}

static void dead_links_and_loops(void **state)
{
    (void)state;
    assert_int_equal(symlink(under("nowhere"), under("data/models/dangling")), 0);
    assert_int_equal(symlink(under("data/models/loop"), under("data/models/loop")), 0);
    assert_int_equal(symlink(under("data/models"), under("data/models/again")), 0);
    struct catalog catalog;
    assert_int_equal(catalog_scan(&catalog, NULL), 0);
    for (size_t i = 0; i < catalog.count; i++) {
        assert_string_not_equal(catalog.entries[i].name, "dangling");
        assert_string_not_equal(catalog.entries[i].name, "loop");
        assert_string_not_equal(catalog.entries[i].name, "again");
    }
    catalog_free(&catalog);
}

static void the_list(void **state)
{
    (void)state;
    struct catalog catalog;
    struct error error = {0};
    assert_int_equal(catalog_scan(&catalog, &error), 0);
    static const char *const expected[] = {"builtin", "other", "tiny-llama", "gpt2", "org/thing"};
    size_t at = 0;
    for (size_t i = 0; i < catalog.count && at < 5; i++)
        if (strcmp(catalog.entries[i].name, expected[at]) == 0) {
            assert_non_null(
                catalog.entries[i].problem); /* an empty config.json is no model, and it says so */
            at++;
        } else
            assert_string_equal(catalog.entries[i].name, "org/evil"); /* of the test above */
    assert_int_equal(at, 5);
    catalog_free(&catalog);
}

static void not_found_says_where_and_what_is_near(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct error error = {0};
    assert_int_equal(find("tiny-lama", path, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "'tiny-lama'"));
    assert_non_null(strstr(error.message, "did you mean 'tiny-llama'?"));
    assert_null(strstr(error.message, root)); /* clients of the server read it */
    assert_int_equal(catalog_resolve("tiny-lama", path, sizeof path, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "did you mean 'tiny-llama'?"));
    assert_non_null(strstr(error.message, under("data/models")));
    assert_non_null(strstr(error.message, under("hub")));
    assert_int_equal(find("thing", path, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "did you mean 'org/thing'?"));
    assert_int_equal(find("zzzzzzz", path, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "'llmind list'"));
    assert_int_equal(find("org/half", path, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "never finished"));
    assert_int_equal(find("org/thing@0000", path, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "revision '0000'"));
    assert_int_equal(catalog_resolve("./nowhere", path, sizeof path, &error), ERROR_NOT_FOUND);
    assert_string_equal(error.message, "there is no folder './nowhere'");
    assert_int_equal(catalog_resolve(under("data/models/not-a-model"), path, sizeof path, &error),
                     ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "has no config.json"));
}

/* Only among the models, and nothing that is a model or lies elsewhere. */
static void adapters(void **state)
{
    (void)state;
    static const char *const tricks[] = {"../secret", "/etc", "..", "", "tuned/", "a\\b", "tiny-llama"};
    char path[PATH_MAX];
    struct error error = {0};
    make_folder("data/models/tuned");
    make_file("data/models/tuned/adapter_config.json", "{}");
    make_file("data/secret/adapter_config.json", "{}");
    assert_int_equal(catalog_find_adapter("tuned", path, sizeof path, &error), 0);
    assert_string_equal(path, under("data/models/tuned"));
    assert_int_equal(find("tuned", path, &error), ERROR_NOT_FOUND);
    for (size_t i = 0; i < sizeof tricks / sizeof *tricks; i++)
        assert_int_equal(catalog_find_adapter(tricks[i], path, sizeof path, &error), ERROR_NOT_FOUND);
    assert_int_equal(catalog_find_adapter("tund", path, sizeof path, &error), ERROR_NOT_FOUND);
    assert_string_equal(error.message, "there is no adapter 'tund'; did you mean 'tuned'?");
    assert_int_equal(catalog_find_adapter("zzzzzzz", path, sizeof path, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "mlx_lm.lora"));
    assert_null(strstr(error.message, root)); /* clients of the server read it */
    assert_int_equal(catalog_find_adapter("tuned", path, 8, &error), ERROR_LIMIT);
}

static void missing_builtin(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct error error = {0};
    setenv("LLMIND_BUILTIN", under("nowhere"), 1);
    assert_int_equal(find("builtin", path, &error), ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "LLMIND_BUILTIN"));
    setenv("LLMIND_BUILTIN", under("builtin"), 1);
}

static void where_the_hub_cache_is(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    setenv("HOME", "/h", 1);
    unsetenv("HF_HUB_CACHE");
    unsetenv("HF_HOME");
    unsetenv("XDG_CACHE_HOME");
    assert_int_equal(places_hub_cache(path, sizeof path, NULL), 0);
    assert_string_equal(path, "/h/.cache/huggingface/hub");
    setenv("XDG_CACHE_HOME", "/x", 1);
    assert_int_equal(places_hub_cache(path, sizeof path, NULL), 0);
    assert_string_equal(path, "/x/huggingface/hub");
    setenv("HF_HOME", "/hf", 1);
    assert_int_equal(places_hub_cache(path, sizeof path, NULL), 0);
    assert_string_equal(path, "/hf/hub");
    setenv("HF_HUB_CACHE", under("hub"), 1);
    assert_int_equal(places_hub_cache(path, 8, NULL), ERROR_LIMIT);
    unsetenv("HF_HOME");
    unsetenv("XDG_CACHE_HOME");
    if (home)
        setenv("HOME", home, 1);
    free(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_names),
        cmocka_unit_test(model_path_folders),
        cmocka_unit_test(names_cannot_leave),
        cmocka_unit_test(hostile_references_are_ignored),
        cmocka_unit_test(dead_links_and_loops),
        cmocka_unit_test(the_list),
        cmocka_unit_test(not_found_says_where_and_what_is_near),
        cmocka_unit_test(adapters),
        cmocka_unit_test(missing_builtin),
        cmocka_unit_test(where_the_hub_cache_is),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
