/* Untried: no Mac has built or run this yet.
 *
 * IOReport, the library that powermetrics itself reads, shows the chip's energy counters ("Energy Model",
 * channel "CPU Energy") to everybody. Apple publishes no header for it, so it is loaded when it is there,
 * with the CoreFoundation calls it needs, and everything that is not as expected is a reason, not a crash:
 * the functions' forms are those that public tools for Apple's chips agree on.
 */
#include "platform/sensors_power_darwin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/sensors_internal.h"

enum { UTF8 = 0x08000100 }; /* kCFStringEncodingUTF8 */

typedef const void *cf; /* any CoreFoundation object */

struct calls {
    cf (*string)(cf allocator, const char *text, uint32_t encoding);
    unsigned char (*text)(cf string, char *out, long capacity, uint32_t encoding);
    cf (*value)(cf dictionary, cf key);
    long (*count)(cf array);
    cf (*item)(cf array, long index);
    void (*release)(cf object);
    cf (*channels)(cf group, cf subgroup, uint64_t a, uint64_t b, uint64_t c);
    cf (*subscribe)(void *a, cf channels, cf *subscribed, uint64_t b, cf c);
    cf (*sample)(cf subscription, cf subscribed, cf a);
    cf (*delta)(cf before, cf now, cf a);
    cf (*name)(cf channel);
    cf (*unit)(cf channel);
    int64_t (*number)(cf channel, int32_t a);
};

struct apple_energy {
    void *foundation, *report;
    struct calls calls;
    cf wanted, subscribed, subscription, channels_key;
    cf last; /* sample */
    uint64_t last_ns;
};

static bool load(void *library, const char *name, void *function_pointer)
{
    void *symbol = library ? dlsym(library, name) : NULL;
    memcpy(function_pointer, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool load_calls(struct apple_energy *energy)
{
    struct calls *calls = &energy->calls;
    void *foundation = energy->foundation =
        dlopen("/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation", RTLD_NOW | RTLD_LOCAL);
    void *report = energy->report = dlopen("/usr/lib/libIOReport.dylib", RTLD_NOW | RTLD_LOCAL);
    return load(foundation, "CFStringCreateWithCString", &calls->string) &&
           load(foundation, "CFStringGetCString", &calls->text) &&
           load(foundation, "CFDictionaryGetValue", &calls->value) &&
           load(foundation, "CFArrayGetCount", &calls->count) &&
           load(foundation, "CFArrayGetValueAtIndex", &calls->item) &&
           load(foundation, "CFRelease", &calls->release) &&
           load(report, "IOReportCopyChannelsInGroup", &calls->channels) &&
           load(report, "IOReportCreateSubscription", &calls->subscribe) &&
           load(report, "IOReportCreateSamples", &calls->sample) &&
           load(report, "IOReportCreateSamplesDelta", &calls->delta) &&
           load(report, "IOReportChannelGetChannelName", &calls->name) &&
           load(report, "IOReportChannelGetUnitLabel", &calls->unit) &&
           load(report, "IOReportSimpleGetIntegerValue", &calls->number);
}

struct apple_energy *apple_energy_open(char reason[SENSORS_REASON])
{
    struct apple_energy *energy = calloc(1, sizeof *energy);
    if (!energy || !load_calls(energy)) {
        snprintf(reason, SENSORS_REASON, "this macOS has no IOReport library that tells the chip's energy");
        apple_energy_close(energy);
        return NULL;
    }
    const struct calls *calls = &energy->calls;
    cf group = calls->string(NULL, "Energy Model", UTF8);
    energy->channels_key = calls->string(NULL, "IOReportChannels", UTF8);
    if (group) {
        energy->wanted = calls->channels(group, NULL, 0, 0, 0);
        calls->release(group);
    }
    if (energy->wanted && energy->channels_key)
        energy->subscription = calls->subscribe(NULL, energy->wanted, &energy->subscribed, 0, NULL);
    if (!energy->subscription || !energy->subscribed) {
        snprintf(reason, SENSORS_REASON, "this Mac shows no energy counters (Apple's own chips do)");
        apple_energy_close(energy);
        return NULL;
    }
    return energy;
}

void apple_energy_close(struct apple_energy *energy)
{
    if (!energy)
        return;
    const cf objects[] = {energy->last, energy->subscription, energy->subscribed, energy->wanted,
                          energy->channels_key};
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        if (objects[i])
            energy->calls.release(objects[i]);
    if (energy->report)
        dlclose(energy->report);
    if (energy->foundation)
        dlclose(energy->foundation);
    free(energy);
}

/* Joules of one channel; 0 for all but the processor's. */
static double channel_joules(const struct calls *calls, cf channel, bool *found)
{
    char name[64], unit[16];
    cf name_string = calls->name(channel), unit_string = calls->unit(channel);
    if (!name_string || !calls->text(name_string, name, sizeof name, UTF8) ||
        strcmp(name, "CPU Energy") != 0 || !unit_string || !calls->text(unit_string, unit, sizeof unit, UTF8))
        return 0;
    double scale = strncmp(unit, "mJ", 2) == 0   ? 1e-3
                   : strncmp(unit, "uJ", 2) == 0 ? 1e-6
                   : strncmp(unit, "nJ", 2) == 0 ? 1e-9
                                                 : 0;
    int64_t number = calls->number(channel, 0);
    if (scale == 0 || number < 0)
        return 0;
    *found = true;
    return (double)number * scale;
}

void apple_energy_read(struct apple_energy *energy, uint64_t now_ns, struct sensors_value *out)
{
    const struct calls *calls = &energy->calls;
    cf now = calls->sample(energy->subscription, energy->subscribed, NULL);
    cf delta = now && energy->last ? calls->delta(energy->last, now, NULL) : NULL;
    cf channels = delta ? calls->value(delta, energy->channels_key) : NULL;
    double joules = 0, seconds = now_ns > energy->last_ns ? (double)(now_ns - energy->last_ns) / 1e9 : 0;
    bool found = false, first = !energy->last;
    for (long i = 0, n = channels ? calls->count(channels) : 0; i < n; i++)
        joules += channel_joules(calls, calls->item(channels, i), &found);
    if (found && seconds > 0)
        sensors_know(out, joules / seconds);
    else
        sensors_unknown(out, "%s",
                        first ? "power is the difference of two readings, and this is the first"
                              : "the chip's energy counters have no channel for the processor");
    if (delta)
        calls->release(delta);
    if (energy->last)
        calls->release(energy->last);
    energy->last = now;
    energy->last_ns = now_ns;
}
