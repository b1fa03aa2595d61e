/* A stream of server-sent events cut in any way, and the chunks in it: what a server says is turned into
 * tokens and times, and what cannot be is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "profile/metrics.h"
#include "profile/remote_chunks.h"
#include "profile/remote_events.h"

#define NEAR(a, b) assert_true(fabs((double)(a) - (b)) < 1e-6 * (1 + fabs((double)(b))))

/* ---- events ---- */

static int note(void *context, const char *data, size_t length, struct error *error)
{
    struct buffer *all = context;
    (void)error;
    assert_int_equal(data[length], 0);
    buffer_append(all, "<", 1);
    buffer_append(all, data, length);
    buffer_append(all, ">", 1);
    return 0;
}

static void expect_events(const char *stream, size_t length, size_t piece, const char *expected)
{
    struct buffer all = {0};
    struct remote_events events = {.on_event = note, .context = &all};
    buffer_append(&all, "", 0);
    for (size_t at = 0; at < length; at += piece)
        assert_int_equal(
            remote_events_feed(&events, stream + at, length - at < piece ? length - at : piece, NULL), 0);
    assert_int_equal(remote_events_end(&events, NULL), 0);
    buffer_append(&all, "", 1);
    assert_string_equal(all.data, expected);
    remote_events_free(&events);
    buffer_free(&all);
}

static void any_cut(void **state)
{
    (void)state;
    static const struct {
        const char *stream, *expected;
    } rows[] = {
        {"data: a\n\ndata: b\n\n", "<a><b>"},
        {"data: a\r\n\r\ndata: b\r\n\r\n", "<a><b>"},
        {"data: a\r\rdata: b\r\r", "<a><b>"},
        {"data:a\n\n", "<a>"},
        {"data:  a\n\n", "< a>"},
        {"data\n\n", "<>"},
        {"data:\n\n", "<>"},
        {"data: a\ndata: b\n\n", "<a\nb>"},
        {"data:\ndata:\n\n", "<\n>"},
        {": comment\n\ndata: a\n\n", "<a>"},
        {"event: x\nid: 7\nretry: 5\ndata: a\n\n", "<a>"},
        {"\xEF\xBB\xBF"
         "data: a\n\n",
         "<a>"},
        {"data: a", "<a>"}, /* the end came too early: what was said counts */
        {"data: a\n", "<a>"},
        {"datax: a\n\ndat: b\n\nDATA: c\n\n", ""},
        {"\n\n\n\ndata: a\n\n\n\n", "<a>"},
        {"data: {\"x\": \"\xC3\xA9\"}\n\n", "<{\"x\": \"\xC3\xA9\"}>"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece <= 9; piece++)
            expect_events(rows[i].stream, strlen(rows[i].stream), piece, rows[i].expected);
}

static void endless_events(void **state)
{
    (void)state;
    static char block[4096];
    struct buffer all = {0};
    struct error error = {0};
    struct remote_events events = {.on_event = note, .context = &all};
    memset(block, 'x', sizeof block);
    int status = 0, rounds = 0;
    while (!status && rounds++ < 1000) /* a line that never ends */
        status = remote_events_feed(&events, block, sizeof block, &error);
    assert_int_equal(status, ERROR_LIMIT);
    assert_true(events.line.capacity <= 4 * REMOTE_MAX_EVENT);
    remote_events_free(&events);

    events = (struct remote_events){.on_event = note, .context = &all};
    memcpy(block, "data: ", 6);
    block[sizeof block - 1] = '\n';
    for (status = rounds = 0; !status && rounds++ < 1000;) /* an event of endless lines */
        status = remote_events_feed(&events, block, sizeof block, &error);
    assert_int_equal(status, ERROR_LIMIT);
    remote_events_free(&events);
    buffer_free(&all);
}

/* ---- chunks ---- */

static int take(struct remote_chunks *chunks, double ms, const char *data, struct error *error)
{
    return remote_chunks_take(chunks, data, strlen(data), (uint64_t)(ms * 1e6), error);
}

static void good(struct remote_chunks *chunks, double ms, const char *data)
{
    struct error error = {0};
    if (take(chunks, ms, data, &error))
        fail_msg("%s: %s", data, error.message);
}

#define TEXT(t) "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" t "\"},\"finish_reason\":null}]}"
#define STOP "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}"
#define USAGE(p, c) "{\"choices\":[],\"usage\":{\"prompt_tokens\":" #p ",\"completion_tokens\":" #c "}}"

static struct sample judge(struct remote_chunks *chunks, double start_ms, struct remote_count *count)
{
    struct target_trace trace = {0};
    struct sample sample;
    assert_int_equal(remote_chunks_trace(chunks, (uint64_t)(start_ms * 1e6), NULL, &trace, count, NULL), 0);
    remote_chunks_sample(&trace, count, &sample);
    target_trace_free(&trace);
    remote_chunks_free(chunks);
    return sample;
}

static void one_token_a_chunk(void **state)
{
    (void)state;
    struct remote_chunks chunks = {.max_tokens = 4};
    struct remote_count count;
    good(&chunks, 5, "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}"); /* no token */
    good(&chunks, 110, TEXT("a"));
    good(&chunks, 120, TEXT("bcd"));
    good(&chunks, 140, "{\"choices\":[{\"delta\":{\"reasoning_content\":\"c\"}}]}");
    good(&chunks, 150, TEXT("d"));
    good(&chunks, 151, STOP);
    good(&chunks, 152, USAGE(9, 4));
    good(&chunks, 153, "[DONE]");
    good(&chunks, 154, TEXT("after the end")); /* not looked at */
    struct sample sample = judge(&chunks, 100, &count);
    assert_int_equal(sample.outcome, OUTCOME_OK);
    assert_int_equal(count.tokens, 4);
    assert_false(count.spread);
    assert_int_equal(sample.prompt_tokens, 9);
    NEAR(sample.value[METRIC_TTFT_MS], 10);
    NEAR(sample.value[METRIC_RESPONSE_MS], 50);
    NEAR(sample.value[METRIC_DECODE_TPS], 3 / 0.040);
    NEAR(sample.value[METRIC_ITL_P50_MS], 10); /* gaps 10 20 10 */
    NEAR(sample.value[METRIC_ITL_MAX_MS], 20);
    assert_int_equal(sample.n_itl, 3);
    sample_free(&sample);
}

/* Of tokens that came several at a time nobody saw the gaps: there are none, and none are made up. */
static void expect_no_gaps(const struct sample *sample, const struct remote_count *count)
{
    assert_true(count->several);
    assert_int_equal(sample->n_itl, 0);
    assert_null(sample->itl_ms);
    assert_true(isnan(sample->value[METRIC_ITL_P50_MS]) && isnan(sample->value[METRIC_ITL_P90_MS]) &&
                isnan(sample->value[METRIC_ITL_P99_MS]) && isnan(sample->value[METRIC_ITL_MAX_MS]));
}

/* 8 tokens in 3 chunks with 1, 8 and 1 bytes: one each, the 5 others by length, 0.5, 4 and 0.5 of them. */
static void several_tokens_a_chunk(void **state)
{
    (void)state;
    struct remote_chunks chunks = {.max_tokens = 8};
    struct remote_count count;
    good(&chunks, 100, TEXT("a"));
    good(&chunks, 150, TEXT("bbbbbbbb"));
    good(&chunks, 160, TEXT("c"));
    good(&chunks, 160, STOP);
    good(&chunks, 160, USAGE(5, 8));
    struct sample sample = judge(&chunks, 0, &count);
    assert_int_equal(sample.outcome, OUTCOME_OK);
    assert_true(count.spread);
    assert_int_equal(count.first, 1);
    expect_no_gaps(&sample, &count);
    NEAR(sample.value[METRIC_DECODE_TPS], 7 / 0.060);
    NEAR(sample.value[METRIC_TPOT_MS], 60. / 7);
    sample_free(&sample);
}

/* Where the server counts along, its count decides. */
static void counted_along(void **state)
{
    (void)state;
    struct remote_chunks chunks = {.max_tokens = 5};
    struct remote_count count;
    good(&chunks, 10,
         "{\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":{\"prompt_tokens\":2,"
         "\"completion_tokens\":1}}");
    good(&chunks, 50,
         "{\"choices\":[{\"delta\":{\"content\":\"y\"},\"finish_reason\":\"length\"}],\"usage\":"
         "{\"prompt_tokens\":2,\"completion_tokens\":5}}");
    struct sample sample = judge(&chunks, 0, &count);
    assert_int_equal(sample.outcome, OUTCOME_OK);
    assert_int_equal(count.first, 1);
    expect_no_gaps(&sample, &count);
    NEAR(sample.value[METRIC_TPOT_MS], 10);
    sample_free(&sample);
}

/* 64 tokens, 200 ms, 64 more: those of the first stamp were not decoded in these 200 ms. */
static void many_with_the_first_stamp(void **state)
{
    (void)state;
    for (int pieces = 1; pieces <= 64; pieces *= 8) { /* of each half, all read at once */
        struct remote_chunks chunks = {.max_tokens = 128};
        struct remote_count count;
        for (int i = 0; i < 2 * pieces; i++)
            good(&chunks, i < pieces ? 100 : 300, TEXT("abcd"));
        good(&chunks, 300, STOP);
        good(&chunks, 300, USAGE(5, 128));
        struct sample sample = judge(&chunks, 50, &count);
        assert_int_equal(sample.outcome, OUTCOME_OK);
        assert_int_equal(count.first, 64);
        NEAR(sample.value[METRIC_DECODE_TPS], 320);
        NEAR(sample.value[METRIC_TPOT_MS], 200. / 64);
        NEAR(sample.value[METRIC_TTFT_MS], 50);
        NEAR(sample.value[METRIC_TOKENS_PER_SECOND], 128 / 0.250);
        expect_no_gaps(&sample, &count);
    }
}

static void all_at_once(void **state)
{
    (void)state;
    struct remote_chunks chunks = {.max_tokens = 8};
    struct remote_count count;
    good(&chunks, 50, TEXT("eight words"));
    good(&chunks, 50, STOP);
    good(&chunks, 50, USAGE(5, 8));
    struct sample sample = judge(&chunks, 10, &count);
    assert_int_equal(sample.outcome, OUTCOME_OK);
    assert_int_equal(count.first, 8);
    assert_true(isnan(sample.value[METRIC_DECODE_TPS]) && isnan(sample.value[METRIC_TPOT_MS]));
    NEAR(sample.value[METRIC_TOKENS_PER_SECOND], 200);
    expect_no_gaps(&sample, &count);
}

/* A client that is late now and then reads two chunks at once: that is no reason to throw gaps away. */
static void read_late_once(void **state)
{
    (void)state;
    struct remote_chunks chunks = {.max_tokens = 6};
    struct remote_count count;
    static const double ms[] = {20, 20, 30, 40, 50, 60};
    for (size_t i = 0; i < 6; i++)
        good(&chunks, ms[i], TEXT("a"));
    good(&chunks, 60, STOP);
    good(&chunks, 60, USAGE(5, 6));
    struct sample sample = judge(&chunks, 0, &count);
    assert_false(count.several);
    assert_int_equal(sample.n_itl, 5);
    NEAR(sample.value[METRIC_ITL_P50_MS], 10);
    assert_int_equal(count.first, 2);
    NEAR(sample.value[METRIC_DECODE_TPS], 100); /* 4 in 40 ms, not 5 */
    sample_free(&sample);
}

/* A stop token has no text: it came with the chunk that ended the answer. */
static void token_without_text(void **state)
{
    (void)state;
    struct remote_chunks chunks = {.max_tokens = 8};
    struct remote_count count;
    good(&chunks, 10, TEXT("a"));
    good(&chunks, 20, TEXT("b"));
    good(&chunks, 30, "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}");
    good(&chunks, 30, USAGE(5, 3));
    struct sample sample = judge(&chunks, 5, &count);
    assert_int_equal(sample.outcome, OUTCOME_SHORT); /* 3 of 8 */
    assert_non_null(strstr(sample.message, "3 tokens came, 8 were asked for"));
    assert_false(count.spread);
    NEAR(sample.value[METRIC_RESPONSE_MS], 25);
    sample_free(&sample);
}

/* A token in several chunks. */
static void fewer_tokens_than_chunks(void **state)
{
    (void)state;
    struct remote_chunks chunks = {.max_tokens = 2};
    struct remote_count count;
    for (int i = 1; i <= 4; i++)
        good(&chunks, 10 * i, "{\"choices\":[{\"text\":\"x\"}]}"); /* plain completions */
    good(&chunks, 40, USAGE(5, 2));
    good(&chunks, 40, "[DONE]");
    struct sample sample = judge(&chunks, 5, &count);
    assert_int_equal(sample.outcome, OUTCOME_OK);
    assert_true(count.spread);
    assert_false(count.several);
    assert_int_equal(sample.generated_tokens, 2);
    NEAR(sample.value[METRIC_TTFT_MS], 5);
    NEAR(sample.value[METRIC_RESPONSE_MS], 35);
    sample_free(&sample);
}

static void never_by_chunks(void **state)
{
    (void)state;
    struct remote_chunks chunks = {.max_tokens = 2};
    struct remote_count count;
    good(&chunks, 10, TEXT("a"));
    good(&chunks, 20, TEXT("b"));
    good(&chunks, 20, STOP);
    struct sample sample = judge(&chunks, 0, &count);
    assert_int_equal(sample.outcome, OUTCOME_OK);
    assert_int_equal(count.tokens, 0);
    assert_non_null(strstr(count.reason, "no usage"));
    assert_true(isnan(sample.value[METRIC_DECODE_TPS]));
    assert_true(isnan(sample.value[METRIC_TOKENS_PER_SECOND]));
    assert_int_equal(sample.n_itl, 0);
    sample_free(&sample);
}

static void expect_outcome(const char *const *events, size_t n, enum target_outcome outcome, const char *why)
{
    struct remote_chunks chunks = {.max_tokens = 100};
    struct remote_count count;
    for (size_t i = 0; i < n; i++)
        good(&chunks, 10 * ((double)i + 1), events[i]);
    struct sample sample = judge(&chunks, 0, &count);
    assert_int_equal(sample.outcome, outcome);
    if (!strstr(sample.message, why))
        fail_msg("'%s' does not speak of '%s'", sample.message, why);
    sample_free(&sample);
}

static void outcomes(void **state)
{
    (void)state;
    expect_outcome((const char *[]){TEXT("a"), TEXT("b")}, 2, OUTCOME_ERROR, "middle of its answer");
    expect_outcome((const char *[]){"[DONE]"}, 1, OUTCOME_ERROR, "without any text");
    expect_outcome((const char *[]){STOP, USAGE(5, 4), "[DONE]"}, 3, OUTCOME_ERROR, "without any text");
    expect_outcome((const char *[]){TEXT("a"), STOP, USAGE(5, 0)}, 3, OUTCOME_ERROR, "0 tokens");
    const char *cached = "{\"choices\":[],\"usage\":{\"prompt_tokens\":900,\"completion_tokens\":100,"
                         "\"prompt_tokens_details\":{\"cached_tokens\":896}}}";
    expect_outcome((const char *[]){TEXT("a"), STOP, cached}, 3, OUTCOME_NOT_COLD, "896 of 900");
    const char *template = "{\"choices\":[],\"usage\":{\"prompt_tokens\":900,\"completion_tokens\":100,"
                           "\"prompt_tokens_details\":{\"cached_tokens\":16}}}";
    expect_outcome((const char *[]){TEXT("a"), STOP, template}, 3, OUTCOME_OK, "");
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        int code;
    } rows[] = {
        {"", ERROR_INVALID},
        {"hello", ERROR_INVALID},
        {"[1,2]", ERROR_INVALID},
        {"{\"choices\":", ERROR_INVALID},
        {"{\"choices\":[{\"delta\":{\"content\":\"\xFF\"}}]}", ERROR_INVALID},
        {"{\"error\":{\"message\":\"CUDA out of memory\"}}", ERROR_IO},
        {"{\"error\":\"broken\"}", ERROR_IO},
        {USAGE(5, 101), ERROR_INVALID}, /* more than was asked for */
        {USAGE(5, -1), ERROR_INVALID},
        {USAGE(-5, 1), ERROR_INVALID},
        {USAGE(5, 1.5), ERROR_INVALID},
        {USAGE(5, "7"), ERROR_INVALID},
        {USAGE(99999999999, 1), ERROR_INVALID},
        {"{\"usage\":{}}", ERROR_INVALID},
        {"{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_"
         "tokens\":6}}}",
         ERROR_INVALID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct remote_chunks chunks = {.max_tokens = 100};
        struct error error = {0};
        int status = take(&chunks, 1, rows[i].data, &error);
        if (status != rows[i].code || !error.message[0])
            fail_msg("%s: %d %s", rows[i].data, status, error.message);
        remote_chunks_free(&chunks);
    }
    struct remote_chunks deep = {.max_tokens = 1};
    char *nested = malloc(200001);
    memset(nested, '[', 200000);
    nested[200000] = '\0';
    assert_int_equal(take(&deep, 1, nested, NULL), ERROR_LIMIT);
    free(nested);
    remote_chunks_free(&deep);
}

static void odd_but_harmless(void **state)
{
    (void)state;
    static const char *const rows[] = {"{}",
                                       "{\"choices\":7}",
                                       "{\"choices\":[7]}",
                                       "{\"choices\":[{}]}",
                                       "{\"choices\":[{\"delta\":[]}]}",
                                       "{\"choices\":[{\"delta\":{\"content\":7}}]}",
                                       "{\"choices\":[{\"delta\":{\"tool_calls\":{}}}]}",
                                       "{\"usage\":null}",
                                       "{\"usage\":7}",
                                       "{\"error\":null}"};
    struct remote_chunks chunks = {.max_tokens = 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        good(&chunks, 1, rows[i]);
    assert_int_equal(chunks.count, 0);
    assert_false(chunks.has_usage);
    good(&chunks, 1, "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"x\"}}]}}]}");
    assert_int_equal(chunks.count, 1);
    remote_chunks_free(&chunks);
}

static void endless_chunks(void **state)
{
    (void)state;
    struct remote_chunks chunks = {.max_tokens = 10};
    struct error error = {0};
    int status = 0, n = 0;
    while (!status && n++ < 10000)
        status = take(&chunks, n, TEXT("x"), &error);
    assert_int_equal(status, ERROR_LIMIT);
    assert_true(n < 200);
    remote_chunks_free(&chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut),
        cmocka_unit_test(endless_events),
        cmocka_unit_test(one_token_a_chunk),
        cmocka_unit_test(several_tokens_a_chunk),
        cmocka_unit_test(counted_along),
        cmocka_unit_test(many_with_the_first_stamp),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(read_late_once),
        cmocka_unit_test(token_without_text),
        cmocka_unit_test(fewer_tokens_than_chunks),
        cmocka_unit_test(never_by_chunks),
        cmocka_unit_test(outcomes),
        cmocka_unit_test(refused),
        cmocka_unit_test(odd_but_harmless),
        cmocka_unit_test(endless_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
