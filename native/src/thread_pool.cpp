// Threads that run one function together.
//
// Threads wait in two places: a worker between two calls of run(), and every thread in barrier(). Both first spin, so
// that a barrier takes a fraction of a microsecond, and then sleep, so that idle threads take no processor time.
//
// Fork: the child process has none of the threads, so its list of idle pools is emptied; the lock of the list is held
// during the fork, so that no other thread can hold it then. Exit: workers are detached and not stopped, and the memory
// of a pool with running workers is never freed.
#include "thread_pool.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <new>

#if defined(__linux__)
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

constexpr int most_threads = 1024;
constexpr int most_idle = 4;              // pools kept for the next call; each number of threads has its own
constexpr size_t apart = 128;             // bytes; processors fetch cache lines in pairs
constexpr size_t stack_bytes = 2u << 20;  // the defaults are only 512 KiB on macOS and 128 KiB with musl

// Nanoseconds. A training step has a barrier every few microseconds, and some Python code runs between two calls.
constexpr int64_t longest_spin = 60'000, shortest_spin = 500;
constexpr int64_t long_yield = 5'000;  // in which another thread ran
constexpr int64_t yielding = 500'000;  // in barrier(): waking a sleeping thread takes tens of microseconds

}  // namespace

struct ThreadPool {
    // A counter; threads wait until it changes.
    struct Gate {
        alignas(apart) std::atomic<uint32_t> opened{0};
        alignas(apart) std::atomic<uint32_t> sleeping{0};  // read often, written rarely: a line of its own
    };

    Gate go;    // opened by run()
    Gate turn;  // opened by the last thread that reaches the barrier
    alignas(apart) std::atomic<int> arrived{0};
    alignas(apart) void (*work)(void* what, int thread) = nullptr;  // if null, a worker ends
    void* what = nullptr;
    alignas(apart) std::atomic<int64_t> spin{longest_spin};  // this line is read by all and rarely written
    int threads = 0;
    unsigned process = 0;
    ThreadPool* next = nullptr;    // in the list of idle pools
    std::atomic<int> seats{1};     // the number of the next worker to start
    std::atomic<int> to_leave{0};  // threads that still use a pool that is being dismissed
};

namespace {

using Gate = ThreadPool::Gate;

int64_t now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec;
}

void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");  // yield does nothing on most ARM cores
#endif
}

void sleep_while(std::atomic<uint32_t>& value, uint32_t seen) {
#if defined(__linux__)  // libstdc++'s wait() would first spin and yield in its own way, and needs GCC 11
    syscall(SYS_futex, &value, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
#else
    value.wait(seen);
#endif
}

void wake_all(std::atomic<uint32_t>& value) {
#if defined(__linux__)
    syscall(SYS_futex, &value, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
#else
    value.notify_all();
#endif
}

void open(Gate& gate) {
    // Either the thread that goes to sleep sees this store, or this thread sees its count: seq_cst orders the two.
    gate.opened.store(gate.opened.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
    if (gate.sleeping.load(std::memory_order_seq_cst) != 0) wake_all(gate.opened);
}

bool is_open(const Gate& gate, uint32_t seen) { return gate.opened.load(std::memory_order_acquire) != seen; }

bool opens_within(const Gate& gate, uint32_t seen, int64_t nanoseconds) {
    for (int64_t end = 0;;) {
        for (int i = 0; i < 32; ++i) {
            if (is_open(gate, seen)) return true;
            pause();
        }
        const int64_t t = now();
        if (end == 0)
            end = t + nanoseconds;
        else if (t >= end)
            return false;
    }
}

// Sets gave_way if another thread ran meanwhile on this processor.
bool opens_while_yielding(const Gate& gate, uint32_t seen, int64_t nanoseconds, bool& gave_way) {
    int64_t t = now();
    for (const int64_t end = t + nanoseconds; t < end;) {
        sched_yield();
        const int64_t before = t;
        t = now();
        gave_way = gave_way || t - before > long_yield;
        if (is_open(gate, seen)) return true;
    }
    return false;
}

void sleep_until_open(Gate& gate, uint32_t seen) {
    gate.sleeping.fetch_add(1, std::memory_order_seq_cst);
    while (gate.opened.load(std::memory_order_seq_cst) == seen) sleep_while(gate.opened, seen);
    gate.sleeping.fetch_sub(1, std::memory_order_relaxed);
}

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // guards the next three; a C++ mutex might be destroyed at exit
ThreadPool* idle = nullptr;
int in_use = 0;        // pools that this process has borrowed
unsigned process = 0;  // the number of forks between the first process and this one

void before_fork() { pthread_mutex_lock(&lock); }
void after_fork_in_parent() { pthread_mutex_unlock(&lock); }
void after_fork_in_child() {
    idle = nullptr;
    in_use = 0;
    ++process;
    pthread_mutex_unlock(&lock);
}
[[maybe_unused]] const int registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);

void leave(ThreadPool* pool) {
    if (pool->to_leave.fetch_sub(1, std::memory_order_acq_rel) == 1) delete pool;
}

// Ends the workers. The last of `members` threads, this one included, frees the pool.
void dismiss(ThreadPool* pool, int members) {
    pool->work = nullptr;
    pool->to_leave.store(members, std::memory_order_relaxed);
    open(pool->go);
    leave(pool);
}

void* worker(void* argument) {
    ThreadPool* pool = static_cast<ThreadPool*>(argument);
    const int thread = pool->seats.fetch_add(1, std::memory_order_relaxed);
    for (uint32_t seen = 0;; ++seen) {
        if (!opens_within(pool->go, seen, pool->spin.load(std::memory_order_relaxed))) sleep_until_open(pool->go, seen);
        if (pool->work == nullptr) {
            leave(pool);
            return nullptr;
        }
        pool->work(pool->what, thread);
        barrier(pool);
    }
}

// Starts the workers; returns their number.
int start(ThreadPool* pool) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return 0;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    // Workers inherit the mask, so that a signal such as that of Ctrl-C goes to another thread. Signals that a thread
    // causes itself are not blocked, so that faulthandler can report them.
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (int own : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&blocked, own);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int started = 0;
    pthread_t thread;
    while (started < pool->threads - 1 && pthread_create(&thread, &attributes, worker, pool) == 0) ++started;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    return started;
}

[[noreturn]] void give_up(const char* why) {
    fprintf(stderr, "fullyconnected: %s\n", why);
    abort();  // the work would wait for the missing threads at its next barrier, for ever
}

// Starts the workers of a pool again, which was in use during a fork and so lost them.
void restart(ThreadPool* pool) {
    pool->go.opened = pool->go.sleeping = pool->turn.opened = pool->turn.sleeping = 0;
    pool->arrived = 0;
    pool->seats = 1;
    pthread_mutex_lock(&lock);
    pool->process = process;
    ++in_use;
    pthread_mutex_unlock(&lock);
    if (start(pool) != pool->threads - 1)
        give_up("no threads can be started in this process, which was forked during a call");
}

std::atomic<int> limit{0};

ThreadPool* borrow(int threads, bool quick, bool wakes) {
    if (threads < 2 || threads > most_threads) return nullptr;
    pthread_mutex_lock(&lock);
    ThreadPool** at = &idle;
    while (*at != nullptr && (*at)->threads != threads) at = &(*at)->next;
    ThreadPool* pool = *at;
    const bool awake = pool != nullptr && pool->go.sleeping.load(std::memory_order_relaxed) == 0;
    const bool refused = quick && (in_use > 0 || !(awake || wakes));
    if (!refused) ++in_use;
    if (!refused && pool != nullptr) *at = pool->next;
    const unsigned current = process;
    pthread_mutex_unlock(&lock);
    if (refused) return nullptr;
    if (pool != nullptr) return pool;

    pool = new (std::nothrow) ThreadPool;
    if (pool != nullptr) {
        pool->threads = threads;
        pool->process = current;
        const int started = start(pool);
        if (started == threads - 1) return pool;
        dismiss(pool, started + 1);
    }
    pthread_mutex_lock(&lock);
    if (process == current) --in_use;
    pthread_mutex_unlock(&lock);
    return nullptr;
}

}  // namespace

ThreadPool* borrow_pool(int threads) { return borrow(threads, false, false); }

ThreadPool* borrow_quick_pool(int threads, bool wakes) { return borrow(threads, true, wakes); }

void give_back(ThreadPool* pool) {
    pthread_mutex_lock(&lock);
    if (pool->process == process) {
        pool->next = idle;
        idle = pool;
        --in_use;
    }
    ThreadPool** at = &idle;  // the most recently used are kept, the others dismissed
    for (int kept = 0; kept < most_idle && *at != nullptr; ++kept) at = &(*at)->next;
    ThreadPool* dismissed = *at;
    *at = nullptr;
    pthread_mutex_unlock(&lock);
    while (dismissed != nullptr) {
        ThreadPool* next = dismissed->next;
        dismiss(dismissed, dismissed->threads);
        dismissed = next;
    }
}

void run(ThreadPool* pool, void (*work)(void* what, int thread), void* what) {
    if (pool->process != process) restart(pool);
    pool->work = work;
    pool->what = what;
    open(pool->go);
    work(what, 0);
    barrier(pool);
}

void barrier(ThreadPool* pool) {
    Gate& turn = pool->turn;
    const uint32_t seen = turn.opened.load(std::memory_order_relaxed);
    if (pool->arrived.fetch_add(1, std::memory_order_acq_rel) == pool->threads - 1) {
        pool->arrived.store(0, std::memory_order_relaxed);
        open(turn);
        return;
    }
    // If there are more threads than processors for them, a spinning thread keeps the awaited one from running. Then it
    // gives way to others as soon as it yields: each time halves the next spin, and each other wait makes it longer.
    const int64_t spin = pool->spin.load(std::memory_order_relaxed);
    bool gave_way = false;
    const bool opened = opens_within(turn, seen, spin) || opens_while_yielding(turn, seen, yielding, gave_way);
    const int64_t next = std::clamp(!opened || gave_way ? spin / 2 : spin + spin / 4, shortest_spin, longest_spin);
    if (next != spin) pool->spin.store(next, std::memory_order_relaxed);
    if (opened) return;
    if (pool->process != process)
        give_up(
            "a process that is forked by a handler of a signal, during a call, cannot end that call: its threads are "
            "in the other process; call os._exit in the handler");
    sleep_until_open(turn, seen);
}

int pool_size(const ThreadPool* pool) { return pool->threads; }

int fullyconnected_get_num_threads(void) { return limit.load(std::memory_order_relaxed); }

void fullyconnected_set_num_threads(int threads) { limit.store(threads > 0 ? threads : 0, std::memory_order_relaxed); }
