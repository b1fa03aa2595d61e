/* What a run tells while it goes on. Progress is counted in expected seconds: the calibration knows roughly
 * how fast the model is, and until a twentieth is done it knows better than the clock.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "platform/clock.h"
#include "profile/json_put.h"
#include "profile/run_internal.h"

bool run_cancelled(const struct run *run)
{
    return run->hooks->cancel && atomic_load(run->hooks->cancel) != 0;
}

double run_elapsed_s(const struct run *run)
{
    return (double)(clock_now_ns() - run->begin_ns) / 1e9;
}

static void tell(const struct run *run, json_t *event)
{
    if (event && run->hooks->on_event)
        run->hooks->on_event(run->hooks->context, event);
    json_decref(event);
}

double run_progress(const struct run *run)
{
    double done = run->total_s > 0 ? run->done_s / run->total_s : NAN;
    return done > 1 ? 1 : done;
}

static double eta_s(const struct run *run, double progress)
{
    if (isnan(progress))
        return NAN;
    return progress > 0.05 ? run_elapsed_s(run) * (1 - progress) / progress : run->total_s - run->done_s;
}

void run_tell_phase(struct run *run, const char *phase, const char *step)
{
    double progress = run_progress(run);
    json_t *event = json_pack("{s:s, s:s, s:s?}", "type", "phase", "phase", phase, "step", step);
    run->phase = phase;
    json_object_set_new(event, "progress", json_put_real(progress));
    json_object_set_new(event, "eta_s", json_put_real(eta_s(run, progress)));
    tell(run, event);
}

void run_tell_step(struct run *run, const char *format, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    run_tell_phase(run, run->phase, text);
}

void run_tell_sample(struct run *run, const struct run_test *test, uint32_t number,
                     const struct sample *sample)
{
    static const enum metric shown[] = {METRIC_TOKENS_PER_SECOND, METRIC_DECODE_TPS, METRIC_PREFILL_TPS,
                                        METRIC_TTFT_MS, METRIC_RESPONSE_MS};
    json_t *event = json_pack("{s:s, s:s, s:n, s:n, s:i, s:b, s:s}", "type", "sample", "test",
                              test->scenario.id, "configuration", "model", "run", (int)number, "warmup",
                              number == 0, "outcome", target_outcome_name(sample->outcome));
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        json_object_set_new(event, metric_name(shown[i]), json_put_real(sample->value[shown[i]]));
    tell(run, event);
}

void run_note(struct run *run, const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_array_append_new(run->notes, json_string(text));
    tell(run, json_pack("{s:s, s:s}", "type", "note", "text", text));
}
