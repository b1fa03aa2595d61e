#include "backend/mlx/thread.h"

#include <condition_variable>
#include <csignal>
#include <exception>
#include <mutex>
#include <thread>

namespace llmind
{

namespace
{

struct Job {
    const std::function<void()> &work;
    std::exception_ptr failure = nullptr;
    bool done = false;
};

class Thread
{
  public:
    Thread();
    void run(Job &job);

  private:
    void serve();

    std::mutex lock_;
    std::condition_variable wake_, done_;
    Job *job_ = nullptr;
};

/* Signals are for the threads of the program: a new thread has the mask of the one that makes it. */
Thread::Thread()
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    try {
        std::thread(&Thread::serve, this).detach();
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &old, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

void Thread::run(Job &job)
{
    std::unique_lock<std::mutex> guard(lock_);
    done_.wait(guard, [&] { return !job_; }); /* another model's */
    job_ = &job;
    wake_.notify_one();
    done_.wait(guard, [&] { return job.done; });
}

void Thread::serve()
{
    std::unique_lock<std::mutex> guard(lock_);
    while (true) {
        while (!job_)
            wake_.wait(guard);
        try {
            job_->work();
        } catch (...) {
            job_->failure = std::current_exception();
        }
        job_->done = true;
        job_ = nullptr;
        done_.notify_all();
    }
}

} // namespace

void run_in_thread(const std::function<void()> &work)
{
    static Thread *thread = new Thread; /* for as long as the process lives */
    Job job{work};
    thread->run(job);
    if (job.failure)
        std::rethrow_exception(job.failure);
}

} // namespace llmind
