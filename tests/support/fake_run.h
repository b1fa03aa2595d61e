/* Profiling runs that measure nothing: reports with figures of the test's choice, and a run function that
 * does what the name of its model says. */
#ifndef LLMIND_TESTS_FAKE_RUN_H
#define LLMIND_TESTS_FAKE_RUN_H

#include <fcntl.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "profile/request.h"
#include "profile/run.h"

static inline json_t *fake_test(const char *id, const char *kind, const char *headline, const double *values,
                                size_t n)
{
    json_t *samples = json_array();
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(samples, json_pack("{s:s, s:f}", "outcome", "ok", headline, values[i]));
        sum += values[i];
    }
    return json_pack("{s:s, s:s, s:i, s:s, s:i, s:{s:{s:f}}, s:o}", "id", id, "kind", kind, "depth", 0,
                     "headline", headline, "max_tokens", 128, "summary", headline, "median", sum / (double)n,
                     "samples", samples);
}

/* A successful quick run of a model on a machine, that decoded at these rates. */
static inline json_t *fake_report(const char *model, const char *cpu, const double *decode, size_t n)
{
    double prefill[] = {1000, 1010, 990}, sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += decode[i];
    json_t *tests = json_array();
    json_array_append_new(tests,
                          fake_test("decode_128_at_0", "decode", "decode_tokens_per_second", decode, n));
    json_array_append_new(tests,
                          fake_test("prefill_512", "prefill", "prefill_tokens_per_second", prefill, 3));
    json_t *report = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:f, s:{s:s}, s:{s:s, s:s, s:i}, s:{s:s, s:i}, s:{s:i, s:i}, s:{}, s:{}, "
        "s:{s:f, s:f, s:f, s:s}, s:o}",
        "schema", "llmind.report/1", "kind", "profile", "created", "2026-01-02T03:04:05Z", "status",
        "success", "mode", "full", "duration_s", 12.5, "tool", "version", "0.1.0", "model", "name", model,
        "quantization", "4-bit", "file_bytes", 1000, "machine", "cpu", cpu, "cores_allowed", 2, "flags",
        "threads", 2, "kv_bits", 16, "protocol", "host", "summary", "decode_tokens_per_second",
        sum / (double)n, "prefill_tokens_per_second", 1000.0, "tokens_per_second", 0.9 * sum / (double)n,
        "grade", "excellent", "tests", tests);
    if (!report)
        abort();
    return report;
}

static inline void fake_event(const struct run_hooks *hooks, const char *step, double progress)
{
    json_t *event = json_pack("{s:s, s:s, s:s, s:f, s:f}", "type", "phase", "phase", "tests", "step", step,
                              "progress", progress, "eta_s", 3.0);
    hooks->on_event(hooks->context, event);
    json_decref(event);
}

static char fake_file[128];                /* of "alone" */
static atomic_int fake_running, fake_most; /* at once: one, if jobs keeps its word */

/* Fails when another process is here too. */
static inline int fake_alone(struct error *error)
{
    struct timespec wait = {.tv_nsec = 3000000};
    int descriptor = open(fake_file, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (descriptor < 0)
        return error_set(error, ERROR_INTERNAL, "another process runs at the same time");
    nanosleep(&wait, NULL);
    close(descriptor);
    unlink(fake_file);
    return 0;
}

/* "broken": ERROR_NOT_FOUND; "alone": as above; "slow": until it is cancelled; "chatty": 9000 events and a
 * note in the middle; anything else: a success at once. */
static inline int fake_run(const struct profile_request *request, const struct run_hooks *hooks,
                           json_t **report, struct error *error)
{
    static const double decode[] = {100, 101, 99};
    const char *model = request->models[0].name;
    int now = atomic_fetch_add(&fake_running, 1) + 1, status = 0;
    if (now > atomic_load(&fake_most))
        atomic_store(&fake_most, now);
    *report = fake_report(model, "Fake CPU", decode, 3);
    fake_event(hooks, "first", 0.1);
    if (strcmp(model, "broken") == 0) {
        json_decref(*report);
        *report = NULL;
        status = error_set(error, ERROR_NOT_FOUND, "there is no model broken");
    }
    if (strcmp(model, "alone") == 0)
        status = fake_alone(error);
    for (int i = 0; strcmp(model, "chatty") == 0 && i < 9000; i++) {
        fake_event(hooks, "again", 0.5);
        if (i == 4500) {
            json_t *note = json_pack("{s:s, s:s}", "type", "note", "text", "half way");
            hooks->on_event(hooks->context, note);
            json_decref(note);
        }
    }
    while (strcmp(model, "slow") == 0 && !status) {
        struct timespec wait = {.tv_nsec = 2000000};
        nanosleep(&wait, NULL);
        if (atomic_load(hooks->cancel)) {
            json_object_set_new(*report, "status", json_string("cancelled"));
            status = error_set(error, ERROR_CANCELLED, "cancelled");
        }
    }
    fake_event(hooks, "last", 1);
    atomic_fetch_sub(&fake_running, 1);
    return status;
}

#endif
