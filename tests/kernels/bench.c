/* Timings of the kernels on one thread, beside what a plain read of the same weights achieves: read and
 * kernel alternate, so that both see the same neighbours. CPU time of the thread, so that what else runs on
 * the machine does not count; median of the repeats.
 *
 * Matrices have llama-3.2-1b's shapes and enough copies (as stacked experts) to be twice the last-level
 * cache.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kv.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/memory.h"

enum { REPEATS = 15, COLS = 2048, ROWS = 8192, MAX_TOKENS = 64, ATTEND_KEYS = 2048 };

static volatile uint64_t sink;

static double best(const double *values)
{
    double least = values[0];
    for (int i = 1; i < REPEATS; i++)
        least = values[i] < least ? values[i] : least;
    return least;
}

/* Nanoseconds for reading n bytes once. */
static double read_ns(const uint8_t *p, size_t n)
{
    uint64_t begin = clock_thread_cpu_ns(), a[8] = {0}, v[8];
    for (size_t i = 0; i + 64 <= n; i += 64) {
        __builtin_prefetch(p + i + 4096);
        memcpy(v, p + i, 64);
        for (int j = 0; j < 8; j++)
            a[j] ^= v[j];
    }
    sink = sink + (a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7]);
    return (double)(clock_thread_cpu_ns() - begin);
}

/* ---- matrices ---- */

struct subject {
    const char *name;
    struct weight weight;
    bool int8;
};

static void *or_die(void *memory)
{
    if (!memory) {
        fprintf(stderr, "bench: out of memory\n");
        exit(1);
    }
    return memory;
}

/* data, scales and biases are one area, filled with any sane bytes. */
static size_t subject_open(struct subject *s, uint32_t n_experts)
{
    struct weight *w = &s->weight;
    w->rows = ROWS;
    w->cols = COLS;
    w->n_experts = n_experts;
    w->row_bytes = (size_t)COLS * w->bits / 8;
    size_t rows = (size_t)n_experts * ROWS, data = rows * w->row_bytes;
    size_t scales = w->group_size ? rows * (COLS / w->group_size) * (w->format == WEIGHT_AFFINE ? 2 : 1) : 0;
    size_t total = data + 2 * scales;
    uint8_t *memory = or_die(memory_map(total));
    for (size_t i = 0; i + 8 <= total; i += 8) {
        uint64_t value = random_u64() & 0x3F3F3F3F3F3F3F3Fu; /* finite whatever it is read as */
        memcpy(memory + i, &value, 8);
    }
    w->data = memory;
    w->scales = memory + data;
    w->biases = w->scales + scales;
    return total;
}

static double linear_ns(const struct kernels *k, const struct subject *s, uint32_t expert, uint32_t tokens,
                        const struct q8_rows *q, const float *x, float *out, void *scratch)
{
    uint64_t begin = clock_thread_cpu_ns();
    if (s->int8)
        k->linear_int8(&s->weight, expert, 0, ROWS, q, tokens, out, ROWS, scratch);
    else
        k->linear_f32(&s->weight, expert, 0, ROWS, x, COLS, tokens, out, ROWS, scratch);
    return (double)(clock_thread_cpu_ns() - begin);
}

static void bench_linear(const struct kernels *k, struct subject s)
{
    static const uint32_t batches[] = {1, 2, 4, 8, MAX_TOKENS};
    uint64_t cache = cpu_info()->last_level_cache_bytes;
    size_t one = (size_t)ROWS * COLS * s.weight.bits / 8;
    uint32_t n_experts = (uint32_t)(2 * (cache ? cache : 64u << 20) / one) + 2;
    size_t total = subject_open(&s, n_experts), expert_bytes = total / n_experts;
    float *x = or_die(memory_map(sizeof *x * MAX_TOKENS * COLS));
    float *out = or_die(memory_map(sizeof *out * MAX_TOKENS * ROWS));
    void *scratch = or_die(memory_map(k->linear_scratch_bytes(COLS)));
    struct q8_rows q = {.code_stride = COLS,
                        .group_stride = COLS / 16,
                        .group = s.weight.group_size ? s.weight.group_size : 64};
    q.codes = or_die(memory_map((size_t)MAX_TOKENS * q.code_stride));
    q.scales = or_die(memory_map(sizeof(float) * MAX_TOKENS * q.group_stride));
    q.sums = or_die(memory_map(sizeof(float) * MAX_TOKENS * q.group_stride));
    fill_floats(x, (size_t)MAX_TOKENS * COLS, FILL_NORMAL);
    for (uint32_t t = 0; t < MAX_TOKENS; t++)
        k->quantize_row(x + (size_t)t * COLS, COLS, kernels_code_order(&s.weight), &q, t);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        double reads[REPEATS], times[REPEATS];
        for (int repeat = 0; repeat < REPEATS; repeat++) {
            uint32_t a = (uint32_t)(2 * repeat) % n_experts, b = (uint32_t)(2 * repeat + 1) % n_experts;
            reads[repeat] = read_ns(s.weight.data + a * one, one);
            times[repeat] = linear_ns(k, &s, b, batches[i], &q, x, out, scratch);
        }
        double read = (double)one / best(reads), ns = best(times);
        printf("%-10s %-26s %3u tokens %12.0f ns %7.2f GB/s (plain read %6.2f, ratio %.2f) %8.1f GMAC/s\n",
               k->isa, s.name, batches[i], ns, (double)expert_bytes / ns, read,
               (double)expert_bytes / ns / read, (double)ROWS * COLS * batches[i] / ns);
    }
    memory_unmap((void *)(uintptr_t)s.weight.data, total);
    memory_unmap(x, sizeof *x * MAX_TOKENS * COLS);
    memory_unmap(out, sizeof *out * MAX_TOKENS * ROWS);
    memory_unmap(scratch, k->linear_scratch_bytes(COLS));
    memory_unmap(q.codes, (size_t)MAX_TOKENS * q.code_stride);
    memory_unmap(q.scales, sizeof(float) * MAX_TOKENS * q.group_stride);
    memory_unmap(q.sums, sizeof(float) * MAX_TOKENS * q.group_stride);
}

/* ---- attention ---- */

static void bench_attend(const struct kernels *k, uint32_t n_rows, uint32_t kv_bits)
{
    enum { HEAD_DIM = 64, PAGES = ATTEND_KEYS / BACKEND_PAGE_TOKENS };
    static float q[KERNEL_MAX_ATTEND_ROWS][HEAD_DIM], out[KERNEL_MAX_ATTEND_ROWS][HEAD_DIM];
    uint32_t pages[PAGES];
    struct attend_tile tile = {.n_rows = n_rows,
                               .head_dim = HEAD_DIM,
                               .scale = 0.125f,
                               .kv_bits = kv_bits,
                               .page_bytes = kv_head_bytes(HEAD_DIM, kv_bits),
                               .pages = pages,
                               .value_offset = kv_value_offset(0, HEAD_DIM, kv_bits)};
    uint8_t *cache = or_die(memory_map(PAGES * tile.page_bytes));
    void *scratch = or_die(memory_map(k->attend_scratch_bytes(HEAD_DIM)));
    double times[REPEATS];
    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = i;
    for (uint32_t r = 0; r < n_rows; r++) {
        fill_floats(q[r], HEAD_DIM, FILL_NORMAL);
        tile.q[r] = q[r];
        tile.out[r] = out[r];
        tile.last[r] = ATTEND_KEYS - 1;
    }
    for (uint32_t p = 0; p < ATTEND_KEYS; p++) {
        uint8_t *page = cache + p / BACKEND_PAGE_TOKENS * tile.page_bytes;
        fill_floats(out[0], HEAD_DIM, FILL_NORMAL);
        k->kv_store(out[0], out[0], HEAD_DIM, kv_bits, p, page, page + tile.value_offset);
    }
    tile.cache = cache;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        uint64_t begin = clock_thread_cpu_ns();
        k->attend(&tile, scratch);
        times[repeat] = (double)(clock_thread_cpu_ns() - begin);
    }
    double ns = best(times);
    printf("%-10s attend %u bits, %u keys     %3u rows   %12.0f ns %7.2f GB/s %8.1f GMAC/s\n", k->isa,
           kv_bits, (unsigned)ATTEND_KEYS, n_rows, ns, (double)(PAGES * tile.page_bytes) / ns,
           2.0 * ATTEND_KEYS * HEAD_DIM * n_rows / ns);
    memory_unmap(cache, PAGES * tile.page_bytes);
    memory_unmap(scratch, k->attend_scratch_bytes(HEAD_DIM));
}

/* ---- rows ---- */

static void print_row(const struct kernels *k, const char *name, double *times, double bytes)
{
    double ns = best(times);
    printf("%-10s %-26s %4d floats %12.0f ns %7.2f GB/s\n", k->isa, name, ROWS, ns, bytes / ns);
}

static void bench_rows(const struct kernels *k)
{
    static float x[ROWS], y[ROWS], z[ROWS], scales[ROWS / 16], sums[ROWS / 16];
    static int8_t codes[ROWS];
    struct q8_rows q = {codes, scales, sums, ROWS, ROWS / 16, 64};
    double times[7][REPEATS];
    fill_floats(x, ROWS, FILL_NORMAL);
    fill_floats(y, ROWS, FILL_NORMAL);
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        uint64_t at[8];
        at[0] = clock_thread_cpu_ns();
        k->quantize_row(x, ROWS, ORDER_PAIRS, &q, 0);
        at[1] = clock_thread_cpu_ns();
        k->rms_norm(x, y, 1e-5f, ROWS, z);
        at[2] = clock_thread_cpu_ns();
        k->rope(z, ROWS / 64, 64, 64, false, y);
        at[3] = clock_thread_cpu_ns();
        k->act_mul(ACTIVATION_SILU, x, y, ROWS, z);
        at[4] = clock_thread_cpu_ns();
        k->act_mul(ACTIVATION_GELU, x, y, ROWS, z);
        at[5] = clock_thread_cpu_ns();
        k->add(x, y, ROWS, z);
        at[6] = clock_thread_cpu_ns();
        k->scale(x, 2.0f, 30.0f, ROWS, z);
        at[7] = clock_thread_cpu_ns();
        for (int i = 0; i < 7; i++)
            times[i][repeat] = (double)(at[i + 1] - at[i]);
    }
    print_row(k, "quantize_row", times[0], ROWS * 5.0);
    print_row(k, "rms_norm", times[1], ROWS * 12.0);
    print_row(k, "rope", times[2], ROWS * 8.0);
    print_row(k, "act_mul silu", times[3], ROWS * 12.0);
    print_row(k, "act_mul gelu", times[4], ROWS * 12.0);
    print_row(k, "add", times[5], ROWS * 12.0);
    print_row(k, "scale softcap", times[6], ROWS * 8.0);
}

void bench(const struct kernels *k)
{
    static const struct subject subjects[] = {
        {"int8 affine 4-bit g64",
         {.format = WEIGHT_AFFINE, .type = SCALAR_BF16, .bits = 4, .group_size = 64},
         true},
        {"int8 affine 4-bit g32",
         {.format = WEIGHT_AFFINE, .type = SCALAR_BF16, .bits = 4, .group_size = 32},
         true},
        {"int8 mxfp4", {.format = WEIGHT_MXFP4, .bits = 4, .group_size = 32}, true},
        {"int8 nvfp4", {.format = WEIGHT_NVFP4, .bits = 4, .group_size = 16}, true},
        {"int8 affine 2-bit g64",
         {.format = WEIGHT_AFFINE, .type = SCALAR_BF16, .bits = 2, .group_size = 64},
         true},
        {"int8 affine 3-bit g64",
         {.format = WEIGHT_AFFINE, .type = SCALAR_BF16, .bits = 3, .group_size = 64},
         true},
        {"int8 affine 6-bit g64",
         {.format = WEIGHT_AFFINE, .type = SCALAR_BF16, .bits = 6, .group_size = 64},
         true},
        {"int8 affine 8-bit g64",
         {.format = WEIGHT_AFFINE, .type = SCALAR_BF16, .bits = 8, .group_size = 64},
         true},
        {"f32 affine 4-bit g64",
         {.format = WEIGHT_AFFINE, .type = SCALAR_BF16, .bits = 4, .group_size = 64},
         false},
        {"f32 mxfp8", {.format = WEIGHT_MXFP8, .bits = 8, .group_size = 32}, false},
        {"f32 dense bf16", {.format = WEIGHT_DENSE, .type = SCALAR_BF16, .bits = 16}, false},
        {"f32 dense f16", {.format = WEIGHT_DENSE, .type = SCALAR_F16, .bits = 16}, false},
        {"f32 dense f32", {.format = WEIGHT_DENSE, .type = SCALAR_F32, .bits = 32}, false},
    };
    bool slow = strcmp(k->isa, "reference") == 0;
    for (size_t i = 0; !slow && i < sizeof subjects / sizeof *subjects; i++)
        bench_linear(k, subjects[i]);
    if (slow)
        printf("%-10s matrices left out: minutes each\n", k->isa);
    for (uint32_t bits = 8; bits <= 32; bits *= 2) {
        bench_attend(k, 1, bits);
        bench_attend(k, 4, bits);
        bench_attend(k, KERNEL_MAX_ATTEND_ROWS, bits);
    }
    bench_rows(k);
}
