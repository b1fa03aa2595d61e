#include "backend/mlx/cache.h"

#include <algorithm>

namespace llmind
{

namespace
{

constexpr uint32_t PAGE = BACKEND_PAGE_TOKENS;
constexpr uint32_t FIRST_PAGES = 4; /* 256 positions, as mlx-lm begins with */

/* How many positions from `position` on, at most n, lie side by side. */
uint32_t neighbours(const struct backend_sequence &sequence, uint32_t position, uint32_t n)
{
    uint32_t page = position / PAGE, last = (position + n - 1) / PAGE;
    while (page < last && sequence.pages[page + 1] == sequence.pages[page] + 1)
        page++;
    return std::min(n, (page + 1) * PAGE - position);
}

int place(const struct backend_sequence &sequence, uint32_t position)
{
    return static_cast<int>(sequence.pages[position / PAGE] * PAGE + position % PAGE);
}

mx::array update(const mx::array &cache, const mx::array &rows, int at)
{
    int n = rows.shape(0), heads = cache.shape(0), dim = cache.shape(2);
    mx::array split = mx::transpose(mx::reshape(rows, {n, heads, dim}), {1, 0, 2});
    return mx::slice_update(cache, mx::astype(split, cache.dtype()), mx::Shape{0, at, 0},
                            mx::Shape{heads, at + n, dim});
}

mx::array read(const mx::array &cache, const struct backend_sequence &sequence, uint32_t from, uint32_t to)
{
    if (neighbours(sequence, from, to - from) == to - from) {
        int at = place(sequence, from);
        return mx::expand_dims(
            mx::slice(cache, {0, at, 0}, {cache.shape(0), at + static_cast<int>(to - from), cache.shape(2)}),
            0);
    }
    std::vector<int32_t> places;
    for (uint32_t position = from; position < to; position++)
        places.push_back(place(sequence, position));
    return mx::expand_dims(
        mx::take(cache, mx::array(places.data(), {static_cast<int>(places.size())}, mx::int32), 1), 0);
}

mx::array grown(const mx::array &cache, uint32_t pages)
{
    mx::Shape more = cache.shape();
    more[1] = static_cast<int>(pages * PAGE) - more[1];
    return mx::concatenate({cache, mx::zeros(more, cache.dtype())}, 1);
}

} // namespace

Cache::Cache(const struct plan &plan, mx::Dtype type, uint32_t n_pages)
    : n_pages_(n_pages), pages_(std::min(FIRST_PAGES, n_pages))
{
    for (uint32_t i = 0; i < plan.n_caches; i++) {
        const struct plan_cache &cache = plan.caches[i];
        auto heads = static_cast<int>(cache.n_kv_heads), rows = static_cast<int>(pages_ * PAGE);
        layers_.push_back({mx::zeros({heads, rows, static_cast<int>(cache.k_dim)}, type),
                           mx::zeros({heads, rows, static_cast<int>(cache.v_dim)}, type)});
    }
}

void Cache::reserve(const struct backend_batch &batch)
{
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < batch.n_tokens; i++) {
        const struct backend_sequence &sequence = batch.sequences[batch.sequence[i]];
        wanted = std::max(wanted, sequence.pages[batch.positions[i] / PAGE] + 1);
    }
    if (wanted <= pages_)
        return;
    pages_ = std::min(n_pages_, std::max(wanted, 2 * pages_));
    for (Layer &layer : layers_)
        layer = {grown(layer.keys, pages_), grown(layer.values, pages_)};
}

void Cache::store(uint32_t cache, const struct backend_sequence &sequence, uint32_t position,
                  const mx::array &keys, const mx::array &values)
{
    Layer &layer = layers_[cache];
    auto rows = static_cast<uint32_t>(keys.shape(0));
    for (uint32_t done = 0; done < rows;) {
        uint32_t n = neighbours(sequence, position + done, rows - done);
        int first = static_cast<int>(done), last = static_cast<int>(done + n),
            at = place(sequence, position + done);
        layer.keys = update(layer.keys, mx::slice(keys, {first, 0}, {last, keys.shape(1)}), at);
        layer.values = update(layer.values, mx::slice(values, {first, 0}, {last, values.shape(1)}), at);
        done += n;
    }
}

mx::array Cache::keys(uint32_t cache, const struct backend_sequence &sequence, uint32_t from,
                      uint32_t to) const
{
    return read(layers_[cache].keys, sequence, from, to);
}

mx::array Cache::values(uint32_t cache, const struct backend_sequence &sequence, uint32_t from,
                        uint32_t to) const
{
    return read(layers_[cache].values, sequence, from, to);
}

void Cache::collect(std::vector<mx::array> &out) const
{
    for (const Layer &layer : layers_) {
        out.push_back(layer.keys);
        out.push_back(layer.values);
    }
}

size_t Cache::bytes() const
{
    size_t bytes = 0;
    for (const Layer &layer : layers_)
        bytes += layer.keys.nbytes() + layer.values.nbytes();
    return bytes;
}

} // namespace llmind
