/* The one thread of this process that calls MLX. MLX's streams, each with a thread behind it, belong to the
 * thread that made them and outlive it; models are prepared by one thread, driven by another, loaded and
 * unloaded. So all calls of all models are handed to this thread, which is never ended.
 */
#ifndef LLMIND_BACKEND_MLX_THREAD_H
#define LLMIND_BACKEND_MLX_THREAD_H

#include <functional>

namespace llmind
{

/* Runs work there, and waits for its end. What it throws is thrown here. */
void run_in_thread(const std::function<void()> &work);

} // namespace llmind

#endif
