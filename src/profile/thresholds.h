/* Every threshold of a diagnosis, with where it comes from: one table, so that a reviewer finds in one place
 * what a verdict hangs on. Sources:
 *   D  the design, PROFILER.md's table of diagnoses
 *   K  what the kernel or the vendor documents
 *   M  measured with the fault bench or the unit tests' reports, on the 2-core machine this was written on
 *   J  a judgement: what a user would notice, or where a figure stops meaning anything
 * Shares are fractions. The rule for "different" has its own, in pairs.h.
 */
#ifndef LLMIND_PROFILE_THRESHOLDS_H
#define LLMIND_PROFILE_THRESHOLDS_H

/* ---- what bounds decoding ---- */
#define AT_THE_WALL 0.75       /* D: MBU from which decoding is at the wall of its bandwidth */
#define HEADROOM 0.50          /* D: MBU from which reading is most of a token's time */
#define DOMINATES 0.50         /* J: share of a step from which one cause is most of it */
#define FIGURE_REFUSED 1.05    /* D says 100 %; M: probes of a noisy host scatter by 5 % */
#define MFU_COMPUTE 0.50       /* J: MFU from which arithmetic is most of a prefill */
#define DEPTH_SLOWER 0.15      /* J: extra time per token at depth that a user notices */
#define DEPTH_MUCH_SLOWER 0.50 /* J: from here Medium */
#define ATTENTION_EXCESS 2.0   /* M: a good kernel takes up to twice the time of its bytes */
#define KV_SHARE 0.10          /* J: KV bytes against weight bytes from which a narrower cache can matter */

/* ---- threads and sequences ---- */
#define THREADS_LOSS_PCT 3.0  /* J: fewer threads "do as well" when they lose no more than this, surely */
#define THREADS_GAIN_PCT 2.0  /* pairs.h's margin: from here fewer are really better, Medium */
#define BATCH_SATURATED 0.30  /* D: speed-up = sequences ^ exponent; below, they only share what there is */
#define BATCH_MEMORY_LOW 0.40 /* D: "about 0.5": weights are shared, each sequence's KV cache is not */
#define BATCH_MEMORY_HIGH 0.60

/* ---- evenness ---- */
#define ITL_TAIL 3.0    /* D: p99 / p50 of the gaps: interference */
#define ITL_SEVERE 10.0 /* D: severe */
#define ITL_TAIL_MS 1.0 /* M: of a tiny model every tick of the system's timer is a multiple of a token */

/* ---- processor time ---- */
#define THROTTLED 0.01      /* D: nr_throttled / nr_periods */
#define THROTTLED_MUCH 0.10 /* J: one period in ten: High */
#define STEAL 0.05          /* D */
#define STEAL_MUCH 0.20     /* J: one cycle in five: High */
#define STEAL_FLAG 0.01     /* J: worth a line beside the figures */
#define OTHERS_CORES 0.25   /* M: a quiet machine's daemons and the monitor stay below a quarter of a core */
#define OTHERS_SHARE 0.05   /* M: the same for machines of many cores */
#define OTHERS_MUCH 0.25    /* J: a quarter of the machine: High */
#define CROWDED_CORES 0.10  /* M: rounding of busy shares */
#define LOAD_BUSY 0.50      /* J: load per core before the run */
#define NUMA_REMOTE 0.20    /* J; K: a remote node is 1.5 to 2 times as far (ACPI SLIT) */
#define NUMA_REMOTE_MUCH 0.40

/* ---- heat and power ---- */
#define CLOCK_FALL 0.10 /* J: last quarter of the run against the first */
#define CLOCK_FALL_MUCH 0.20
#define HOT_C 83.0 /* D; K: NVIDIA's slowdown begins there, Intel's and AMD's 10 to 15 degrees later */
#define POWER_AT_LIMIT 0.95   /* D: of the limit, ... */
#define POWER_LIMIT_TIME 0.30 /* D: ... for so much of the time */

/* ---- memory ---- */
#define SWAP_IN_BYTES_PER_S 1e6 /* J: a token that waits for a page of swap waits for milliseconds */
#define SWAP_GROWTH_BYTES 64e6  /* M: below, it is what the system tidies away by itself */
#define FAULTS_PER_S 5.0        /* M: a healthy run has none while it decodes */
#define FAULTS_MANY_PER_S 50.0  /* K: at 0.1 ms and more each, half a percent of every second and rising */
#define COLD_RESIDENT 0.90      /* J: of the weights, in memory when the run began ... */
#define COLD_BYTES 64e6         /* J: ... and so much missing: less is read before anybody notices */
#define MEMORY_TIGHT 0.90       /* J: of what the process may have */
#define MEMORY_FULL 0.97
#define GPU_WORKING_SET 0.90  /* D; K: Metal's recommendedMaxWorkingSetSize */
#define FOOTPRINT_EXCESS 0.50 /* J: above what weights, KV cache and scratch add up to ... */
#define FOOTPRINT_BYTES 400e6 /* M: ... and more than tokenizer and code of a small model */

/* ---- what is said to be good ---- */
#define EVEN_ENOUGH 1.5      /* J: p99 / p50 */
#define MEMORY_TO_SPARE 0.50 /* J: of what there is, used */
#define GPU_IDLE 0.70        /* J: below, people ask why it is not 100 % */
#define DEPTH_WORTH 1000     /* J: tokens from which "depth costs little" says something */

#endif
