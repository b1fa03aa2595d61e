/* Keys and values of all sequences: per cache of the plan two arrays [kv heads, positions, head dim], a KV
 * page being BACKEND_PAGE_TOKENS neighbouring positions. The arrays grow with the highest page in use (pages
 * are handed out lowest first). MLX updates them in place, since nobody else holds them between steps. Where
 * a sequence's pages are neighbours, as they are unless many came and went, attention reads them where they
 * lie; else they are gathered.
 */
#ifndef LLMIND_BACKEND_MLX_CACHE_H
#define LLMIND_BACKEND_MLX_CACHE_H

#include <vector>

#include <mlx/mlx.h>

extern "C" {
#include "backend/backend.h"
}

namespace llmind
{

namespace mx = mlx::core;

class Cache
{
  public:
    Cache(const struct plan &plan, mx::Dtype type, uint32_t n_pages);

    /* Makes room for all pages that the batch names. */
    void reserve(const struct backend_batch &batch);
    /* Stores keys and values [n, kv heads * head dim] of a sequence's positions from `position` on. */
    void store(uint32_t cache, const struct backend_sequence &sequence, uint32_t position,
               const mx::array &keys, const mx::array &values);
    /* Positions [from, to) of a sequence: [1, kv heads, to - from, head dim]. */
    mx::array keys(uint32_t cache, const struct backend_sequence &sequence, uint32_t from, uint32_t to) const;
    mx::array values(uint32_t cache, const struct backend_sequence &sequence, uint32_t from,
                     uint32_t to) const;

    /* The arrays, to be evaluated at the end of a step. */
    void collect(std::vector<mx::array> &out) const;
    size_t bytes() const;

  private:
    struct Layer {
        mx::array keys, values;
    };
    std::vector<Layer> layers_;
    uint32_t n_pages_, pages_; /* at most, and there is room for */
};

} // namespace llmind

#endif
