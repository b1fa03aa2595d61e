/* Proofs as jobs: a row of their own kind that names the run it is about, shown there as long as it exists;
 * with a run function that measures nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/json_get.h"
#include "support/jobs_fixture.h"

/* A profile recommends threads=1; a proof keeps it, unless its model is "failing". */
static int run(const struct profile_request *request, const struct run_hooks *hooks, json_t **report,
               struct error *error)
{
    int status = fake_run(request, hooks, report, error);
    if (request->kind == PROFILE_MODEL)
        json_object_set_new(*report, "analysis",
                            json_pack("{s:[{s:s, s:b, s:n}]}", "recommendations", "id", "threads=1",
                                      "provable", 1, "setting"));
    if (request->kind != PROFILE_PROVE || status)
        return status;
    json_object_set_new(*report, "kind", json_string("prove"));
    json_object_set_new(*report, "tests", json_array());
    json_object_set_new(*report, "proof",
                        json_pack("{s:s, s:s, s:s, s:f, s:[f,f]}", "recommendation",
                                  request->configurations[0], "proves", request->proves_run, "verdict",
                                  "kept", "change_pct", 31.0, "ci95", 27.0, 35.0));
    if (strcmp(request->models[0].name, "failing") == 0)
        return error_set(error, ERROR_IO, "the lab died");
    return 0;
}

static void start(json_t *request, char id[JOBS_ID])
{
    struct error error = {0};
    if (jobs_start(jobs, request, 0, id, &error))
        fail_msg("%s", error.message);
    json_decref(request);
    assert_int_equal(jobs_wait(jobs, id, 0, NULL), 1);
}

static void profile(char id[JOBS_ID])
{
    start(json_pack("{s:s, s:[]}", "model_name", "m", "configurations"), id);
}

static void prove(const char *model, const char *run_id, const char *what, char id[JOBS_ID])
{
    start(json_pack("{s:s, s:s, s:{s:s, s:s}}", "kind", "prove", "model_name", model, "proves", "run_id",
                    run_id, "recommendation", what),
          id);
}

/* "" : unproved; else the id of its proof. */
static void expect_proof(const char *run_id, const char *proof_id, size_t n)
{
    json_t *row = get(run_id);
    const json_t *advice = json_get(row, "report.analysis.recommendations.0");
    assert_string_equal(json_get_text(advice, "proof.proof_run_id", ""), proof_id);
    assert_int_equal(json_get_string(advice, "proof_reason") != NULL, !*proof_id);
    assert_int_equal(json_get_is(advice, "setting.key", "threads"), *proof_id != 0);
    assert_int_equal(json_get_count(row, "report.analysis.proofs"), n);
    json_decref(row);
}

static void a_proof_is_shown_where_it_belongs(void **state)
{
    (void)state;
    char a[JOBS_ID], b[JOBS_ID], first[JOBS_ID], second[JOBS_ID], other[JOBS_ID];
    profile(a);
    profile(b);
    expect_proof(a, "", 0);
    prove("m", a, "threads=1", first);
    expect_proof(a, first, 1);
    expect_proof(b, "", 0);
    prove("m", a, "threads=1", second); /* the newest counts */
    expect_proof(a, second, 2);
    prove("m", a, "temperature=0.9", other); /* what was not recommended is shown all the same */
    expect_proof(a, second, 3);

    json_t *row = get(second);
    assert_true(json_get_is(row, "kind", "prove") && json_get_is(row, "proves", a));
    assert_true(json_get_is(row, "proof.verdict", "kept"));
    assert_true(json_get_number(row, "proof.change_pct") == 31 && json_get_number(row, "proof.ci95.1") == 35);
    assert_true(json_get_is(row, "request.proves.recommendation", "threads=1"));
    json_decref(row);
    row = get(a);
    assert_true(json_is_null(json_get(row, "proof")) && json_get_string(row, "proof_reason"));
    json_decref(row);

    json_t *page;
    const struct jobs_filter filter = {.kind = "prove"};
    assert_int_equal(jobs_list(jobs, &filter, &page, NULL), 0);
    assert_int_equal(json_get_count(page, "runs"), 3);
    assert_true(json_get_is(page, "runs.0.proof.recommendation", "temperature=0.9"));
    json_decref(page);

    /* it is there after a restart */
    jobs_close(jobs);
    assert_int_equal(open_jobs(), 0);
    expect_proof(a, second, 3);

    /* either may be deleted */
    assert_int_equal(jobs_delete(jobs, second, NULL), 0);
    expect_proof(a, first, 2);
    assert_int_equal(jobs_delete(jobs, first, NULL), 0);
    expect_proof(a, "", 1);
    assert_int_equal(jobs_delete(jobs, a, NULL), 0);
    row = get(other);
    assert_true(json_get_is(row, "proves", a) && json_get_object(row, "proof"));
    json_decref(row);
}

static void a_proof_that_failed_proves_nothing(void **state)
{
    (void)state;
    char a[JOBS_ID], failed[JOBS_ID];
    profile(a);
    prove("failing", a, "threads=1", failed);
    expect_proof(a, "", 0);
    json_t *row = get(failed);
    assert_true(json_get_is(row, "status", "failed") && json_get_is(row, "proves", a));
    assert_true(json_is_null(json_get(row, "proof")));
    json_decref(row);
}

/* Somebody else's report can say what it likes of itself, and nothing of our runs. */
static void an_imported_proof_proves_nothing_here(void **state)
{
    (void)state;
    static const double decode[] = {100, 101, 99};
    char a[JOBS_ID], imported[JOBS_ID];
    profile(a);
    json_t *report = fake_report("m", "Fake CPU", decode, 3);
    json_object_set_new(report, "kind", json_string("prove"));
    json_object_set_new(
        report, "proof",
        json_pack("{s:s, s:s, s:s}", "recommendation", "threads=1", "proves", a, "verdict", "kept"));
    assert_int_equal(jobs_import(jobs, report, imported, NULL), 0);
    expect_proof(a, "", 0);
    json_decref(report);
}

static void proofs_in_memory_are_shown_too(void **state)
{
    (void)state;
    char a[JOBS_ID], first[JOBS_ID], second[JOBS_ID];
    profile(a);
    prove("m", a, "threads=1", first);
    prove("m", a, "threads=1", second);
    expect_proof(a, second, 2);
    assert_int_equal(jobs_delete(jobs, second, NULL), 0);
    expect_proof(a, first, 1);
}

int main(void)
{
    fixture_run = run;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_proof_is_shown_where_it_belongs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_proof_that_failed_proves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_imported_proof_proves_nothing_here, set_up, tear_down),
        cmocka_unit_test_setup_teardown(proofs_in_memory_are_shown_too, set_up_without, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
