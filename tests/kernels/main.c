/* kernels_check [--bench] [ISA]: checks (or times) the kernels of every instruction set this machine has, or
 * of one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

static void check_all(const struct kernels *k)
{
    check_quantize_row(k);
    check_unpack_row(k);
    check_linear_int8(k);
    check_linear_f32(k);
    check_kv_store(k);
    check_attend(k);
    check_rows(k);
}

int main(int argc, char **argv)
{
    bool timings = argc > 1 && strcmp(argv[1], "--bench") == 0;
    const char *only = argc > 1 + timings ? argv[1 + timings] : NULL;
    const char *text = getenv("LLMIND_KERNEL_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);
    struct kernels k;
    if (only && !kernels_init(&k, only)) {
        fprintf(stderr, "kernels_check: this machine has no instruction set \"%s\"\n", only);
        return 2;
    }
    printf("seed %llu (LLMIND_KERNEL_SEED repeats it)\n", (unsigned long long)seed);
    for (const char *const *isa = kernels_available(); *isa; isa++) {
        if (only && strcmp(only, *isa) != 0)
            continue;
        if (!kernels_init(&k, *isa)) {
            fprintf(stderr, "kernels_check: %s is said to be available and is not\n", *isa);
            return 1;
        }
        random_seed(seed);
        if (timings)
            bench(&k);
        else
            check_all(&k);
    }
    return timings || check_summary() ? 0 : 1;
}
