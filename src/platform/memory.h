/* Memory of this process and this machine, in bytes. What the system does not tell is 0 with known = false.
 */
#ifndef LLMIND_PLATFORM_MEMORY_H
#define LLMIND_PLATFORM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_process {
    bool known;
    uint64_t resident_bytes;      /* now: anonymous, file-backed and shared */
    uint64_t resident_peak_bytes; /* highest so far */
    uint64_t anonymous_bytes;     /* resident, not backed by a file; with shared anonymous memory */
    uint64_t file_bytes;          /* resident, mapped from files: weights, program */
    uint64_t swap_bytes;
    uint64_t major_faults, minor_faults;
};

struct memory_machine {
    bool known;
    uint64_t total_bytes, available_bytes;
    uint64_t limit_bytes; /* the cgroup's, 0 = none */
};

void memory_process_read(struct memory_process *out);
void memory_machine_read(struct memory_machine *out);

/* For tests: the memory limit of a cgroup tree recorded under root ("" for the real one); 0 = none. */
uint64_t memory_limit_bytes(const char *root);

/* Zeroed memory from whole pages, huge ones from 4 MiB up where the system grants them. NULL when short, or
 * for 0 bytes. Unmap with the same size; unmapping NULL is legal. */
void *memory_map(size_t bytes);
void memory_unmap(void *memory, size_t bytes);

/* Around work that makes a great many small allocations and frees most of them again (parsing a tokenizer of
 * 128,000 tokens): between the two calls the allocator grows in large steps instead of one page-sized system
 * call after another, afterwards it gives what is free back to the system. Only hints; the process may be
 * threaded. */
void memory_begin_loading(void);
void memory_end_loading(void);

#endif
