/* Names keep to the conventions that dashboards rely on: a unit at the end, _total for what only grows, base
 * units (seconds, bytes). A metric that is not known now (pages while no model is loaded) has no sample,
 * which is how this format says null.
 */
#include "http/metrics.h"

#include <math.h>
#include <string.h>

#include "base/version.h"

static void head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void plain(struct buffer *out, const char *name, const char *type, const char *help, double value)
{
    head(out, name, type, help);
    buffer_format(out, "%s %.15g\n", name, value);
}

/* name="text" with what the format wants escaped: names of models come from folders. */
static void label(struct buffer *out, const char *name, const char *text)
{
    buffer_format(out, "%s=\"", name);
    for (; *text; text++)
        if (*text == '\n')
            buffer_text(out, "\\n");
        else if (*text == '"' || *text == '\\')
            buffer_format(out, "\\%c", *text);
        else
            buffer_append(out, text, 1);
    buffer_text(out, "\"");
}

static void write_program(struct buffer *out, double uptime_s)
{
    const char *commit = version_commit();
    head(out, "llmind_build_info", "gauge", "The program; always 1.");
    buffer_text(out, "llmind_build_info{");
    label(out, "version", version_number());
    buffer_text(out, ",");
    label(out, "commit", commit ? commit : "");
    buffer_text(out, "} 1\n");
    plain(out, "llmind_uptime_seconds", "gauge", "Seconds since the server was started.", uptime_s);
}

/* ---- requests ---- */

static void write_routes(struct buffer *out, const struct live_snapshot *live)
{
    head(out, "llmind_http_requests_total", "counter",
         "HTTP exchanges that are over, by route pattern and status code.");
    for (size_t i = 0; i < live->n_routes; i++) {
        buffer_text(out, "llmind_http_requests_total{");
        label(out, "route", live->routes[i].route);
        buffer_format(out, ",code=\"%d\"} %llu\n", live->routes[i].status,
                      (unsigned long long)live->routes[i].count);
    }
}

static void write_histogram(struct buffer *out, const char *name, const char *help,
                            const struct live_histogram *histogram)
{
    unsigned long long sum = 0;
    head(out, name, "histogram", help);
    for (size_t i = 0; i < LIVE_BUCKETS; i++) {
        sum += histogram->count[i];
        if (isinf(histogram->upper_ms[i]))
            buffer_format(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, sum);
        else
            buffer_format(out, "%s_bucket{le=\"%g\"} %llu\n", name, histogram->upper_ms[i] / 1000, sum);
    }
    buffer_format(out, "%s_sum %.9g\n%s_count %llu\n", name, histogram->sum_ms / 1000, name, sum);
}

static void write_answers(struct buffer *out, const struct live_snapshot *live)
{
    static const struct {
        enum engine_finish finish;
        const char *name;
    } finishes[] = {{FINISH_STOP, "stop"},
                    {FINISH_LENGTH, "length"},
                    {FINISH_CANCELLED, "cancelled"},
                    {FINISH_ERROR, "error"}};
    head(out, "llmind_answers_total", "counter", "Answers that are over, by why they ended.");
    for (size_t i = 0; i < sizeof finishes / sizeof *finishes; i++)
        buffer_format(out, "llmind_answers_total{finish=\"%s\"} %llu\n", finishes[i].name,
                      (unsigned long long)live->answers[finishes[i].finish]);
    plain(out, "llmind_disconnects_total", "counter", "Clients that were gone before their answer was whole.",
          (double)live->disconnects);
    plain(out, "llmind_prompt_tokens_total", "counter", "Tokens of prompts, cached ones included.",
          (double)live->prompt_tokens);
    plain(out, "llmind_cached_tokens_total", "counter",
          "Tokens of prompts that were found in the KV cache and not computed.", (double)live->cached_tokens);
    plain(out, "llmind_drafted_tokens_total", "counter",
          "Tokens of answers that were guessed before they were computed.", (double)live->drafted_tokens);
    plain(out, "llmind_accepted_tokens_total", "counter", "Guessed tokens that were right.",
          (double)live->accepted_tokens);
    plain(out, "llmind_generated_tokens_total", "counter", "Tokens generated and passed on.",
          (double)live->generated_tokens);
    plain(out, "llmind_generated_tokens_per_second", "gauge", "Mean over the last 5 seconds.",
          live->tokens_per_second);
}

/* ---- the model ---- */

static void write_pages(struct buffer *out, const struct engine_stats *stats)
{
    uint32_t cached = stats->pages_cached < stats->pages_used ? stats->pages_cached : stats->pages_used;
    uint32_t used = stats->pages_used - cached;
    uint32_t free = stats->pages_total > stats->pages_used ? stats->pages_total - stats->pages_used : 0;
    head(out, "llmind_kv_pages", "gauge",
         "Pages of the KV cache: used by sequences, cached for prompts that begin alike, free.");
    buffer_format(out,
                  "llmind_kv_pages{state=\"used\"} %u\nllmind_kv_pages{state=\"cached\"} %u\n"
                  "llmind_kv_pages{state=\"free\"} %u\n",
                  (unsigned)used, (unsigned)cached, (unsigned)free);
    plain(out, "llmind_kv_bytes", "gauge", "Memory allocated for the KV cache.", (double)stats->kv_bytes);
}

static void write_allocator(struct buffer *out, const struct engine_stats *stats)
{
    if (!stats->allocator_peak_bytes)
        return; /* the backend has none */
    head(out, "llmind_allocator_bytes", "gauge",
         "Memory of the backend's own allocator: in use, the most that was in use, kept for later.");
    buffer_format(out,
                  "llmind_allocator_bytes{kind=\"active\"} %llu\nllmind_allocator_bytes{kind=\"peak\"} %llu\n"
                  "llmind_allocator_bytes{kind=\"cache\"} %llu\n",
                  (unsigned long long)stats->allocator_active_bytes,
                  (unsigned long long)stats->allocator_peak_bytes,
                  (unsigned long long)stats->allocator_cache_bytes);
}

static void write_model(struct buffer *out, const struct host_state *host)
{
    /* Without a model nothing is active; who waits for one to be loaded is queued. */
    plain(out, "llmind_active_sequences", "gauge", "Sequences being prefilled or decoded.",
          host->has_info ? host->stats.active_sequences : 0);
    plain(out, "llmind_queue_depth", "gauge", "Requests that wait: for pages, a place, or a model.",
          (host->has_info ? host->stats.queued_requests : 0) + host->waiting);
    plain(out, "llmind_worker_restarts_total", "counter",
          "Worker processes that died and were replaced or will be.", (double)host->failures);
    plain(out, "llmind_model_loads_total", "counter", "Models loaded.", (double)host->loads);
    head(out, "llmind_model_info", "gauge", "The loaded model; always 1.");
    if (!host->has_info)
        return;
    buffer_text(out, "llmind_model_info{");
    label(out, "model", host->model);
    buffer_text(out, ",");
    label(out, "quantization", host->info.quantization ? host->info.quantization : "");
    buffer_text(out, ",");
    label(out, "isa", host->info.isa ? host->info.isa : "");
    buffer_format(out, ",threads=\"%u\"} 1\n", (unsigned)host->info.n_threads);
    write_pages(out, &host->stats);
    write_allocator(out, &host->stats);
    plain(out, "llmind_engine_steps_total", "counter", "Steps of the loaded model's engine.",
          (double)host->stats.steps);
    plain(out, "llmind_engine_step_seconds_total", "counter", "Time spent in them.",
          (double)host->stats.step_ns / 1e9);
    plain(out, "llmind_engine_rejected_total", "counter",
          "Requests the engine refused because its queue was full; more may have been refused at the door.",
          (double)host->stats.rejected_requests);
}

/* ---- processes ---- */

static void sample(struct buffer *out, const char *name, const char *process, bool known, double value)
{
    if (known)
        buffer_format(out, "%s{process=\"%s\"} %.15g\n", name, process, value);
}

static void write_processes(struct buffer *out, const struct process_usage *server,
                            const struct process_usage *worker)
{
    const struct {
        const char *name;
        const struct process_usage *usage;
    } both[] = {{"server", server}, {"worker", worker}};
    head(out, "process_cpu_seconds_total", "counter", "CPU time of the server and of its worker.");
    for (size_t i = 0; i < 2; i++)
        sample(out, "process_cpu_seconds_total", both[i].name, both[i].usage->known, both[i].usage->cpu_s);
    head(out, "process_resident_memory_bytes", "gauge", "Resident memory, mapped files included.");
    for (size_t i = 0; i < 2; i++)
        sample(out, "process_resident_memory_bytes", both[i].name, both[i].usage->memory.known,
               (double)both[i].usage->memory.resident_bytes);
    head(out, "process_anonymous_memory_bytes", "gauge", "Resident memory that is nobody's file.");
    for (size_t i = 0; i < 2; i++)
        sample(out, "process_anonymous_memory_bytes", both[i].name, both[i].usage->memory.known,
               (double)both[i].usage->memory.anonymous_bytes);
    head(out, "process_threads", "gauge", "Threads.");
    for (size_t i = 0; i < 2; i++)
        sample(out, "process_threads", both[i].name, both[i].usage->known, both[i].usage->threads);
    head(out, "process_open_fds", "gauge", "Open files and sockets.");
    for (size_t i = 0; i < 2; i++)
        sample(out, "process_open_fds", both[i].name, both[i].usage->descriptors_known,
               both[i].usage->descriptors);
}

void metrics_write(struct buffer *out, const struct metrics *metrics)
{
    write_program(out, metrics->uptime_s);
    write_routes(out, metrics->live);
    write_histogram(out, "llmind_http_request_seconds",
                    "From a request's arrival to the end of its response.", &metrics->live->request);
    write_histogram(out, "llmind_ttft_seconds", "From a prompt's arrival to its first token.",
                    &metrics->live->ttft);
    write_histogram(out, "llmind_itl_seconds", "Between two tokens of one answer.", &metrics->live->itl);
    write_answers(out, metrics->live);
    write_model(out, metrics->host);
    write_processes(out, metrics->server, metrics->worker);
}
