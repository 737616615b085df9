// Threads that run one function together. They are started once, kept for the next call, and not joined at exit.
//
// Nothing in this header is inline: the files of the kernels, compiled for newer processors, call these functions and
// must not contain a copy of them.
#pragma once

struct ThreadPool;  // the calling thread is thread 0

// Returns an idle pool of this size, or a new one; or nullptr if the system has no more threads or memory, or if
// `threads` is below 2: the caller then does the work alone.
ThreadPool* borrow_pool(int threads);

// The same for work that is over before a sleeping thread would begin with it: nullptr, too, while another pool is in
// use, whose threads need the processors, and if a thread sleeps, unless it is to be woken, as other calls follow
// soon.
ThreadPool* borrow_quick_pool(int threads, bool wakes);

// Makes the pool available to the next caller of borrow_pool for this size.
void give_back(ThreadPool* pool);

// Calls work(what, thread) on every thread of the pool, and returns when all of them have finished. The caller then
// sees what they wrote. work must not throw. A pool does one run at a time.
void run(ThreadPool* pool, void (*work)(void* what, int thread), void* what);

// To be called by every thread inside run(): returns when all have called it. All then see what each wrote before.
void barrier(ThreadPool* pool);

int pool_size(const ThreadPool* pool);

// For threadpoolctl: the number of threads that the library may use, or 0 if there is no limit. It is only stored here;
// engine/threads.py uses it.
extern "C" {
__attribute__((visibility("default"))) int fullyconnected_get_num_threads(void);
__attribute__((visibility("default"))) void fullyconnected_set_num_threads(int threads);
}
