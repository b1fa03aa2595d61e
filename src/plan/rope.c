/* The angles by which a plan's ROPE turns. */
#include <math.h>

#include "plan/plan.h"

/* Beyond dynamic_from the base grows with the position, as Hugging Face's "dynamic" NTK scaling has it for a
 * sequence that ends there. */
static float dynamic_inv_freq(const struct plan_rope *rope, uint32_t position, uint32_t pair)
{
    float dims = (float)rope->dims;
    float stretch = rope->factor * (float)(position + 1) / (float)rope->dynamic_from - (rope->factor - 1.0f);
    float base = rope->base * powf(stretch, dims / (dims - 2.0f));
    return powf(base, -2.0f * (float)pair / dims);
}

void plan_rope_angles(const struct plan_rope *rope, uint32_t position, float *cos_sin)
{
    uint32_t pairs = rope->dims / 2;
    bool dynamic = rope->dynamic_from && position >= rope->dynamic_from;
    float scale = rope->scale;
    if (rope->grow_from) {
        uint32_t times = position / rope->grow_from; /* whole ones */
        scale *= 1.0f + rope->grow_beta * logf(1.0f + (float)times);
    }
    for (uint32_t i = 0; i < pairs; i++) {
        float inv_freq = dynamic ? dynamic_inv_freq(rope, position, i) : rope->inv_freq[i];
        float angle = (float)position * inv_freq;
        cos_sin[i] = cosf(angle) * scale;
        cos_sin[pairs + i] = sinf(angle) * scale;
    }
}
