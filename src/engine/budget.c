/* Weights are a file mapping: the kernel counts pages of it that are already cached as available, so weights
 * plus the rest against "available" is the right sum whether the file was read before or not. */
#include "engine/budget.h"

#include "base/checked.h"
#include "engine/kvcache.h"
#include "platform/memory.h"

uint64_t budget_available_bytes(void)
{
    struct memory_machine machine;
    struct memory_process process;
    memory_machine_read(&machine);
    memory_process_read(&process);
    uint64_t available = machine.known ? machine.available_bytes : UINT64_MAX;
    if (machine.known && machine.limit_bytes) {
        uint64_t used = process.known ? process.anonymous_bytes : 0;
        uint64_t left = machine.limit_bytes > used ? machine.limit_bytes - used : 0;
        if (left < available)
            available = left;
    }
    return available;
}

uint64_t budget_with(uint64_t available_bytes, uint64_t reclaimable_bytes)
{
    uint64_t sum;
    return __builtin_add_overflow(available_bytes, reclaimable_bytes, &sum) ? UINT64_MAX : sum;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

int budget_pages(const struct budget_input *input, uint32_t *n_pages, struct error *error)
{
    uint64_t one = kvcache_pages_for(input->context), all = one * input->max_sequences;
    uint64_t cap = BUDGET_KV_BYTES, least_kv, needed;
    if (input->available_bytes / 4 < cap)
        cap = input->available_bytes / 4;
    uint64_t pages = input->page_bytes ? cap / input->page_bytes : all;
    if (pages > all)
        pages = all;

    if (!checked_mul_u64(one, input->page_bytes, &least_kv) ||
        __builtin_add_overflow(least_kv, input->weight_file_bytes, &needed) ||
        __builtin_add_overflow(needed, input->scratch_bytes, &needed) || needed > input->available_bytes)
        return error_set(
            error, ERROR_LIMIT,
            "the model does not fit in memory: weights %.0f MiB + KV cache of one context (%u tokens) "
            "%.0f MiB + scratch %.0f MiB, and %.0f MiB are available; use a smaller model or a smaller "
            "context",
            mib(input->weight_file_bytes), input->context, mib(least_kv), mib(input->scratch_bytes),
            mib(input->available_bytes));
    uint64_t left = input->page_bytes ? (input->available_bytes - needed) / input->page_bytes : all;
    if (pages > one + left)
        pages = one + left;
    if (pages < one)
        pages = one;
    if (pages > UINT32_MAX)
        return error_set(error, ERROR_LIMIT,
                         "a context of %u tokens for %u sequences needs too many KV pages", input->context,
                         input->max_sequences);
    *n_pages = (uint32_t)pages;
    return 0;
}
