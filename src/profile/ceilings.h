/* What this machine can do at most, measured, not looked up: the lines of the roofline.
 *
 * Read bandwidth from memory and from the last-level cache, the peak of int8 dot products and of f32 FMA with
 * the instructions the kernels use (backend/cpu/peak.h), each with the threads the engine would use and with
 * one. A few hundred milliseconds together; a result is kept (in <cache>/ceilings.json, by CPU model, cores,
 * quota, threads, ISA and program version) and measured again when asked or when older than a day, and not
 * kept when the machine was so busy that no further pass came within 10 % of the best.
 */
#ifndef LLMIND_PROFILE_CEILINGS_H
#define LLMIND_PROFILE_CEILINGS_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct ceilings_options {
    uint32_t n_threads;       /* 0: as the engine would */
    const char *isa;          /* NULL: the best */
    bool again;               /* measure although there is a fresh enough result */
    const atomic_int *cancel; /* may be NULL */
};

/* *out: the report's "ceilings" (new reference): {"measured": RFC 3339, "n_threads", "isa",
 *   "memory_read": C, "cache_read": C, "int8": C, "f32": C}, C = {"value" (the best of the samples) | null,
 * "one_thread" (the same by one thread) | null, "unit" ("GB/s", "Gop/s": one multiply-add is 2), "cv",
 * "samples": [...], "method": "one sentence", "reason"?}.
 * Errors: ERROR_INVALID (an ISA this machine has not), ERROR_LIMIT (no threads), ERROR_CANCELLED,
 * ERROR_MEMORY. To be called while nothing else is measured. */
/* By which of them arithmetic is judged: "int8" for weights that the kernels multiply as integers (the text
 * of weight_describe: affine bits, mxfp4, nvfp4), "f32" for all others (mxfp8, dense) and when precise. NULL:
 * not known, taken for quantized. */
const char *ceilings_arithmetic(const char *quantization, bool precise);
int ceilings_measure(const struct ceilings_options *options, json_t **out, struct error *error);

#endif
