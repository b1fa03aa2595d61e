/* What travels between parent and worker: everything comes back as it was, and nothing that is cut, changed
 * or made up gets through as more than an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/frame.h"
#include "worker/numbers.h"
#include "worker/protocol.h"

static uint64_t random_state = 88172645463325252u;
static uint32_t random_u32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

static struct wire wire_of(const struct buffer *buffer)
{
    return (struct wire){buffer->data, buffer->length, 0, false};
}

/* The encoders name every field by hand. Who adds one to these structs changes their size, and comes here to
 * be reminded of worker/protocol.c and PROTOCOL_VERSION. (64-bit systems; a field in padding gets through.)
 */
static void test_sizes(void **state)
{
    (void)state;
    if (sizeof(void *) != 8)
        skip();
    assert_int_equal(sizeof(struct engine_options), 88);
    assert_int_equal(sizeof(struct engine_submit), 200);
    assert_int_equal(sizeof(struct engine_sampling), 56);
    assert_int_equal(sizeof(struct engine_info), 128);
    assert_int_equal(sizeof(struct engine_stats), 160);
    assert_int_equal(sizeof(struct engine_event), 1816);
    assert_int_equal(sizeof(struct engine_timings), 64);
    assert_int_equal(sizeof(struct memory_process), 64);
}

/* ---- samples of everything, each decodable by the function beside it ---- */

static const int32_t tokens[] = {0, -1, INT32_MAX, 7};
static const char *const stops[] = {"", "\xC3\xA4", "END"};
static const struct engine_logit_bias biases[] = {{-3, 1.5f}, {9, -100.0f}};

static struct engine_options sample_options(void)
{
    return (struct engine_options){.model = "/a/b",
                                   .adapter = "/c",
                                   .prompt_cache = "/d/e",
                                   .isa = "avx2",
                                   .n_threads = 3,
                                   .context = 4,
                                   .max_sequences = 5,
                                   .prefill_chunk = 6,
                                   .kv_bits = 8,
                                   .prompt_lookup = 7,
                                   .precise = true,
                                   .queue_limit = 9,
                                   .no_prefix_sharing = true,
                                   .reclaimable_bytes = UINT64_C(1) << 40};
}

static struct engine_submit sample_submit(void)
{
    return (struct engine_submit){.tokens = tokens,
                                  .n_tokens = 4,
                                  .text = "text",
                                  .messages_json = "[]",
                                  .tools_json = "{}",
                                  .template_json = "null",
                                  .add_generation_prompt = true,
                                  .max_tokens = 77,
                                  .ignore_eos = true,
                                  .show_special = true,
                                  .stops = stops,
                                  .n_stops = 3,
                                  .sampling = {.temperature = 0.5f,
                                               .top_k = 2,
                                               .top_p = 0.25f,
                                               .min_p = 0.125f,
                                               .repetition_penalty = 1.5f,
                                               .presence_penalty = -1,
                                               .frequency_penalty = 2,
                                               .seed = UINT64_MAX,
                                               .logit_bias = biases,
                                               .n_logit_bias = 2},
                                  .logprobs = true,
                                  .top_logprobs = 20,
                                  .grammar_kind = ENGINE_GRAMMAR_LARK,
                                  .grammar = "start: \"a\"",
                                  .no_cache = true,
                                  .prompt_only = true};
}

static struct engine_info sample_info(void)
{
    return (struct engine_info){
        .model_name = "n", .model_path = "/p", .adapter = "a", .isa = "i", .vocab = 3, .load_ms = 1.5};
}

static struct engine_event sample_event(enum engine_event_kind kind)
{
    struct engine_event event;
    memset(&event, 0, sizeof event);
    event.kind = kind;
    event.time_ns = UINT64_C(123456789012345);
    if (kind == EVENT_PREFILL) {
        event.prompt_done = 5;
        event.prompt_tokens = 10;
        return event;
    }
    event.text_length = ENGINE_EVENT_TEXT;
    memset(event.text, 'x', sizeof event.text);
    if (kind == EVENT_TOKEN) {
        event.token = -7;
        event.more_text = event.control = event.starts_thinking = true;
        event.logprob = -0.5f;
        event.n_top = ENGINE_MAX_LOGPROBS;
        for (int i = 0; i < ENGINE_MAX_LOGPROBS; i++)
            event.top[i] = (struct engine_logprob){i, -(float)i};
        return event;
    }
    if (kind == EVENT_EMBEDDING)
        return event;
    event.finish = FINISH_ERROR;
    error_set(&event.error, ERROR_IO, "it broke");
    event.timings = (struct engine_timings){1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    return event;
}

enum {
    SAMPLE_OPTIONS = EVENT_FINISH + 1,
    SAMPLE_SUBMIT,
    SAMPLE_TRACE,
    SAMPLE_INFO,
    SAMPLE_STATS,
    SAMPLE_RESULT,
    SAMPLES
};
static void put_sample(int which, struct buffer *out)
{
    struct engine_options options = sample_options();
    struct engine_submit submit = sample_submit();
    struct engine_event event = sample_event((enum engine_event_kind)(which % SAMPLE_OPTIONS));
    struct engine_trace_segment segments[2] = {{"one", 1, 2, 3}, {"two … three", 4, 5, 6}};
    struct engine_trace trace = {2, segments, 10, 20};
    struct engine_info info = sample_info();
    struct engine_stats stats = {.active_sequences = 1,
                                 .pages_cached = 2,
                                 .kv_used_bytes = 3,
                                 .allocator_active_bytes = 5,
                                 .allocator_peak_bytes = 6,
                                 .allocator_cache_bytes = 4};
    struct memory_process memory = {.known = true, .minor_faults = 4};
    struct error error;
    error_set(&error, ERROR_LIMIT, "too much");
    switch (which) {
    case EVENT_PREFILL:
    case EVENT_TOKEN:
    case EVENT_EMBEDDING:
    case EVENT_FINISH:
        protocol_put_event(out, &event);
        break;
    case SAMPLE_OPTIONS:
        protocol_put_options(out, &options);
        break;
    case SAMPLE_SUBMIT:
        protocol_put_submit(out, &submit);
        break;
    case SAMPLE_TRACE:
        protocol_put_trace(out, &trace);
        break;
    case SAMPLE_INFO:
        protocol_put_info(out, &info, &submit.sampling);
        break;
    case SAMPLE_STATS:
        protocol_put_stats(out, &stats, &memory);
        break;
    default:
        protocol_put_result(out, ERROR_LIMIT, &error);
    }
}

static int get_sample(int which, struct wire *in)
{
    struct engine_options options;
    struct engine_submit submit;
    struct engine_event event;
    struct engine_trace trace;
    struct engine_info info;
    struct engine_stats stats;
    struct memory_process memory;
    struct error error = {0};
    struct arena arena;
    arena_init(&arena);
    int status;
    switch (which) {
    case EVENT_PREFILL:
    case EVENT_TOKEN:
    case EVENT_EMBEDDING:
    case EVENT_FINISH:
        status = protocol_get_event(in, &event, &error);
        break;
    case SAMPLE_OPTIONS:
        status = protocol_get_options(in, &options, &error);
        break;
    case SAMPLE_SUBMIT:
        status = protocol_get_submit(in, &submit, &arena, &error);
        break;
    case SAMPLE_TRACE:
        if ((status = protocol_get_trace(in, &trace, &error)) == 0)
            engine_trace_free(&trace);
        break;
    case SAMPLE_INFO:
        status = protocol_get_info(in, &info, &submit.sampling, &arena, &error);
        break;
    case SAMPLE_STATS:
        status = protocol_get_stats(in, &stats, &memory, &error);
        if (status == 0 && (stats.kv_used_bytes != 3 || stats.allocator_active_bytes != 5 ||
                            stats.allocator_peak_bytes != 6 || stats.allocator_cache_bytes != 4))
            status = ERROR_INTERNAL;
        break;
    default:
        status = protocol_get_result(in, &error);
        if (status == ERROR_LIMIT && strcmp(error.message, "too much") == 0)
            status = 0;
    }
    arena_free(&arena);
    return status;
}

/* ---- everything comes back ---- */

static void test_options_and_submit(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct arena arena;
    struct engine_options a = sample_options(), b;
    struct engine_submit s = sample_submit(), t;
    arena_init(&arena);
    protocol_put_options(&out, &a);
    struct wire in = wire_of(&out);
    assert_int_equal(protocol_get_options(&in, &b, NULL), 0);
    assert_string_equal(a.model, b.model);
    assert_string_equal(a.adapter, b.adapter);
    assert_string_equal(a.prompt_cache, b.prompt_cache);
    assert_null(b.backend);
    assert_string_equal(a.isa, b.isa);
    assert_memory_equal(&a.n_threads, &b.n_threads, sizeof a - offsetof(struct engine_options, n_threads));
    buffer_clear(&out);
    protocol_put_submit(&out, &s);
    in = wire_of(&out);
    assert_int_equal(protocol_get_submit(&in, &t, &arena, NULL), 0);
    assert_int_equal(t.n_tokens, 4);
    assert_memory_equal(t.tokens, tokens, sizeof tokens);
    assert_string_equal(t.text, "text");
    assert_string_equal(t.messages_json, "[]");
    assert_string_equal(t.tools_json, "{}");
    assert_string_equal(t.template_json, "null");
    assert_true(t.add_generation_prompt && t.ignore_eos && t.show_special && t.logprobs && t.no_cache);
    assert_true(t.prompt_only);
    assert_int_equal(t.max_tokens, 77);
    assert_int_equal(t.n_stops, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(t.stops[i], stops[i]);
    assert_memory_equal(&t.sampling, &s.sampling, offsetof(struct engine_sampling, logit_bias));
    assert_int_equal(t.sampling.n_logit_bias, 2);
    assert_memory_equal(t.sampling.logit_bias, biases, sizeof biases);
    assert_int_equal(t.top_logprobs, 20);
    assert_int_equal(t.grammar_kind, ENGINE_GRAMMAR_LARK);
    assert_string_equal(t.grammar, s.grammar);
    assert_null(t.on_event);
    arena_free(&arena);
    buffer_free(&out);
}

static void test_info(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct arena arena;
    struct engine_info a = sample_info(), b;
    struct engine_sampling sampling = {0}, sampling_again;
    arena_init(&arena);
    protocol_put_info(&out, &a, &sampling);
    struct wire in = wire_of(&out);
    assert_int_equal(protocol_get_info(&in, &b, &sampling_again, &arena, NULL), 0);
    buffer_free(&out); /* strings are copies */
    assert_string_equal(b.model_name, "n");
    assert_string_equal(b.model_path, "/p");
    assert_string_equal(b.adapter, "a");
    assert_string_equal(b.isa, "i");
    assert_null(b.quantization);
    assert_int_equal(b.vocab, 3);
    assert_true(b.load_ms == 1.5);
    arena_free(&arena);
}

static void test_events(void **state)
{
    (void)state;
    for (int kind = 0; kind <= EVENT_FINISH; kind++) {
        struct buffer out = {0};
        struct engine_event a = sample_event((enum engine_event_kind)kind), b;
        memset(&b, 0, sizeof b);
        protocol_put_event(&out, &a);
        struct wire in = wire_of(&out);
        assert_int_equal(protocol_get_event(&in, &b, NULL), 0);
        assert_int_equal(a.kind, b.kind);
        assert_int_equal(a.time_ns, b.time_ns);
        assert_int_equal(a.prompt_done, b.prompt_done);
        assert_int_equal(a.prompt_tokens, b.prompt_tokens);
        assert_int_equal(a.token, b.token);
        assert_int_equal(a.more_text, b.more_text);
        assert_int_equal(a.control, b.control);
        assert_int_equal(a.starts_thinking, b.starts_thinking);
        assert_int_equal(a.text_length, b.text_length);
        assert_memory_equal(a.text, b.text, a.text_length);
        assert_memory_equal(&a.logprob, &b.logprob, sizeof a.logprob);
        assert_int_equal(a.n_top, b.n_top);
        assert_memory_equal(a.top, b.top, sizeof a.top);
        assert_int_equal(a.finish, b.finish);
        assert_int_equal(a.error.code, b.error.code);
        assert_string_equal(a.error.message, b.error.message);
        assert_memory_equal(&a.timings, &b.timings, sizeof a.timings);
        buffer_free(&out);
    }
}

static void test_small_tokens(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct engine_event event = sample_event(EVENT_TOKEN);
    event.n_top = 0;
    event.text_length = 4;
    protocol_put_event(&out, &event);
    assert_true(out.length <= 32); /* not the 1,800 of the struct */
    buffer_free(&out);
}

/* ---- nothing else gets through ---- */

static void test_truncated_and_extended(void **state)
{
    (void)state;
    for (int which = 0; which < SAMPLES; which++) {
        struct buffer whole = {0};
        put_sample(which, &whole);
        struct wire in = wire_of(&whole);
        assert_int_equal(get_sample(which, &in), 0);
        for (size_t n = 0; n < whole.length; n++) {
            char *cut = malloc(n + !n); /* exactly as long, for the sanitizer to watch its end */
            memcpy(cut, whole.data, n);
            in = (struct wire){cut, n, 0, false};
            assert_int_equal(get_sample(which, &in), ERROR_INVALID);
            free(cut);
        }
        buffer_append(&whole, "\0", 1);
        in = wire_of(&whole);
        assert_int_equal(get_sample(which, &in), ERROR_INVALID);
        buffer_free(&whole);
    }
}

/* Any status is right; no byte outside may be touched, nothing huge allocated, nothing leaked. */
static void test_fuzzed_payloads(void **state)
{
    (void)state;
    static const uint8_t nasty[] = {0, 1, 0x7F, 0x80, 0xFE, 0xFF};
    for (int which = 0; which < SAMPLES; which++) {
        struct buffer whole = {0};
        put_sample(which, &whole);
        char *bytes = malloc(whole.length);
        for (int round = 0; round < 4000; round++) {
            memcpy(bytes, whole.data, whole.length);
            for (uint32_t change = random_u32() % 4; change < 5; change++) {
                uint32_t value = random_u32();
                bytes[random_u32() % whole.length] =
                    (char)(value & 256 ? nasty[value % sizeof nasty] : (uint8_t)value);
            }
            struct wire in = {bytes, random_u32() % 4 ? whole.length : random_u32() % whole.length, 0, false};
            get_sample(which, &in);
        }
        free(bytes);
        buffer_free(&whole);
    }
}

static void test_frames(void **state)
{
    (void)state;
    struct frame_receiver receiver = {0};
    struct frame frame;
    struct error error;
    struct buffer out = {0};
    for (uint32_t i = 0; i < 3; i++) {
        size_t begin = frame_begin(&out, FRAME_CREDIT, 100 + i);
        for (uint32_t k = 0; k < i; k++)
            wire_put_u32(&out, k);
        frame_end(&out, begin);
    }
    uint32_t seen = 0;
    for (size_t i = 0; i < out.length; i++) { /* byte by byte */
        assert_int_equal(frame_receiver_add(&receiver, out.data + i, 1, &error), 0);
        while (frame_next(&receiver, &frame, &error) == 1) {
            assert_int_equal(frame.type, FRAME_CREDIT);
            assert_int_equal(frame.number, 100 + seen);
            assert_int_equal(frame.length, 4 * seen);
            seen++;
        }
    }
    assert_int_equal(seen, 3);
    frame_receiver_free(&receiver);
    buffer_free(&out);
}

static int first_of(const char *bytes, size_t length)
{
    struct frame_receiver receiver = {0};
    struct frame frame;
    struct error error;
    assert_int_equal(frame_receiver_add(&receiver, bytes, length, &error), 0);
    int got = frame_next(&receiver, &frame, &error);
    frame_receiver_free(&receiver);
    return got;
}

static void test_bad_frames(void **state)
{
    (void)state;
    assert_int_equal(first_of("\xFF\xFF\xFF\xFF\x01\0\0\0\0\0", 10), ERROR_INVALID); /* 4 GiB */
    assert_int_equal(first_of("\x01\0\0\x04\x01\0\0\0\0\0", 10), ERROR_INVALID);     /* 64 MiB and one */
    assert_int_equal(first_of("\0\0\0\x04\x01\0\0\0\0\0", 10), 0);                   /* 64 MiB, to come */
    assert_int_equal(first_of("\0\0\0\0\0\0\0\0\0\0", 10), ERROR_INVALID);           /* no such type */
    assert_int_equal(first_of("\0\0\0\0\x7F\x7F\0\0\0\0", 10), ERROR_INVALID);
    assert_int_equal(first_of("\0\0\0\0\x01\0\0\0\0", 9), 0);
    struct frame_receiver receiver = {0};
    struct frame frame;
    struct error error;
    for (int round = 0; round < 20000; round++) {
        char bytes[64];
        size_t n = random_u32() % sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(random_u32() % 3 ? 0 : random_u32());
        frame_receiver_add(&receiver, bytes, n, &error);
        int got;
        while ((got = frame_next(&receiver, &frame, &error)) > 0)
            assert_true(frame.length <= receiver.bytes.length);
        if (got < 0)
            frame_receiver_free(&receiver);
    }
    frame_receiver_free(&receiver);
}

static void test_hello(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct error error;
    protocol_put_hello(&out);
    struct wire in = wire_of(&out);
    assert_int_equal(protocol_check_hello(&in, &error), 0);
    buffer_clear(&out);
    wire_put_u32(&out, PROTOCOL_VERSION + 1);
    wire_put_string(&out, "9.9.9");
    in = wire_of(&out);
    assert_int_equal(protocol_check_hello(&in, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "9.9.9"));
    in = (struct wire){"", 0, 0, false};
    assert_int_equal(protocol_check_hello(&in, &error), ERROR_INVALID);
    buffer_free(&out);
}

static void test_socket(void **state)
{
    (void)state;
    int ends[2];
    struct buffer out = {0};
    struct error error;
    struct frame frame;
    struct frame_receiver receiver = {0};
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    frame_end(&out, frame_begin(&out, FRAME_CANCEL, 5));
    assert_int_equal(frame_send(ends[0], &lock, &out, &error), 0);
    assert_int_equal(frame_receive(&receiver, ends[1], &error), 1);
    assert_int_equal(frame_next(&receiver, &frame, &error), 1);
    assert_int_equal(frame.number, 5);
    assert_int_equal(frame_next(&receiver, &frame, &error), 0);
    close(ends[0]);
    assert_int_equal(frame_receive(&receiver, ends[1], &error), 0);
    assert_int_equal(frame_send(ends[1], &lock, &out, &error), ERROR_IO); /* and no SIGPIPE */
    close(ends[1]);
    frame_receiver_free(&receiver);
    buffer_free(&out);
}

static void test_numbers(void **state)
{
    (void)state;
    static struct numbered members[1000];
    static struct numbers numbers;
    for (uint32_t i = 0; i < 1000; i++) {
        members[i].number = i * 7;
        numbers_add(&numbers, &members[i]);
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_ptr_equal(numbers_find(&numbers, i * 7), &members[i]);
    assert_null(numbers_find(&numbers, 1));
    for (uint32_t i = 0; i < 1000; i += 2)
        assert_ptr_equal(numbers_take(&numbers, i * 7), &members[i]);
    assert_null(numbers_take(&numbers, 0));
    assert_int_equal(numbers.count, 500);
    size_t n = 0;
    while (numbers_take_any(&numbers))
        n++;
    assert_int_equal(n, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_options_and_submit),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_small_tokens),
        cmocka_unit_test(test_truncated_and_extended),
        cmocka_unit_test(test_fuzzed_payloads),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
