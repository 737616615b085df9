// What a pool of threads is held to. test_threads.py compiles it under each
// sanitizer and runs one case a process: thread_pool_test CASE. A case that
// fails says where and exits with 1.
#include <pthread.h>

namespace {
int may_start =
    -1; // how many more threads the system gives; -1: as many as it has
int start_thread(pthread_t *thread, const pthread_attr_t *attributes,
                 void *(*f)(void *), void *argument);
} // namespace

// only the threads of a pool are counted, so the source is compiled here with
// another name for the function
#define pthread_create start_thread
#include "../../native/src/thread_pool.cpp"
#undef pthread_create

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace {

int start_thread(pthread_t *thread, const pthread_attr_t *attributes,
                 void *(*f)(void *), void *argument) {
  if (may_start == 0)
    return EAGAIN;
  if (may_start > 0)
    --may_start;
  return pthread_create(thread, attributes, f, argument);
}

#define CHECK(that)                                                            \
  do {                                                                         \
    if (!(that)) {                                                             \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #that);               \
      _exit(1);                                                                \
    }                                                                          \
  } while (0)

constexpr int most = 8;

struct Job {
  ThreadPool *pool;
  int threads, rounds;
  int written[most] = {}; // no atomics: the barrier alone orders these
};

void rounds(void *what, int thread) {
  Job *job = static_cast<Job *>(what);
  for (int round = 1; round <= job->rounds; ++round) {
    job->written[thread] = round;
    barrier(job->pool);
    for (int other = 0; other < job->threads; ++other)
      CHECK(job->written[other] == round);
    barrier(job->pool);
  }
  job->written[thread] = -1 - thread;
}

void work_on(ThreadPool *pool, int n) {
  Job job{pool, pool_size(pool), n};
  run(pool, rounds, &job);
  for (int thread = 0; thread < job.threads; ++thread)
    CHECK(job.written[thread] == -1 - thread);
}

void borrow_and_work(int threads, int n) {
  ThreadPool *pool = borrow_pool(threads);
  CHECK(pool != nullptr && pool_size(pool) == threads);
  work_on(pool, n);
  give_back(pool);
}

void milliseconds(int n) { usleep(1000 * n); }

int wait_for(pid_t child) { // its exit status, or -1 where it hangs
  for (int tries = 0; tries < 30'000; ++tries) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child)
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    milliseconds(1);
  }
  kill(child, SIGKILL);
  return -1;
}

void case_barrier(int n) {
  borrow_and_work(2, n / 2);
  for (int threads : {3, 5})
    borrow_and_work(threads, n / 100);
}

void case_run(int n) {
  ThreadPool *pool = borrow_pool(2);
  for (int i = 0; i < n / 2; ++i)
    work_on(pool, 1);
  for (int i = 0; i < 50; ++i) {
    milliseconds(2); // the worker sleeps by then
    work_on(pool, 1);
  }
  give_back(pool);
  CHECK(borrow_pool(2) == pool); // the one that was given back, not another
  CHECK(borrow_pool(1) == nullptr);
  CHECK(borrow_pool(0) == nullptr);
  CHECK(borrow_pool(1 << 20) == nullptr);
}

void case_several(int n) {
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([=] {
      for (int i = 0; i < n / 500; ++i)
        borrow_and_work(2 + (caller + i) % 3, 5);
    });
  for (std::thread &caller : callers)
    caller.join();
}

void case_fork(int n) {
  // What is under test are our locks. A fork while a thread starts may leave
  // one of the sanitizer's locked in the child, so that all threads are there
  // before.
  ThreadPool *held = borrow_pool(2);
  work_on(held, 3);
  for (int threads : {2, 3, 6, 7})
    borrow_and_work(threads, 3);
  std::atomic<bool> over{false};
  std::atomic<int> started{0};
  std::thread other([&] { // waits in barriers while this one forks
    ++started;
    for (int i = 0; !over; ++i)
      borrow_and_work(2 + i % 2, 3);
  });
  std::thread holder([&] { // and this one has the lock much of the time
    ++started;
    while (!over)
      give_back(borrow_pool(6));
  });
  while (started < 2)
    milliseconds(1);
  for (int i = 0; i < n / 2000; ++i) {
    work_on(held, 3);
    const pid_t child = fork();
    if (child == 0) {
      may_start = 0;
      CHECK(borrow_pool(7) == nullptr); // the idle one stayed behind
      may_start = -1;
      borrow_and_work(2, 10);
      borrow_and_work(3, 10);
      work_on(held, 10);
      give_back(held);
      const pid_t grandchild = fork();
      if (grandchild == 0) {
        borrow_and_work(2, 10);
        _exit(0);
      }
      CHECK(wait_for(grandchild) == 0);
      _exit(0);
    }
    CHECK(wait_for(child) == 0);
    work_on(held, 3);
  }
  over = true;
  other.join();
  holder.join();
  give_back(held);
}

void case_exit_asleep(int) {
  borrow_and_work(2, 5);
  borrow_and_work(4, 5);
  milliseconds(20);
}

void case_exit_awake(int) { borrow_and_work(3, 5); }

void case_one_core(int n) {
#if defined(__linux__)
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
#endif
  for (int threads : {2, 4}) {
    rusage before,
        after; // processor time, since other programs may want that core too
    borrow_and_work(threads, 100);
    getrusage(RUSAGE_SELF, &before);
    borrow_and_work(threads, n / 100);
    getrusage(RUSAGE_SELF, &after);
    auto seconds = [](timeval t) {
      return double(t.tv_sec) + 1e-6 * double(t.tv_usec);
    };
    const double spent = seconds(after.ru_utime) + seconds(after.ru_stime) -
                         seconds(before.ru_utime) - seconds(before.ru_stime);
    const double each = 1e6 * spent / (2 * n / 100) / threads;
    printf("%d threads on one core: %.2f us of processor time a thread and "
           "barrier\n",
           threads, each);
    CHECK(each < 50);
  }
}

int threads_there_are() {
  int threads = 0;
  if (DIR *tasks = opendir("/proc/self/task")) { // none on macOS
    while (readdir(tasks) != nullptr)
      ++threads;
    closedir(tasks);
  }
  return threads;
}

void case_no_threads(int) {
  const int before =
      threads_there_are() + 1; // the thread sanitizer may start one of its own
  for (int left : {0, 1, 2}) {
    may_start = left;
    CHECK(borrow_pool(4) == nullptr);
    CHECK(borrow_pool(5) == nullptr);
  }
  for (int tries = 0; tries < 1000 && threads_there_are() > before; ++tries)
    milliseconds(10);
  CHECK(threads_there_are() <= before); // those that had started have left
  may_start = -1;
  borrow_and_work(4, 10);
}

void case_limit_of_processes(int) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none = {0, 0};
    if (getuid() == 0)
      CHECK(setgid(65534) == 0 &&
            setuid(65534) == 0); // the limit does not hold for root
    CHECK(setrlimit(RLIMIT_NPROC, &none) == 0);
    CHECK(borrow_pool(2) == nullptr);
    CHECK(borrow_pool(8) == nullptr);
    _exit(0);
  }
  CHECK(wait_for(child) == 0);
}

void look_at_signals(void *, int thread) {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  CHECK(sigismember(&mask, SIGINT) == (thread != 0));
  CHECK(sigismember(&mask, SIGTERM) == (thread != 0));
  CHECK(sigismember(&mask, SIGSEGV) == 0);
}

void case_signals(int) {
  ThreadPool *pool = borrow_pool(3);
  run(pool, look_at_signals, nullptr);
  give_back(pool);
}

void case_limit(int) {
  CHECK(fullyconnected_get_num_threads() == 0);
  fullyconnected_set_num_threads(3);
  CHECK(fullyconnected_get_num_threads() == 3);
  fullyconnected_set_num_threads(-1);
  CHECK(fullyconnected_get_num_threads() == 0);
}

void case_quick(int n) {
  CHECK(borrow_quick_pool(1, true) == nullptr);
  CHECK(borrow_quick_pool(3, false) == nullptr); // there is none
  for (int i = 0; i < (n < 20 ? n : 20); ++i) {
    ThreadPool *pool = borrow_quick_pool(3, true);
    CHECK(pool != nullptr);
    work_on(pool, 5);
    CHECK(borrow_quick_pool(3, true) == nullptr); // another is in use
    CHECK(borrow_quick_pool(2, true) == nullptr);
    ThreadPool *other = borrow_pool(3);
    CHECK(other != nullptr && other != pool);
    give_back(other);
    give_back(pool);
    milliseconds(50); // the threads fall asleep
    CHECK(borrow_quick_pool(3, false) == nullptr);
  }
  ThreadPool *pool = borrow_pool(3);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    ThreadPool *own = borrow_quick_pool(3, true); // none is in use here
    CHECK(own != nullptr);
    give_back(own);
    work_on(pool, 5); // which has lost its threads and starts them again
    CHECK(borrow_quick_pool(3, true) == nullptr);
    give_back(pool);
    own = borrow_quick_pool(3, true);
    CHECK(own != nullptr);
    give_back(own);
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  give_back(pool);
}

struct Case {
  const char *name;
  void (*run)(int rounds);
};

constexpr Case cases[] = {
    {"barrier", case_barrier},
    {"run", case_run},
    {"several", case_several},
    {"fork", case_fork},
    {"exit_asleep", case_exit_asleep},
    {"exit_awake", case_exit_awake},
    {"one_core", case_one_core},
    {"no_threads", case_no_threads},
    {"limit_of_processes", case_limit_of_processes},
    {"signals", case_signals},
    {"limit", case_limit},
    {"quick", case_quick},
};

} // namespace

int main(int argc, char **argv) {
  for (const Case &one : cases)
    if (argc > 1 && strcmp(argv[1], one.name) == 0) {
      one.run(argc > 2 ? atoi(argv[2]) : 100'000);
      return 0;
    }
  for (const Case &one : cases)
    puts(one.name);
  return argc > 1 ? 2 : 0;
}
