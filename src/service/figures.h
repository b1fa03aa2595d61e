/* Figures as JSON: what is not known is null with a sibling "NAME_reason". A failed allocation is remembered,
 * so that whoever writes many figures checks once. One owner.
 */
#ifndef LLMIND_SERVICE_FIGURES_H
#define LLMIND_SERVICE_FIGURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/sensors.h"

struct figures {
    bool failed; /* memory was short: something is missing */
};

/* NaN and infinity count as not known: JSON has no such numbers. */
void figures_number(struct figures *figures, json_t *object, const char *name, double value,
                    const char *reason);
void figures_sensor(struct figures *figures, json_t *object, const char *name,
                    const struct sensors_value *value);
void figures_count(struct figures *figures, json_t *object, const char *name, uint64_t value);
void figures_flag(struct figures *figures, json_t *object, const char *name, bool value);
/* NULL or "": null, with the reason. */
void figures_text(struct figures *figures, json_t *object, const char *name, const char *text,
                  const char *reason);
void figures_null(struct figures *figures, json_t *object, const char *name, const char *reason);
/* A new object or array inside another; borrowed. NULL when memory is short, which every function here
 * takes. */
json_t *figures_object(struct figures *figures, json_t *object, const char *name);
json_t *figures_array(struct figures *figures, json_t *object, const char *name);
json_t *figures_item(struct figures *figures, json_t *array); /* a new object at its end */
/* "2026-11-23T07:12:03Z" */
void figures_time(struct figures *figures, json_t *object, const char *name, double unix_s);

#endif
