/* Requests: what is read is what is written; what is wrong is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "profile/request.h"

static struct arena arena;

static int read_text(const char *text, struct profile_request *out, struct error *error)
{
    json_error_t syntax;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &syntax);
    if (!json)
        fail_msg("%s: %s", text, syntax.text);
    int status = profile_request_read(json, &arena, out, error);
    json_decref(json); /* strings are copies */
    return status;
}

static void defaults(void **state)
{
    (void)state;
    struct profile_request request;
    struct error error = {0};
    assert_int_equal(read_text("{}", &request, &error), 0);
    assert_int_equal(request.kind, PROFILE_MODEL);
    assert_int_equal(request.n_models, 0);
    assert_true(request.all_configurations && request.trace);
    assert_false(request.quick || request.raw || request.unload_current);
    assert_int_equal(request.knobs.precise, -1);
    assert_null(request.target_url);
    /* null is as absent */
    assert_int_equal(read_text("{\"kind\": null, \"knobs\": null, \"target\": null, \"configurations\": null,"
                               " \"model_name\": null}",
                               &request, &error),
                     0);
    assert_true(request.all_configurations);
}

static void everything_and_back(void **state)
{
    (void)state;
    static const char text[] =
        "{\"kind\":\"profile\",\"model_name\":\"builtin\",\"quick_mode\":true,\"repeats\":5,"
        "\"test_prompts\":[\"one\",\"zw\\u00f6lf\"],\"max_tokens\":64,\"configurations\":[\"baseline\","
        "\"threads\"],"
        "\"knobs\":{\"threads\":2,\"context\":4096,\"kv_bits\":8,\"prefill_chunk\":256,\"isa\":\"avx2\","
        "\"backend\":\"cpu\",\"precise\":false},\"unload_current\":true,\"trace\":false,\"raw\":true}";
    struct profile_request request;
    struct error error = {0};
    assert_int_equal(read_text(text, &request, &error), 0);
    assert_string_equal(request.models[0].name, "builtin");
    assert_null(request.models[0].path);
    assert_true(request.quick && request.unload_current && request.raw && !request.trace);
    assert_int_equal(request.repeats, 5);
    assert_string_equal(request.prompts[1], "zw\xc3\xb6lf");
    assert_int_equal(request.n_configurations, 2);
    request.models[0].path = "/somewhere";
    assert_null(profile_request_engine(&request, 0).adapter);
    request.models[0].adapter = "/adapters/tuned"; /* which the JSON form must not have */
    struct engine_options options = profile_request_engine(&request, 0);
    assert_string_equal(options.model, "/somewhere");
    assert_string_equal(options.adapter, "/adapters/tuned");
    assert_null(profile_request_engine(&request, 1).model);
    assert_null(profile_request_engine(&request, 1).adapter);
    assert_int_equal(options.n_threads, 2);
    assert_int_equal(options.context, 4096);
    assert_int_equal(options.kv_bits, 8);
    assert_int_equal(options.prefill_chunk, 256);
    assert_string_equal(options.isa, "avx2");
    assert_int_equal(options.max_sequences, 1);
    assert_false(options.precise);
    json_t *again = profile_request_json(&request), *first = json_loads(text, 0, NULL);
    assert_true(json_equal(again, first));
    json_decref(again);
    json_decref(first);
}

static void several_models_and_targets(void **state)
{
    (void)state;
    struct profile_request request;
    struct error error = {0};
    assert_int_equal(read_text("{\"kind\":\"compare\",\"models\":[\"a\",\"b\"]}", &request, &error), 0);
    assert_int_equal(request.kind, PROFILE_COMPARE);
    assert_int_equal(request.n_models, 2);
    json_t *json = profile_request_json(&request);
    assert_int_equal(json_array_size(json_object_get(json, "models")), 2);
    json_decref(json);
    assert_int_equal(read_text("{\"kind\":\"compare\",\"knobs\":{\"backend\":\"cpu\"},\"models\":[\"a\","
                               "{\"model\":\"a\",\"backend\":\"mlx\"},{\"model\":\"b\",\"backend\":null}]}",
                               &request, &error),
                     0);
    request.models[0].served_backend = request.models[1].served_backend = "other";
    json = profile_request_json(&request);
    assert_int_equal(profile_request_read(json, &arena, &request, &error),
                     0); /* the same again, but for who serves it */
    json_decref(json);
    assert_int_equal(request.n_models, 3);
    assert_string_equal(profile_model_label(&request.models[0]), "a");
    assert_string_equal(profile_model_label(&request.models[1]), "a (mlx)");
    assert_string_equal(profile_model_label(&request.models[2]), "b");
    assert_string_equal(profile_request_engine(&request, 0).backend, "cpu");
    assert_string_equal(profile_request_engine(&request, 1).backend, "mlx");
    request.knobs.backend = NULL;
    request.models[0].served_backend = "other";
    assert_string_equal(profile_request_engine(&request, 0).backend, "other");
    assert_null(profile_request_engine(&request, 2).backend);
    /* of one model it is the run's own: that is what may be sent again, to the address for one model */
    assert_int_equal(read_text("{\"models\":[{\"model\":\"a\",\"backend\":\"mlx\"}]}", &request, &error), 0);
    json = profile_request_json(&request);
    assert_int_equal(profile_request_read(json, &arena, &request, &error), 0);
    json_decref(json);
    assert_null(request.models[0].backend);
    assert_string_equal(request.models[0].name, "a");
    assert_string_equal(profile_request_engine(&request, 0).backend, "mlx");
    assert_int_equal(read_text("{\"target\":\"http://x/v1\"}", &request, &error), 0);
    assert_string_equal(request.target_url, "http://x/v1");
    assert_false(request.target_allow_local);
    assert_int_equal(read_text("{\"target\":{\"url\":\"http://x\",\"model\":\"m\",\"allow_local\":true,"
                               "\"key_env\":\"LLMIND_TARGET_API_KEY\"}}",
                               &request, &error),
                     0);
    assert_true(request.target_allow_local);
    struct profile_request again;
    json = profile_request_json(&request);
    assert_int_equal(profile_request_read(json, &arena, &again, &error), 0);
    json_decref(json);
    assert_string_equal(again.target_key_env, "LLMIND_TARGET_API_KEY");
    assert_string_equal(again.target_model, "m");
}

static void refused(const char *text, const char *words)
{
    struct profile_request request;
    struct error error = {0};
    assert_int_equal(read_text(text, &request, &error), ERROR_INVALID);
    if (!strstr(error.message, words))
        fail_msg("%s: '%s' does not say '%s'", text, error.message, words);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    refused("[]", "the request");
    refused("7", "the request");
    refused("{\"quick\": true}", "quick: there is no such member");
    refused("{\"quick_mode\": 1}", "quick_mode");
    refused("{\"repeats\": 0}", "repeats");
    refused("{\"repeats\": 101}", "from 1 to 100");
    refused("{\"repeats\": 2.5}", "repeats");
    refused("{\"repeats\": -9223372036854775808}", "repeats");
    refused("{\"max_tokens\": 4294967297}", "max_tokens");
    refused("{\"kind\": \"load\"}", "kind");
    refused("{\"model_name\": \"\"}", "model_name");
    refused("{\"model_name\": 3}", "model_name");
    refused("{\"models\": \"a\"}", "models");
    refused("{\"models\": [1]}", "models");
    refused("{\"models\": [{}]}", "models.model");
    refused("{\"models\": [{\"backend\": \"mlx\"}]}", "models.model");
    refused("{\"models\": [{\"model\": 7}]}", "models.model");
    refused("{\"models\": [{\"model\": \"a\", \"backend\": \"\"}]}", "models.backend");
    refused("{\"models\": [{\"model\": \"a\", \"backend\": [\"mlx\"]}]}", "models.backend");
    refused("{\"models\": [{\"model\": \"a\", \"adapter\": \"/etc\"}]}", "models.adapter");
    refused("{\"models\": [\"a\"], \"model_name\": \"b\"}", "model");
    refused("{\"test_prompts\": [\"\"]}", "test_prompts");
    refused("{\"test_prompts\": {}}", "test_prompts");
    refused("{\"configurations\": [\"warp\"]}", "none called 'warp'");
    refused("{\"configurations\": \"none\"}", "configurations");
    refused("{\"knobs\": {\"thread\": 2}}", "knobs.thread: there is no such member");
    refused("{\"knobs\": {\"threads\": 0}}", "knobs.threads");
    refused("{\"knobs\": {\"kv_bits\": 12}}", "knobs.kv_bits: 8, 16 or 32");
    refused("{\"knobs\": []}", "knobs");
    refused("{\"adapter\": \"/etc\"}", "adapter: there is no such member");
    refused("{\"knobs\": {\"adapter\": \"/etc\"}}", "knobs.adapter: there is no such member");
    refused("{\"target\": 3}", "target");
    refused("{\"target\": {}}", "target.url");
    refused("{\"target\": {\"url\": \"x\", \"key\": \"s\"}}", "target.key: there is no such member");
    refused("{\"target\": \"http://x\", \"model_name\": \"builtin\"}", "target");
}

/* Or a request could have any secret of the server's environment sent to its target. */
static void no_other_variable_is_sent(void **state)
{
    (void)state;
    refused("{\"target\": {\"url\": \"http://x\", \"key_env\": \"LLMIND_API_KEY\"}}", "key_env");
    refused("{\"target\": {\"url\": \"http://x\", \"key_env\": \"AWS_SECRET_ACCESS_KEY\"}}",
            "LLMIND_TARGET_");
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    struct profile_request request;
    struct error error = {0};
    json_t *prompts = json_array(), *json = json_object();
    for (int i = 0; i < SCENARIO_MAX_PROMPTS + 1; i++)
        json_array_append_new(prompts, json_string("p"));
    json_object_set_new(json, "test_prompts", prompts);
    assert_int_equal(profile_request_read(json, &arena, &request, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "test_prompts: 17 are too many (at most 16)"));
    json_array_clear(prompts);
    char *text = test_malloc(REQUEST_MAX_PROMPT_BYTES + 2);
    memset(text, 'a', REQUEST_MAX_PROMPT_BYTES + 1);
    text[REQUEST_MAX_PROMPT_BYTES + 1] = '\0';
    json_array_append_new(prompts, json_string(text));
    assert_int_equal(profile_request_read(json, &arena, &request, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "too long"));
    test_free(text);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(everything_and_back),
        cmocka_unit_test(several_models_and_targets),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(no_other_variable_is_sent),
        cmocka_unit_test(sizes_are_bounded),
    };
    arena_init(&arena);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
