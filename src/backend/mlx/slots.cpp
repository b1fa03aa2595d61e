#include "backend/mlx/slots.h"

#include <algorithm>
#include <stdexcept>

namespace llmind
{

namespace
{

/* Columns [first, last) of [rows, width]. */
mx::array columns(const mx::array &value, uint32_t first, uint32_t last)
{
    if (first == 0 && static_cast<int>(last) == value.shape(1))
        return value;
    return mx::slice(value, {0, static_cast<int>(first)}, {value.shape(0), static_cast<int>(last)});
}

} // namespace

void Slots::write(struct plan_view view, mx::array value)
{
    std::vector<Piece> kept;
    uint32_t end = view.first + view.width;
    for (const Piece &piece : slots_[view.slot]) {
        uint32_t last = piece.first + piece.width;
        if (last <= view.first || piece.first >= end) {
            kept.push_back(piece);
            continue;
        }
        if (piece.first < view.first)
            kept.push_back(
                {piece.first, view.first - piece.first, columns(piece.value, 0, view.first - piece.first)});
        if (last > end)
            kept.push_back({end, last - end, columns(piece.value, end - piece.first, piece.width)});
    }
    kept.push_back({view.first, view.width, std::move(value)});
    std::sort(kept.begin(), kept.end(), [](const Piece &a, const Piece &b) { return a.first < b.first; });
    slots_[view.slot] = std::move(kept);
}

mx::array Slots::read(struct plan_view view) const
{
    std::vector<mx::array> parts;
    uint32_t at = view.first, end = view.first + view.width;
    for (const Piece &piece : slots_[view.slot]) {
        uint32_t last = piece.first + piece.width;
        if (last <= at || piece.first >= end)
            continue;
        if (piece.first > at)
            break;
        parts.push_back(columns(piece.value, at - piece.first, std::min(end, last) - piece.first));
        at = std::min(end, last);
    }
    if (at != end)
        throw std::logic_error("the plan reads what nobody wrote");
    return parts.size() == 1 ? parts[0] : mx::concatenate(parts, 1);
}

} // namespace llmind
