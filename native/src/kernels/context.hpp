// What one thread of a run knows of the others.
#pragma once

#include "columns.hpp"

void barrier(ThreadPool* pool);

namespace {

// One thread of a run. Work is done in phases, each shared by all threads or done by thread 0 alone. Only the shape
// decides which, so that the same shape and number of threads give the same bits.
template <class T>
struct ThreadContext {
    int thread, threads;
    ThreadPool* pool;
    Stop* stop;
    Scratch<T> scratch;
    bool apart = false;  // whether the phase before was shared
    bool met = true;     // whether no phase has begun since the last barrier
    bool quiet = false;  // whether it does the work of one thread as another one than the first, which does not poll
    const Sharing* sharing = nullptr;  // other processes, which have the rest of the batch: so many rows in all,
    ptrdiff_t whole = 0, from = 0;     // of which those of this process begin with this one

    FC_INLINE bool polls() const { return stop && thread == 0 && !quiet; }

    // Begins a phase, and returns whether this thread takes part in it.
    FC_INLINE bool begins(bool shared) {
        shared = shared && threads > 1;
        if (!met && (shared || apart)) barrier(pool);
        met = false;
        apart = shared;
        return shared || thread == 0;
    }
    // Waits for all threads; each then sees what the others wrote.
    FC_INLINE void meet() {
        if (threads > 1) barrier(pool);
        met = true;
        apart = false;
    }
    // Sums over all processes; each thread then sees the sums.
    void exchange(int which) {
        meet();
        if (thread == 0) sharing->sum(sharing->self, which);
        meet();
    }
    FC_INLINE Range part(ptrdiff_t n, ptrdiff_t grain) const {
        return apart ? partition(n, grain, thread, threads) : Range{0, n};
    }
};

}  // namespace
