/* A plan's slots as values: what was last written to which columns.
 *
 * The plan writes and reads columns of matrices, MLX's arrays never change. So a slot is a list of pieces,
 * each an array [rows, width]; writing replaces what it covers, reading gives a piece, a part of one, or
 * several side by side.
 */
#ifndef LLMIND_BACKEND_MLX_SLOTS_H
#define LLMIND_BACKEND_MLX_SLOTS_H

#include <vector>

#include <mlx/mlx.h>

extern "C" {
#include "plan/plan.h"
}

namespace llmind
{

namespace mx = mlx::core;

class Slots
{
  public:
    explicit Slots(uint32_t n_slots) : slots_(n_slots)
    {
    }

    void write(struct plan_view view, mx::array value);
    /* Throws when some column was never written. */
    mx::array read(struct plan_view view) const;

  private:
    struct Piece {
        uint32_t first, width;
        mx::array value;
    };
    std::vector<std::vector<Piece>> slots_; /* each ascending, without overlap */
};

} // namespace llmind

#endif
