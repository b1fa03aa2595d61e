#include <stdio.h>
#include <string.h>
#include <time.h>

#include "profile/cache_file.h"
#include "profile/calibration.h"

bool calibration_load(const char *isa, uint32_t n_threads, struct calibration *out, char *reason,
                      size_t capacity)
{
    char key[CALIBRATION_KEY];
    int64_t at_s;
    bool other = false;
    calibration_key(key, isa, n_threads);
    json_t *json = cache_file_recall("calibration", key, &at_s, &other);
    bool found = json && calibration_from_json(json, out) && strcmp(out->key, key) == 0;
    if (!found)
        snprintf(reason, capacity, "%s; run: llmind system --calibrate",
                 json ? "the stored calibration cannot be read"
                 : other
                     ? "the stored calibrations are of another machine, program version, instruction set or "
                       "number of threads"
                     : "this machine was not calibrated yet");
    json_decref(json);
    return found;
}

int calibration_save(const struct calibration *calibration, struct error *error)
{
    json_t *json = calibration_json(calibration);
    int status = cache_file_remember("calibration", calibration->key, (int64_t)time(NULL), json, error);
    json_decref(json);
    return status;
}
