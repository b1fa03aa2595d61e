/* The guide is written once, in docs/guide.json; what depends on this machine (what it is, which models fit
 * and how fast they would be) is computed when somebody asks. A topic is searched for in everything that is
 * read: names of categories, titles, texts. */
#include "profile/guide.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/version.h"
#include "platform/cpu.h"
#include "platform/memory.h"
#include "profile/guide_apple.h"
#include "profile/guide_text.h"
#include "profile/json_get.h"
#include "profile/json_put.h"

enum { MAX_TOPIC = 200 };

/* ---- searching ---- */

/* Whether text holds word, whatever its case; ASCII letters only. */
static bool holds(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)word[i]))
            i++;
        if (i == length)
            return true;
    }
    return length == 0;
}

/* Any string inside a value; the guide is ours, so the recursion is two levels deep. */
static bool mentions(const json_t *value, const char *word)
{
    if (json_is_string(value))
        return holds(json_string_value(value), word);
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)value, i, item)
        if (mentions(item, word))
            return true;
    const char *key;
    json_object_foreach((json_t *)value, key, item)
        if (mentions(item, word))
            return true;
    return false;
}

static void keep_matching_items(json_t *array, const char *word)
{
    for (size_t i = json_array_size(array); i-- > 0;)
        if (!mentions(json_array_get(array, i), word))
            json_array_remove(array, i);
}

/* Of an object of categories: those whose name matches stay whole, the others keep what mentions the word. */
static void keep_matching_categories(json_t *categories, const char *word)
{
    const char *name;
    json_t *items;
    void *next;
    json_object_foreach_safe(categories, next, name, items)
    {
        if (holds(name, word))
            continue;
        keep_matching_items(items, word);
        if (json_array_size(items) == 0)
            json_object_del(categories, name);
    }
}

static const char *const parts[] = {"optimization_techniques", "llmind_flags", "mlx_flags"};
enum { N_PARTS = sizeof parts / sizeof *parts };

static int not_found(const json_t *guide, const char *topic, struct error *error)
{
    char list[400] = "";
    size_t used = 0;
    for (size_t i = 0; i < N_PARTS; i++) {
        const char *name;
        json_t *items;
        json_object_foreach((json_t *)json_get_object(guide, parts[i]), name, items)
            if (used < sizeof list && !holds(list, name)) {
                int n = snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", name);
                used += n > 0 ? (size_t)n : 0;
            }
    }
    return error_set(error, ERROR_NOT_FOUND,
                     "the guide says nothing about '%.60s'. Topics: %s, or any word of a text, such as 'kv', "
                     "'quantization', 'M3 Max'",
                     topic, list);
}

static int narrow(json_t *guide, const char *topic, struct error *error)
{
    json_t *whole = json_deep_copy(guide); /* for the list of topics */
    size_t left = 0;
    for (size_t i = 0; i < N_PARTS; i++) {
        json_t *categories = json_object_get(guide, parts[i]);
        keep_matching_categories(categories, topic);
        left += json_object_size(categories);
    }
    json_t *hardware = json_object_get(guide, "hardware_config");
    keep_matching_items(hardware, topic);
    left += json_array_size(hardware);
    int status = left ? 0 : not_found(whole, topic, error);
    json_decref(whole);
    return status;
}

/* ---- this machine ---- */

static uint64_t usable_memory(void)
{
    struct memory_machine memory;
    memory_machine_read(&memory);
    if (!memory.known)
        return 0;
    return memory.limit_bytes && memory.limit_bytes < memory.total_bytes ? memory.limit_bytes
                                                                         : memory.total_bytes;
}

int guide_hardware_profile(char *out, size_t capacity)
{
    const struct cpu_info *cpu = cpu_info();
    const struct apple_chip *chip = apple_chip_find(cpu->name);
    if (chip) {
        apple_chip_describe(chip, 0, out, capacity);
        return 0;
    }
    const char *isa = cpu->features.avx512         ? ", AVX-512 VNNI"
                      : cpu->features.avx_vnni     ? ", AVX-VNNI"
                      : cpu->features.avx2         ? ", AVX2"
                      : cpu->features.neon_dotprod ? ", NEON dot products"
                                                   : "";
    uint32_t usable = cpu_usable_threads();
    if (usable < cpu->cores_online)
        snprintf(out, capacity, "%s, %u of %u cores%s", cpu->name, usable, cpu->cores_online, isa);
    else
        snprintf(out, capacity, "%s, %u core%s%s", cpu->name, usable, usable == 1 ? "" : "s", isa);
    return 0;
}

static json_t *system_info(const json_t *ceilings)
{
    const struct cpu_info *cpu = cpu_info();
    struct utsname name;
    char os[256] = "", profile[256];
    if (uname(&name) == 0)
        snprintf(os, sizeof os, "%s %s %s", name.sysname, name.release, name.machine);
    guide_hardware_profile(profile, sizeof profile);
    uint64_t memory = usable_memory();
    json_t *o = json_object();
    json_put_string(o, "hardware_profile", profile, "not known");
    json_put_string(o, "cpu", cpu->name, "not known");
    json_put_integer(o, "cores_online", cpu->cores_online);
    json_put_integer(o, "usable_threads", cpu_usable_threads());
    json_put_number(o, "memory_gb", memory ? (double)memory / 1e9 : NAN, "this system does not tell");
    if (memory)
        json_put_integer(o, "memory_bytes", memory);
    else
        json_put_null(o, "memory_bytes", "this system does not tell");
    json_put_number(o, "read_gbps", json_get_positive(ceilings, "memory_read.value"),
                    "not measured yet: a profiling run does it");
    json_put_string(o, "os", os[0] ? os : NULL, "this system does not tell");
    json_put_string(o, "version", version_number(), "");
    return o;
}

/* Which entry of hardware_config this machine is; NULL: none of them for certain. */
static const char *own_class(void)
{
    const struct cpu_info *cpu = cpu_info();
    if (cpu->features.avx512)
        return "x86-avx512";
    if (cpu->features.avx2)
        return "x86-avx2";
    return NULL;
}

static void mark_own_class(json_t *guide)
{
    const struct apple_chip *chip = apple_chip_find(cpu_info()->name);
    const char *id = own_class();
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(guide, "hardware_config"), i, entry) {
        bool apple = json_get_is(entry, "class", "apple") &&
                     apple_chip_find(json_get_text(entry, "name", "")) == chip && chip;
        json_put_bool(entry, "this_machine", apple || (id && json_get_is(entry, "id", id)));
    }
}

int guide_read(const char *topic, const json_t *ceilings, json_t **out, struct error *error)
{
    *out = NULL;
    json_error_t problem;
    json_t *guide = json_loadb(guide_text, guide_text_length, 0, &problem);
    if (!guide)
        return problem.text[0] && json_error_code(&problem) != json_error_out_of_memory
                   ? error_set(error, ERROR_INTERNAL, "the guide in this program is damaged: %s",
                               problem.text)
                   : error_memory(error, "the guide", guide_text_length);
    int status = 0;
    if (topic && strlen(topic) > MAX_TOPIC)
        status = error_set(error, ERROR_INVALID, "topic must be at most %d bytes long", MAX_TOPIC);
    mark_own_class(guide);
    if (!status && topic && topic[0])
        status = narrow(guide, topic, error);
    if (status) {
        json_decref(guide);
        return status;
    }
    json_t *models = estimate_models(ceilings, true, usable_memory()), *system = system_info(ceilings);
    char profile[256];
    guide_hardware_profile(profile, sizeof profile);
    json_put_string(guide, "hardware_profile", profile, "not known");
    if (isnan(json_get_positive(ceilings, "memory_read.value")))
        json_put_string(guide, "model_recommendations_reason",
                        "no speeds: the read bandwidth of this machine was not measured yet; a profiling run "
                        "does it",
                        "");
    if (!models || json_object_set_new(guide, "model_recommendations", models) ||
        json_object_set_new(guide, "system_info", system)) {
        json_decref(guide);
        return error_memory(error, "the guide", guide_text_length);
    }
    *out = guide;
    return 0;
}
