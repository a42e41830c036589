// A small thread pool that runs fewbit's tasks.
//
// fewbit starts no threads. A run cuts its work into independent tasks and hands them to the caller's
// fewbit_parallel_for; with NULL it does them itself. An engine that has threads already writes an adapter such as
// ThreadPool::run below over its own; the rest of this file is what stands in for such an engine here.
#ifndef FEWBIT_EXAMPLE_POOL_HPP
#define FEWBIT_EXAMPLE_POOL_HPP

#include <fewbit.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

/// `workers` threads, the one that starts a run among them, so one less is created. They sleep between runs. (A pool
/// that serves many short runs would spin for some microseconds before it sleeps: waking a thread takes about that long.)
class ThreadPool {
public:
    explicit ThreadPool(std::size_t workers) : adapter_{this, workers > 0 ? workers : 1, run, 0} {
        try {
            for (std::size_t worker = 1; worker < adapter_.max_workers; worker++) {
                threads_.emplace_back([this, worker] { serve(worker); });
            }
        } catch (...) { // no more threads: end those that run already
            stop();
            throw;
        }
    }
    ~ThreadPool() { stop(); }
    ThreadPool(const ThreadPool &) = delete;
    ThreadPool &operator=(const ThreadPool &) = delete;

    /// What run calls of fewbit take. Size their workspace with max_workers.
    const fewbit_parallel_for *parallel_for() const noexcept { return &adapter_; }

private:
    /// The adapter: calls task(arg, index, worker) once for each index < n, and returns when all are done. Two
    /// rules make it right: no two tasks run at once under one worker number (each thread has a number of its own), and
    /// all numbers are less than max_workers. noexcept, because an exception must not pass through fewbit: one that
    /// would (a mutex that fails) ends the program instead.
    static void run(void *ctx, std::size_t n, fewbit_task task, void *arg) noexcept {
        ThreadPool &pool = *static_cast<ThreadPool *>(ctx);
        if (n <= 1) { // not worth waking anybody
            if (n == 1) {
                task(arg, 0, 0);
            }
            return;
        }
        // One run at a time; another thread's waits. (Tasks never start runs, so nothing waits for itself.)
        std::lock_guard<std::mutex> turn(pool.turn_);
        {
            std::lock_guard<std::mutex> lock(pool.mutex_);
            pool.n_ = n, pool.task_ = task, pool.arg_ = arg;
            pool.next_.store(0, std::memory_order_relaxed);
            pool.working_ = pool.threads_.size();
            pool.round_++;
        }
        pool.wake_.notify_all();
        pool.draw(0);
        std::unique_lock<std::mutex> lock(pool.mutex_);
        pool.done_.wait(lock, [&pool] { return pool.working_ == 0; });
    }

    /// Takes the next task until there is none: who is faster does more of them.
    void draw(std::size_t worker) {
        for (std::size_t index; (index = next_.fetch_add(1, std::memory_order_relaxed)) < n_;) {
            task_(arg_, index, worker);
        }
    }

    /// A thread's life: sleep until there is a new round, work, report.
    void serve(std::size_t worker) {
        std::unique_lock<std::mutex> lock(mutex_);
        for (std::size_t seen = 0;;) {
            wake_.wait(lock, [this, seen] { return stopping_ || round_ != seen; });
            if (stopping_) {
                return;
            }
            seen = round_;
            lock.unlock();
            draw(worker);
            lock.lock(); // what tasks wrote is seen by whoever takes the mutex next
            if (--working_ == 0) {
                done_.notify_one();
            }
        }
    }

    void stop() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        for (std::thread &thread : threads_) {
            thread.join();
        }
    }

    const fewbit_parallel_for adapter_;
    std::mutex turn_;  // held for a whole run
    std::mutex mutex_; // guards all below but next_
    std::condition_variable wake_, done_;
    std::size_t n_ = 0, working_ = 0, round_ = 0; // tasks; threads not done with this round; rounds begun
    fewbit_task task_ = nullptr;
    void *arg_ = nullptr;
    bool stopping_ = false;
    std::atomic<std::size_t> next_{0};  // the next task
    std::vector<std::thread> threads_; // last: they use what is above
};

#endif
