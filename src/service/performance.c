/* The sample is made and written to text once, under the lock; everybody who comes within PERFORMANCE_MIN_MS
 * of it gets the same bytes. So a hundred open pages cost what one costs.
 */
#include "service/performance.h"

#include <stdlib.h>
#include <time.h>

#include "platform/clock.h"
#include "service/performance_internal.h"

#define MS UINT64_C(1000000)

enum { STALE_MS = 2000 }; /* a mean over a longer time than this is not "now" */

int performance_open(struct model_host *host, struct live *live, struct performance **out,
                     struct error *error)
{
    *out = NULL;
    struct performance *performance = calloc(1, sizeof *performance);
    if (!performance)
        return error_memory(error, "the performance figures", sizeof *performance);
    performance->host = host;
    performance->live = live;
    performance->start_ns = clock_now_ns();
    pthread_mutex_init(&performance->lock, NULL);
    int status = sensors_cpu_open("", &performance->cpu, error);
    if (!status)
        status = sensors_gpus_open(NULL, &performance->gpus, error);
    if (status) {
        performance_close(performance);
        return status;
    }
    *out = performance;
    return 0;
}

void performance_close(struct performance *performance)
{
    if (!performance)
        return;
    sensors_cpu_close(performance->cpu);
    sensors_gpus_close(performance->gpus);
    buffer_free(&performance->text);
    pthread_mutex_destroy(&performance->lock);
    free(performance);
}

double performance_uptime_s(const struct performance *performance)
{
    return (double)(clock_now_ns() - performance->start_ns) / 1e9;
}

uint64_t performance_until_tick_ns(const struct performance *performance)
{
    uint64_t tick = PERFORMANCE_TICK_MS * MS;
    return tick - (clock_now_ns() - performance->start_ns) % tick;
}

static void put_live(struct figures *figures, json_t *root, const struct live_snapshot *live)
{
    figures_number(figures, root, "tokens_per_second", live->tokens_per_second, "");
    figures_number(figures, root, "response_s", live->response_ms / 1000, "no answer was whole yet");
    json_t *tokens = figures_object(figures, root, "tokens");
    figures_count(figures, tokens, "prompt", live->prompt_tokens);
    figures_count(figures, tokens, "cached", live->cached_tokens);
    figures_count(figures, tokens, "generated", live->generated_tokens);
    json_t *answers = figures_object(figures, root, "answers");
    figures_count(figures, answers, "stop", live->answers[FINISH_STOP]);
    figures_count(figures, answers, "length", live->answers[FINISH_LENGTH]);
    figures_count(figures, answers, "cancelled", live->answers[FINISH_CANCELLED]);
    figures_count(figures, answers, "error", live->answers[FINISH_ERROR]);
    figures_count(figures, root, "disconnects", live->disconnects);
}

static json_t *make_sample(struct performance *performance, struct figures *figures,
                           const struct live_snapshot *live, uint64_t interval_ns)
{
    struct host_state state;
    struct sensors_cpu_reading cpu;
    host_state(performance->host, &state);
    performance->sampled_ns = clock_now_ns();
    sensors_cpu_read(performance->cpu, performance->sampled_ns, &cpu);

    json_t *root = json_object();
    char now[32];
    clock_wall_rfc3339(now, sizeof now);
    figures_text(figures, root, "time", now, "");
    figures_count(figures, root, "sequence", ++performance->sequence);
    figures_number(figures, root, "interval_ms", (double)interval_ns / 1e6, "");
    figures_number(figures, root, "uptime_s", performance_uptime_s(performance), "");
    put_live(figures, root, live);
    performance_put_model(figures, root, &state);
    performance_put_cpu(figures, root, &cpu);
    performance_put_memory(figures, root, &state);
    performance_put_gpus(figures, root, performance->gpus);
    return root;
}

/* With the lock. A fresh beginning for everything that is a difference. */
static void begin_interval(struct performance *performance)
{
    struct sensors_cpu_reading ignored;
    performance->sampled_ns = clock_now_ns();
    sensors_cpu_read(performance->cpu, performance->sampled_ns, &ignored);
    nanosleep(&(struct timespec){.tv_nsec = PERFORMANCE_MIN_MS * (long)MS}, NULL);
}

static int sample(struct performance *performance, struct error *error)
{
    struct live_snapshot live;
    if (performance->sampled_ns == 0 || clock_now_ns() - performance->sampled_ns > STALE_MS * MS)
        begin_interval(performance);
    int status = live_read(performance->live, &live, error);
    if (status)
        return status;
    struct figures figures = {0};
    json_t *root = make_sample(performance, &figures, &live, clock_now_ns() - performance->sampled_ns);
    live_snapshot_free(&live);
    char *text = root && !figures.failed ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    buffer_clear(&performance->text);
    if (text)
        buffer_text(&performance->text, text);
    free(text);
    if (!text || performance->text.failed) {
        buffer_clear(&performance->text);
        return error_memory(error, "the performance figures", 0);
    }
    return 0;
}

int performance_read(struct performance *performance, struct buffer *out, struct error *error)
{
    int status = 0;
    pthread_mutex_lock(&performance->lock);
    if (performance->text.length == 0 || clock_now_ns() - performance->sampled_ns >= PERFORMANCE_MIN_MS * MS)
        status = sample(performance, error);
    if (!status)
        buffer_append(out, performance->text.data, performance->text.length);
    pthread_mutex_unlock(&performance->lock);
    if (!status && out->failed)
        status = error_memory(error, "the performance figures", 0);
    return status;
}
