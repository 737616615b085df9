// Threads that run one function together: started once, kept for the next call, never waited for at exit.
//
// What is declared here is all that other files see. Nothing is inline: the kernels' files, compiled for newer
// processors, call these functions and must hold no copy of theirs.
#pragma once

struct ThreadPool;  // so many threads; the one that calls is thread 0

// A pool of that size that is idle, or a new one. nullptr where the system has no more threads (or memory) to give,
// or where fewer than 2 are asked for: the caller then does the work alone.
ThreadPool* borrow_pool(int threads);

// The next to ask for that many threads gets it.
void give_back(ThreadPool* pool);

// Calls work(what, thread) on every thread of the pool, and returns when all of them have finished; what they wrote
// is then visible. work must not throw. One run at a time.
void run(ThreadPool* pool, void (*work)(void* what, int thread), void* what);

// Called by each thread inside run(): returns when all have called it; what each wrote before is visible to all.
void barrier(ThreadPool* pool);

int pool_size(const ThreadPool* pool);

// For threadpoolctl: the number of threads that the library may use, 0 where nobody has set a limit. What it means is
// decided in engine/threads.py; here it is only kept.
extern "C" {
__attribute__((visibility("default"))) int fullyconnected_get_num_threads(void);
__attribute__((visibility("default"))) void fullyconnected_set_num_threads(int threads);
}
