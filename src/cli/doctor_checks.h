/* What `llmind doctor` concludes from what it has read. Pure, so that every conclusion can be tested on
 * machines that are not at hand. */
#ifndef LLMIND_CLI_DOCTOR_CHECKS_H
#define LLMIND_CLI_DOCTOR_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/pressure.h"
#include "platform/sensors.h"
#include "platform/setup.h"

enum doctor_state { DOCTOR_OK, DOCTOR_UNKNOWN, DOCTOR_WARN, DOCTOR_PROBLEM }; /* in order of weight */

struct doctor_row {
    const char *id, *title;
    enum doctor_state state;
    char observed[256];
    char expected[160];
    char fix[384]; /* "": nothing to do */
};

enum { DOCTOR_MAX_ROWS = 24 };

struct doctor_place {
    char path[512]; /* "": there is none, and `problem` says why */
    bool writable;
    double free_bytes; /* NaN: unknown */
    char problem[256];
};

struct doctor_facts {
    const char *isa; /* the kernels' */
    bool x86;
    uint32_t threads; /* that would compute */
    uint32_t cores_allowed;
    struct setup setup;
    /* over a moment of rest, and over one in which all threads computed */
    struct sensors_value rest_busy, busy_steal;
    struct sensors_value mhz, temperature_c, power_w;
    char temperature_source[SENSORS_NAME];
    const char *mhz_source; /* NULL: unknown */
    struct pressure_rates load;
    struct pressure_levels levels;
    char gpus[128];   /* names; "": none */
    char no_gpu[192]; /* why */
    uint32_t port;
    int port_error; /* errno of opening it; 0: it is free */
    struct doctor_place data;
    const char *api_key; /* NULL: not set; only its length is looked at */
};

/* Returns how many rows were written. */
size_t doctor_check(const struct doctor_facts *facts, struct doctor_row rows[DOCTOR_MAX_ROWS]);

const char *doctor_state_name(enum doctor_state state); /* "ok", "unknown", "warn", "problem" */

#endif
