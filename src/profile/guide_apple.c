/* The table, from Apple's technical specifications. The number of GPU cores tells the two versions of a Max
 * chip apart, which since M3 differ in bandwidth. */
#include "profile/guide_apple.h"

#include <stdio.h>
#include <string.h>

static const struct apple_chip chips[] = {
    {1, "", {7, 8}, {68, 68}, 16},         {1, "Pro", {14, 16}, {200, 200}, 32},
    {1, "Max", {24, 32}, {400, 400}, 64},  {1, "Ultra", {48, 64}, {800, 800}, 128},
    {2, "", {8, 10}, {100, 100}, 24},      {2, "Pro", {16, 19}, {200, 200}, 32},
    {2, "Max", {30, 38}, {400, 400}, 96},  {2, "Ultra", {60, 76}, {800, 800}, 192},
    {3, "", {8, 10}, {100, 100}, 24},      {3, "Pro", {14, 18}, {150, 150}, 36},
    {3, "Max", {30, 40}, {300, 400}, 128}, {3, "Ultra", {60, 80}, {819, 819}, 512},
    {4, "", {8, 10}, {120, 120}, 32},      {4, "Pro", {16, 20}, {273, 273}, 64},
    {4, "Max", {32, 40}, {410, 546}, 128}, {5, "", {8, 10}, {153, 153}, 32},
    {5, "Pro", {16, 20}, {307, 307}, 64},  {5, "Max", {32, 40}, {460, 614}, 128},
};

enum { N_CHIPS = sizeof chips / sizeof *chips };

size_t apple_chip_count(void)
{
    return N_CHIPS;
}

const struct apple_chip *apple_chip_at(size_t i)
{
    return i < N_CHIPS ? &chips[i] : NULL;
}

const struct apple_chip *apple_chip_find(const char *brand)
{
    static const char prefix[] = "Apple M";
    if (!brand || strncmp(brand, prefix, sizeof prefix - 1) != 0)
        return NULL;
    const char *p = brand + sizeof prefix - 1;
    uint32_t generation = 0;
    for (int digits = 0; *p >= '0' && *p <= '9' && digits < 3; digits++)
        generation = 10 * generation + (uint32_t)(*p++ - '0');
    if (*p && *p != ' ')
        return NULL;
    p += strspn(p, " ");
    size_t length = strcspn(p, " ");
    for (size_t i = 0; i < N_CHIPS; i++)
        if (chips[i].generation == generation && strlen(chips[i].variant) == length &&
            memcmp(chips[i].variant, p, length) == 0)
            return &chips[i];
    return NULL;
}

uint32_t apple_chip_gbps(const struct apple_chip *chip, uint32_t gpu_cores)
{
    return chip->rated_gbps[gpu_cores > chip->gpu_cores[0]];
}

void apple_chip_describe(const struct apple_chip *chip, uint32_t gpu_cores, char *out, size_t capacity)
{
    const char *blank = chip->variant[0] ? " " : "";
    if (gpu_cores)
        snprintf(out, capacity, "Apple M%u%s%s (%u GPU cores, %u GB/s rated)", chip->generation, blank,
                 chip->variant, gpu_cores, apple_chip_gbps(chip, gpu_cores));
    else if (chip->rated_gbps[0] != chip->rated_gbps[1])
        snprintf(out, capacity, "Apple M%u%s%s (%u or %u GB/s rated)", chip->generation, blank, chip->variant,
                 chip->rated_gbps[0], chip->rated_gbps[1]);
    else
        snprintf(out, capacity, "Apple M%u%s%s (%u GB/s rated)", chip->generation, blank, chip->variant,
                 chip->rated_gbps[0]);
}
