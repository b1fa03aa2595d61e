/* What this process may use of the CPU: instruction sets, cores, quota, caches. */
#ifndef LLMIND_PLATFORM_CPU_H
#define LLMIND_PLATFORM_CPU_H

#include <stdbool.h>
#include <stdint.h>

struct cpu_features {
    bool avx2; /* AVX2, FMA and F16C */
    bool avx_vnni;
    bool avx512;      /* avx2 and F, BW, DQ, VL, VNNI, and the operating system saves the registers */
    bool avx512_vbmi; /* avx512 and VBMI: Ice Lake and Zen 4 on, not Cascade Lake */
    bool avx512_bf16; /* avx512 and BF16 */
    bool neon_dotprod;
};

struct cpu_info {
    char name[128];                  /* "AMD EPYC 9354", or "unknown" */
    uint32_t cores_online;           /* logical CPUs of the machine */
    uint32_t cores_allowed;          /* of the affinity mask */
    double quota_cores;              /* cgroup CPU quota in cores (v2 cpu.max, v1 cfs quota), 0 = none */
    uint64_t last_level_cache_bytes; /* all last-level caches the allowed cores sit behind; 0 = unknown */
    struct cpu_features features;
};

/* Reads everything once; the same answer for the life of the process. */
const struct cpu_info *cpu_info(void);

/* Threads a compute pool should have: allowed cores, cut down to the quota (rounded up), at least 1. */
uint32_t cpu_usable_threads(void);

/* The rule of cpu_usable_threads, for figures of one's own. quota_cores: 0 = none. */
uint32_t cpu_threads_for(uint32_t cores_allowed, double quota_cores);

/* For tests: the quota of a cgroup tree recorded under root ("" for the real one), as cpu_info reads it. */
double cpu_quota_cores(const char *root);

#endif
