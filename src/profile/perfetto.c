#include "profile/perfetto.h"

#include <math.h>
#include <stdio.h>

#include "profile/json_get.h"
#include "profile/json_put.h"

static void copy_figure(const json_t *segment, const char *name, json_t *args)
{
    double value = json_get_positive(segment, name);
    if (isfinite(value))
        json_object_set_new(args, name, json_real(value));
}

static void add_name(json_t *events, int process, double depth, double sequences)
{
    char name[96];
    snprintf(name, sizeof name, "decode step, %.0f sequence%s at depth %.0f", sequences,
             sequences > 1 ? "s" : "", depth);
    json_array_append_new(events, json_pack("{s:s, s:s, s:i, s:{s:s}}", "ph", "M", "name", "process_name",
                                            "pid", process, "args", "name", name));
}

/* Segments whose time is not known are left out. */
static void add_segments(json_t *events, int process, const json_t *trace)
{
    const json_t *segments = json_get_array(trace, "segments");
    double at_us = 0;
    for (size_t i = 0; i < json_get_count(trace, "segments"); i++) {
        const json_t *segment = json_get_item(segments, i);
        double us = json_get_positive(segment, "ms") * 1000;
        if (!isfinite(us))
            continue;
        json_t *args = json_object();
        copy_figure(segment, "n_ops", args);
        copy_figure(segment, "weight_bytes", args);
        copy_figure(segment, "kv_bytes", args);
        copy_figure(segment, "flops", args);
        copy_figure(segment, "gbps", args);
        copy_figure(segment, "gflops", args);
        json_array_append_new(events, json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:f, s:o}", "ph", "X", "cat",
                                                "decode", "name", json_get_text(segment, "name", "?"), "pid",
                                                process, "tid", 1, "ts", at_us, "dur", us, "args", args));
        at_us += us;
    }
}

int perfetto_trace(const json_t *report, json_t **out, struct error *error)
{
    const json_t *traces = json_get_array(report, "traces");
    size_t n = json_get_count(report, "traces");
    *out = NULL;
    if (n == 0)
        return error_set(error, ERROR_NOT_FOUND, "the report has no traced step");
    json_t *events = json_array();
    for (size_t i = 0; i < n; i++) {
        const json_t *trace = json_get_item(traces, i);
        add_name(events, (int)i + 1, json_get_positive(trace, "depth"), json_get_positive(trace, "n_tokens"));
        add_segments(events, (int)i + 1, trace);
    }
    *out = json_pack("{s:s, s:o}", "displayTimeUnit", "ms", "traceEvents", events);
    return *out ? 0 : error_memory(error, "a trace", 0);
}
