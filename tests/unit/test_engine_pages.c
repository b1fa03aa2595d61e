/* Who gets which KV page, how many there are, and who gives how many tokens to a step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/budget.h"
#include "engine/kvcache.h"
#include "engine/random.h"
#include "engine/state.h"

static void test_lowest_first(void **state)
{
    (void)state;
    struct kvcache cache;
    assert_int_equal(kvcache_init(&cache, 200, NULL), 0);
    assert_true(kvcache_reserve(&cache, NULL, 0, 200));
    uint32_t pages[200];
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(pages[i] = kvcache_take(&cache), i);
    assert_false(kvcache_reserve(&cache, NULL, 0, 1));
    const uint32_t back[] = {130, 3, 70};
    kvcache_release(&cache, back, 3, 0);
    assert_int_equal(cache.n_used, 197);
    assert_false(kvcache_reserve(&cache, NULL, 0, 4));
    assert_true(kvcache_reserve(&cache, NULL, 0, 3));
    assert_int_equal(kvcache_take(&cache), 3);
    assert_int_equal(kvcache_take(&cache), 70);
    assert_int_equal(kvcache_take(&cache), 130);
    kvcache_free(&cache);
}

static void test_promises_hold(void **state)
{
    (void)state;
    struct kvcache cache;
    assert_int_equal(kvcache_init(&cache, 10, NULL), 0);
    assert_true(kvcache_reserve(&cache, NULL, 0, 6));
    assert_true(kvcache_reserve(&cache, NULL, 0, 4));
    assert_false(kvcache_reserve(&cache, NULL, 0, 1)); /* none is taken, all are promised */
    assert_true(kvcache_reserve(&cache, NULL, 0, 0));
    assert_int_equal(cache.n_used, 0);
    assert_int_equal(kvcache_available(&cache), 0);
    uint32_t first[1] = {kvcache_take(&cache)};
    kvcache_release(&cache, first, 1, 5); /* one taken of six promised */
    assert_int_equal(cache.n_promised, 4);
    assert_int_equal(kvcache_available(&cache), 6);
    assert_true(kvcache_reserve(&cache, NULL, 0, 6));
    assert_false(kvcache_reserve(&cache, NULL, 0, UINT32_MAX));
    kvcache_free(&cache);
    assert_int_equal(kvcache_pages_for(0), 0);
    assert_int_equal(kvcache_pages_for(1), 1);
    assert_int_equal(kvcache_pages_for(BACKEND_PAGE_TOKENS), 1);
    assert_int_equal(kvcache_pages_for(BACKEND_PAGE_TOKENS + 1), 2);
    assert_int_equal(kvcache_pages_for(UINT32_MAX), 67108864);
}

/* No page is ever owned twice, and none is lost. */
static void test_random_owners(void **state)
{
    (void)state;
    enum { PAGES = 100, OWNERS = 10 };
    struct kvcache cache;
    uint32_t pages[OWNERS][PAGES], taken[OWNERS] = {0}, promised[OWNERS] = {0};
    bool owned[PAGES] = {false};
    assert_int_equal(kvcache_init(&cache, PAGES, NULL), 0);
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t owner = (uint32_t)(random_u64(2, 2 * i) % OWNERS);
        if (!promised[owner]) {
            uint32_t n = 1 + (uint32_t)(random_u64(2, 2 * i + 1) % 30);
            if (kvcache_reserve(&cache, NULL, 0, n))
                promised[owner] = n;
        } else if (taken[owner] < promised[owner] && random_u64(2, 2 * i + 1) % 8) {
            uint32_t page = kvcache_take(&cache);
            assert_in_range(page, 0, PAGES - 1);
            assert_false(owned[page]);
            owned[page] = true;
            pages[owner][taken[owner]++] = page;
        } else {
            for (uint32_t p = 0; p < taken[owner]; p++)
                owned[pages[owner][p]] = false;
            kvcache_release(&cache, pages[owner], taken[owner], promised[owner] - taken[owner]);
            taken[owner] = promised[owner] = 0;
        }
        uint32_t n = 0;
        for (int p = 0; p < PAGES; p++)
            n += owned[p];
        assert_int_equal(n, cache.n_used);
    }
    kvcache_free(&cache);
}

/* ---- how many pages ---- */

static void test_budget(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20;
    struct error error = {0};
    uint32_t n;
    struct budget_input input = {.weight_file_bytes = 100 * mib,
                                 .scratch_bytes = 10 * mib,
                                 .page_bytes = mib,
                                 .context = 640, /* 10 pages */
                                 .max_sequences = 8,
                                 .available_bytes = 1000 * mib};
    assert_int_equal(budget_pages(&input, &n, &error), 0);
    assert_int_equal(n, 80); /* all that can be used */
    input.available_bytes = 240 * mib;
    assert_int_equal(budget_pages(&input, &n, &error), 0);
    assert_int_equal(n, 60); /* a quarter */
    input.available_bytes = 125 * mib;
    assert_int_equal(budget_pages(&input, &n, &error), 0);
    assert_int_equal(n, 15); /* what weights and scratch leave */
    input.available_bytes = 120 * mib;
    assert_int_equal(budget_pages(&input, &n, &error), 0);
    assert_int_equal(n, 10); /* one context */
    input.available_bytes = 120 * mib - 1;
    assert_int_equal(budget_pages(&input, &n, &error), ERROR_LIMIT);
    assert_non_null(strstr(error.message, "weights 100 MiB"));
    assert_non_null(strstr(error.message, "10 MiB"));
    input.available_bytes = UINT64_MAX; /* unknown */
    input.context = 1 << 20;
    assert_int_equal(budget_pages(&input, &n, &error), 0);
    assert_int_equal(n, 16384); /* one context is more than the default share */
    input.page_bytes = UINT64_MAX / 2;
    assert_int_equal(budget_pages(&input, &n, &error), ERROR_LIMIT);
}

/* ---- a step's batch ---- */

enum { SLOTS = 8, CHUNK = 100 };

struct step {
    struct local_engine engine;
    struct local_request requests[SLOTS];
    struct local_request *active[SLOTS];
    int32_t prompt[1000], tokens[CHUNK + SLOTS];
    uint32_t positions[CHUNK + SLOTS], sequence[CHUNK + SLOTS], outputs[SCORE_ROWS + SLOTS], shares[SLOTS];
    uint32_t pages[SLOTS][32];
    struct backend_sequence sequences[SLOTS];
};

static void no_wake(void *context)
{
    (void)context;
}

static void add(struct step *step, uint32_t n_prompt, uint32_t n_cached, engine_logits_function on_logits)
{
    struct local_engine *engine = &step->engine;
    struct local_request *request = &step->requests[engine->n_active];
    arena_init(&request->arena);
    assert_int_equal(stream_init(&request->stream, 2, no_wake, NULL, &request->arena, NULL), 0);
    request->prompt = step->prompt;
    request->n_prompt = n_prompt;
    request->n_cached = n_cached;
    request->last_token = 5000;
    request->events_per_token = 1;
    request->on_logits = on_logits;
    request->pages = step->pages[engine->n_active];
    request->n_promised = 16;
    assert_true(kvcache_reserve(&engine->kvcache, NULL, 0, 16));
    while (request->n_pages < kvcache_pages_for(n_cached))
        request->pages[request->n_pages++] = kvcache_take(&engine->kvcache);
    engine->active[engine->n_active++] = request;
}

static void step_init(struct step *step)
{
    memset(step, 0, sizeof *step);
    for (int i = 0; i < 1000; i++)
        step->prompt[i] = i;
    struct local_engine *engine = &step->engine;
    engine->info.prefill_chunk = CHUNK;
    engine->active = step->active;
    engine->batch.tokens = engine->tokens = step->tokens;
    engine->batch.positions = engine->positions = step->positions;
    engine->batch.sequence = engine->sequence = step->sequence;
    engine->batch.outputs = engine->outputs = step->outputs;
    engine->batch.sequences = engine->sequences = step->sequences;
    engine->shares = step->shares;
    assert_int_equal(kvcache_init(&engine->kvcache, 16 * SLOTS, NULL), 0);
}

static void step_free(struct step *step)
{
    for (uint32_t i = 0; i < step->engine.n_active; i++) {
        stream_free(&step->requests[i].stream);
        arena_free(&step->requests[i].arena);
    }
    kvcache_free(&step->engine.kvcache);
}

static void test_decoders_and_prompts_share_a_step(void **state)
{
    (void)state;
    struct step *step = test_malloc(sizeof *step);
    step_init(step);
    step->engine.info.prefill_chunk = MIXED_PART * CHUNK; /* so that CHUNK is for prompts beside others */
    add(step, 10, 12, NULL);                              /* decodes */
    add(step, 500, 100, NULL);
    add(step, 20, 0, NULL); /* short: done in this step */
    add(step, 900, 64, NULL);
    batch_build(&step->engine);
    const struct backend_batch *batch = &step->engine.batch;
    assert_int_equal(batch->n_tokens, CHUNK + 1);
    assert_int_equal(batch->n_sequences, 4);
    assert_int_equal(step->requests[0].step_tokens, 1);
    assert_int_equal(step->requests[2].step_tokens, 20);
    /* 33 + 20 + 47, the rest of the chunk in equal parts */
    assert_int_equal(step->requests[1].step_tokens, 33);
    assert_int_equal(step->requests[3].step_tokens, 47);
    assert_int_equal(batch->n_outputs, 2); /* the decoder's token and the end of the short prompt */
    assert_int_equal(batch->tokens[0], 5000);
    assert_int_equal(batch->positions[0], 12);
    assert_int_equal(batch->tokens[1], 100);
    assert_int_equal(batch->positions[1], 100);
    assert_int_equal(batch->outputs[0], 0);
    assert_int_equal(batch->outputs[1], 1 + 33 + 20 - 1);
    assert_int_equal(step->requests[2].step_first_row, 1);
    for (uint32_t i = 1; i < batch->n_tokens; i++) { /* each sequence in one run, in order of position */
        assert_true(batch->sequence[i] == batch->sequence[i - 1] ||
                    batch->sequence[i] == batch->sequence[i - 1] + 1);
        if (batch->sequence[i] == batch->sequence[i - 1])
            assert_int_equal(batch->positions[i], batch->positions[i - 1] + 1);
        assert_true(batch->positions[i] / BACKEND_PAGE_TOKENS < batch->sequences[batch->sequence[i]].n_pages);
    }
    step_free(step);
    test_free(step);
}

static void test_a_late_reader_pauses_only_itself(void **state)
{
    (void)state;
    struct step *step = test_malloc(sizeof *step);
    struct engine_event event = {.kind = EVENT_TOKEN};
    step_init(step);
    add(step, 10, 12, NULL);
    add(step, 10, 20, NULL);
    assert_true(stream_push(&step->requests[0].stream, &event, 0));
    assert_true(stream_push(&step->requests[0].stream, &event, 0));
    batch_build(&step->engine);
    assert_int_equal(step->engine.batch.n_tokens, 1);
    assert_int_equal(step->requests[0].step_tokens, 0);
    assert_int_equal(step->requests[1].step_tokens, 1);
    assert_int_equal(stream_next(&step->requests[0].stream, &event, 0), 1);
    batch_build(&step->engine);
    assert_int_equal(step->engine.batch.n_tokens, 2);
    step_free(step);
    test_free(step);
}

/* Beside sequences that decode a prompt gets a part of the chunk; alone, or beside one that pauses, all. */
static void test_a_prompt_beside_others_gets_a_part(void **state)
{
    (void)state;
    struct step *step = test_malloc(sizeof *step);
    struct engine_event event = {.kind = EVENT_TOKEN};
    step_init(step);
    add(step, 10, 12, NULL);
    add(step, 500, 0, NULL);
    batch_build(&step->engine);
    assert_int_equal(step->requests[1].step_tokens, CHUNK / MIXED_PART);
    assert_int_equal(step->engine.batch.n_tokens, CHUNK / MIXED_PART + 1);
    assert_true(stream_push(&step->requests[0].stream, &event, 0));
    assert_true(stream_push(&step->requests[0].stream, &event, 0));
    batch_build(&step->engine);
    assert_int_equal(step->engine.batch.n_tokens, CHUNK);
    step_free(step);
    test_free(step);
}

static void ignore_logits(void *context, uint32_t position, const float *logits, uint32_t vocab)
{
    (void)context, (void)position, (void)logits, (void)vocab;
}

static void test_scored_prompts_share_the_rows(void **state)
{
    (void)state;
    struct step *step = test_malloc(sizeof *step);
    step_init(step);
    add(step, 500, 0, ignore_logits);
    add(step, 8, 0, ignore_logits);
    add(step, 500, 0, ignore_logits);
    add(step, 500, 0, NULL);
    batch_build(&step->engine);
    assert_int_equal(step->requests[0].step_tokens, 21);
    assert_int_equal(step->requests[0].step_rows, 21);
    assert_int_equal(step->requests[1].step_tokens, 8);
    assert_int_equal(step->requests[2].step_tokens, 35);
    assert_int_equal(step->requests[3].step_tokens, 36);
    assert_int_equal(step->requests[3].step_rows, 0);
    assert_int_equal(step->engine.batch.n_outputs, SCORE_ROWS);
    step_free(step);
    test_free(step);
}

/* Decodes, and has as much to guess as anybody may. */
static struct local_request *add_guesser(struct step *step)
{
    enum { TEXT = 60, ROOM = 40, ANSWER = 100 };
    int32_t text[TEXT];
    for (int32_t i = 0; i < TEXT; i++)
        text[i] = i % (TEXT / 2);
    add(step, 10, 12, NULL);
    struct local_request *request = &step->requests[step->engine.n_active - 1];
    stream_free(&request->stream);
    assert_int_equal(stream_init(&request->stream, ROOM, no_wake, NULL, &request->arena, NULL), 0);
    request->max_tokens = ANSWER;
    assert_int_equal(
        lookup_init(&request->lookup, ENGINE_MAX_PROMPT_LOOKUP, text, TEXT, ANSWER, &request->arena, NULL),
        0);
    request->lookup.right = 1;
    return request;
}

static void test_guesses_share_the_rows(void **state)
{
    (void)state;
    struct step *step = test_malloc(sizeof *step);
    step_init(step);
    for (int i = 0; i < SLOTS; i++)
        add_guesser(step);
    batch_build(&step->engine);
    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(step->requests[i].lookup.n_guess, SCORE_ROWS / SLOTS);
        assert_int_equal(step->requests[i].step_rows, 1 + SCORE_ROWS / SLOTS);
    }
    assert_int_equal(step->engine.batch.n_outputs, SCORE_ROWS + SLOTS);
    step_free(step);
    test_free(step);
}

/* What one does not want is for the others, and a scored prompt has its part. */
static void test_guesses_leave_rows(void **state)
{
    (void)state;
    const uint32_t expected[] = {2, 12, 12, 12, 13, 13};
    struct step *step = test_malloc(sizeof *step);
    step_init(step);
    for (int i = 0; i < 6; i++)
        add_guesser(step);
    step->requests[0].max_tokens = 3; /* of which the step's own is one */
    batch_build(&step->engine);
    for (int i = 0; i < 6; i++)
        assert_int_equal(step->requests[i].lookup.n_guess, expected[i]);
    step_free(step);
    step_init(step);
    for (int i = 0; i < SLOTS - 1; i++)
        add_guesser(step);
    add(step, 500, 0, ignore_logits);
    batch_build(&step->engine);
    for (int i = 0; i < SLOTS - 1; i++)
        assert_int_equal(step->requests[i].lookup.n_guess, SCORE_ROWS / SLOTS);
    assert_int_equal(step->requests[SLOTS - 1].step_tokens, SCORE_ROWS / SLOTS);
    step_free(step);
    test_free(step);
}

/* A step is told that nobody wants logits when all its outputs are embeddings, and only then. */
static void test_embeddings_alone_want_no_logits(void **state)
{
    (void)state;
    struct step *step = test_malloc(sizeof *step);
    step_init(step);
    add(step, 8, 0, NULL);
    step->requests[0].embeds = true;
    add(step, 900, 0, NULL); /* does not end in this step */
    batch_build(&step->engine);
    assert_int_equal(step->engine.batch.n_outputs, 1);
    assert_true(step->engine.batch.embeddings_only);
    add(step, 8, 0, NULL);
    batch_build(&step->engine);
    assert_int_equal(step->engine.batch.n_outputs, 2);
    assert_false(step->engine.batch.embeddings_only);
    step->engine.n_active = 1;
    batch_build(&step->engine);
    assert_true(step->engine.batch.embeddings_only);
    batch_clear(&step->engine);
    assert_false(step->engine.batch.embeddings_only);
    step->engine.n_active = 3;
    step_free(step);
    test_free(step);
}

static void test_a_chunk_smaller_than_the_crowd(void **state)
{
    (void)state;
    struct step *step = test_malloc(sizeof *step);
    step_init(step);
    step->engine.info.prefill_chunk = 3;
    for (int i = 0; i < SLOTS; i++)
        add(step, 50, 0, i % 2 ? ignore_logits : NULL);
    for (int turn = 0; turn < 200; turn++) { /* everybody gets there */
        batch_build(&step->engine);
        assert_in_range(step->engine.batch.n_tokens, 1, 3 + SLOTS);
        for (int i = 0; i < SLOTS; i++)
            step->requests[i].n_cached += step->requests[i].step_tokens;
    }
    for (int i = 0; i < SLOTS; i++)
        assert_true(step->requests[i].n_cached >= 50);
    step_free(step);
    test_free(step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lowest_first),
        cmocka_unit_test(test_promises_hold),
        cmocka_unit_test(test_random_owners),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_decoders_and_prompts_share_a_step),
        cmocka_unit_test(test_a_late_reader_pauses_only_itself),
        cmocka_unit_test(test_a_prompt_beside_others_gets_a_part),
        cmocka_unit_test(test_scored_prompts_share_the_rows),
        cmocka_unit_test(test_guesses_share_the_rows),
        cmocka_unit_test(test_guesses_leave_rows),
        cmocka_unit_test(test_embeddings_alone_want_no_logits),
        cmocka_unit_test(test_a_chunk_smaller_than_the_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
