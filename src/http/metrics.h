/* Live figures in the text format of Prometheus, version 0.0.4 (its "exposition formats" page). */
#ifndef LLMIND_HTTP_METRICS_H
#define LLMIND_HTTP_METRICS_H

#include "base/buffer.h"
#include "platform/process_usage.h"
#include "service/host.h"
#include "service/live.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics {
    double uptime_s;
    const struct host_state *host;
    const struct live_snapshot *live;
    const struct process_usage *server, *worker; /* what is not known of them is left out */
};

/* Appends all of it; out->failed says when memory was short. Pure. */
void metrics_write(struct buffer *out, const struct metrics *metrics);

#endif
