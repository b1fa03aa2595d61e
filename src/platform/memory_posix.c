#include "platform/memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/checked.h"

enum { HUGE_PAGE_BYTES = 2 << 20, HUGE_FROM_BYTES = 4 << 20 };

static size_t round_to_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t rounded;
    if (bytes == 0 || !checked_add(bytes, page - 1, &rounded))
        return 0;
    return rounded / page * page;
}

static void *map_anonymous(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

#ifdef MADV_HUGEPAGE
/* Reserves one huge page more than needed and gives back what lies before and behind the aligned part: only
 * aligned ranges can be backed by huge pages. */
static void *map_huge(size_t bytes)
{
    size_t reserved;
    if (!checked_add(bytes, HUGE_PAGE_BYTES, &reserved))
        return NULL;
    unsigned char *start = map_anonymous(reserved);
    if (!start)
        return NULL;
    size_t before = (HUGE_PAGE_BYTES - (uintptr_t)start % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
    if (before)
        munmap(start, before);
    munmap(start + before + bytes, HUGE_PAGE_BYTES - before);
    (void)madvise(start + before, bytes, MADV_HUGEPAGE); /* a wish; refused where they are switched off */
    return start + before;
}
#endif

void *memory_map(size_t bytes)
{
    size_t rounded = round_to_pages(bytes);
    if (rounded == 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (rounded >= HUGE_FROM_BYTES)
        return map_huge(rounded);
#endif
    return map_anonymous(rounded);
}

void memory_unmap(void *memory, size_t bytes)
{
    size_t rounded = round_to_pages(bytes);
    if (memory && rounded)
        munmap(memory, rounded);
}

#ifdef __GLIBC__
enum { LOADING_STEP_BYTES = 64 << 20, USUAL_STEP_BYTES = 128 << 10 };

void memory_begin_loading(void)
{
    mallopt(M_TOP_PAD, LOADING_STEP_BYTES);
}

void memory_end_loading(void)
{
    mallopt(M_TOP_PAD, USUAL_STEP_BYTES);
    malloc_trim(0);
}
#else
void memory_begin_loading(void)
{
}

void memory_end_loading(void)
{
}
#endif
