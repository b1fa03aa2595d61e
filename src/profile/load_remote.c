/* Load on a server: many requests at once in one curl_multi, whose connections are kept and used again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/clock.h"
#include "profile/load_internal.h"
#include "profile/remote_internal.h"

enum { REQUEST_TIMEOUT_MS = 300000, MAX_IDLE = LOAD_MAX_IN_FLIGHT };

struct load_remote {
    struct load_target target; /* first */
    struct remote *remote;
    CURLM *multi;
};

static struct load_remote *of(struct load_target *target)
{
    return (struct load_remote *)(void *)target;
}

static int start(struct load_target *target, struct load_slot *slot, uint64_t nonce, struct error *error)
{
    struct load_remote *load = of(target);
    struct remote_run run = {.scenario = {.kind = SCENARIO_DECODE, .prompt_tokens = target->prompt_tokens},
                             .max_tokens = target->max_tokens,
                             .temperature = NAN,
                             .timeout_ms = REQUEST_TIMEOUT_MS,
                             .nonce = nonce};
    struct remote_call *call = calloc(1, sizeof *call);
    if (!call)
        return error_memory(error, "a request", sizeof *call);
    int status = remote_call_prepare(load->remote, &run, 0, call, error);
    call->exchange.cancel = NULL; /* load_point.c ends requests itself */
    if (!status)
        status = net_exchange_begin(remote_client(load->remote), &call->exchange, error);
    if (!status && (curl_easy_setopt(call->exchange.easy, CURLOPT_PRIVATE, slot) ||
                    curl_multi_add_handle(load->multi, call->exchange.easy)))
        status = error_memory(error, "a request", 0);
    if (status) {
        remote_call_free(call);
        free(call);
        return status;
    }
    slot->private = call;
    int running;
    curl_multi_perform(load->multi, &running); /* now, not when somebody waits next */
    return 0;
}

static int finish(struct load_remote *load, CURL *easy, CURLcode result, struct error *error)
{
    char *private = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct load_slot *slot = (struct load_slot *)(void *)private;
    struct remote_call *call = slot->private;
    curl_multi_remove_handle(load->multi, easy);
    net_exchange_end(&call->exchange, result);
    int status = remote_call_finish(load->remote, call, slot->due_ns, &slot->sample, error);
    slot->refused = call->exchange.status == 429 || call->exchange.status == 503;
    slot->end_ns = clock_now_ns();
    slot->private = NULL;
    remote_call_free(call);
    free(call);
    return status;
}

/* curl waits in whole milliseconds: what is left is slept. */
static void sleep_until(uint64_t until_ns)
{
    uint64_t now_ns = clock_now_ns();
    if (until_ns > now_ns && until_ns - now_ns < 1000000) {
        struct timespec time = {.tv_nsec = (long)(until_ns - now_ns)};
        nanosleep(&time, NULL);
    }
}

static int wait_for(struct load_target *target, uint64_t until_ns, struct error *error)
{
    struct load_remote *load = of(target);
    int running, left, done = 0, status = 0;
    do {
        if (curl_multi_perform(load->multi, &running))
            return error_memory(error, "the requests of a load run", 0);
        const CURLMsg *message;
        while (!status && (message = curl_multi_info_read(load->multi, &left)) != NULL)
            if (message->msg == CURLMSG_DONE) {
                status = finish(load, message->easy_handle, message->data.result, error);
                done++;
            }
        uint64_t now_ns = clock_now_ns();
        if (status || done || now_ns >= until_ns)
            return status;
        uint64_t left_ms = (until_ns - now_ns) / 1000000;
        if (left_ms == 0) {
            sleep_until(until_ns);
            return 0;
        }
        if (curl_multi_poll(load->multi, NULL, 0, left_ms < 1000 ? (int)left_ms : 1000, NULL))
            return error_memory(error, "the requests of a load run", 0);
    } while (true);
}

static void abandon(struct load_target *target, struct load_slot *slot)
{
    struct remote_call *call = slot->private;
    struct target_trace trace = {.outcome = OUTCOME_TIMEOUT};
    error_set(&trace.error, ERROR_LIMIT, "given up: it was not answered by the end of the point");
    sample_from_trace(&trace, &slot->sample);
    curl_multi_remove_handle(of(target)->multi, call->exchange.easy);
    remote_call_free(call);
    free(call);
    slot->private = NULL;
}

static void close_remote(struct load_target *target)
{
    struct load_remote *load = of(target);
    curl_multi_cleanup(load->multi);
    remote_close(load->remote);
    json_decref(load->target.info);
    free(load);
}

/* One request of the shape, so that a sweep knows where to begin. */
static int try_one(struct load_remote *load, struct error *error)
{
    struct sample sample = {0};
    struct remote_run run = {
        .scenario = {.kind = SCENARIO_DECODE, .prompt_tokens = load->target.prompt_tokens},
        .max_tokens = load->target.max_tokens,
        .temperature = NAN,
        .timeout_ms = REQUEST_TIMEOUT_MS,
        .nonce = clock_now_ns()};
    int status = remote_do(load->remote, &run, &sample, error);
    if (!status && sample.outcome != OUTCOME_OK && sample.outcome != OUTCOME_SHORT)
        status = error_set(error, ERROR_IO, "target: %s", sample.message);
    load->target.request_s = sample.value[METRIC_RESPONSE_MS] / 1000;
    sample_free(&sample);
    return status;
}

int load_remote_open(const struct load_request *request, const atomic_int *cancel, struct load_target **out,
                     struct error *error)
{
    double prefill_tps, decode_tps;
    struct load_remote *load = calloc(1, sizeof *load);
    *out = NULL;
    if (!load)
        return error_memory(error, "a load run", sizeof *load);
    load->target = (struct load_target){.start = start,
                                        .wait = wait_for,
                                        .abandon = abandon,
                                        .close = close_remote,
                                        .prompt_tokens = request->prompt_tokens,
                                        .max_tokens = request->max_tokens};
    struct remote_options options = {.url = request->target_url,
                                     .model = request->target_model,
                                     .api_key = request->target_key,
                                     .allow_local = request->allow_local,
                                     .cancel = cancel};
    int status = remote_open(&options, &load->remote, error);
    if (!status)
        status = remote_calibrate(load->remote, false, &prefill_tps, &decode_tps, error);
    if (!status)
        status = try_one(load, error);
    if (!status && (!(load->multi = curl_multi_init()) || !(load->target.info = remote_info(load->remote)) ||
                    curl_multi_setopt(load->multi, CURLMOPT_MAXCONNECTS, (long)MAX_IDLE)))
        status = error_memory(error, "a load run", 0);
    if (status)
        close_remote(&load->target);
    else
        *out = &load->target;
    return status;
}
