/* foreign_test.c - living with others: signals that aren't the runtime's are handled as before; fork; a busy tick signal. Each case runs in a child process. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#include <errno.h>
#include <setjmp.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../../runtime-c/machine.h"

static int host_nothing(void *data, waot_value *args) {
  (void)data, (void)args;
  return 0;
}

/* Runs a case in a child; returns its wait status. */
static int in_child(void (*run)(void)) {
  fflush(NULL);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    alarm(20);
    run();
    _exit(0);
  }
  int status = 0;
  CHECK_EQUAL(waitpid(child, &status, 0), child);
  return status;
}
static void expect_exit(void (*run)(void)) {
  int status = in_child(run);
  CHECK(WIFEXITED(status));
  CHECK_EQUAL(WEXITSTATUS(status), 0);
}
static void expect_killed(void (*run)(void), int signal) {
  int status = in_child(run);
  CHECK(WIFSIGNALED(status));
  CHECK_EQUAL(WTERMSIG(status), signal);
}

/* The runtime's own traps go on working. */
static void expect_own_traps(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  guest_expect(&g, "guest_trap", 1, 100, WAOT_STATUS_UNREACHABLE, 2);
  guest_expect(&g, "guest_load", 1 << 20, 100, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS, 1);
  guest_expect(&g, "guest_spin", 0, 1000, WAOT_STATUS_OUT_OF_FUEL, 1000);
  guest_free(&g);
}

/* --- a handler that was there before ------------------------------------------------------------------------------ */

static volatile sig_atomic_t faults, wrong_mask, wrong_info;
static char *volatile fault_page;

static bool blocked_now(int signal) {
  sigset_t now;
  sigemptyset(&now);
  pthread_sigmask(SIG_SETMASK, NULL, &now);
  return sigismember(&now, signal) == 1;
}

/* Repairs the fault, as a garbage collector's barrier or a lazily mapped file would. */
static void on_repair(int signal, siginfo_t *info, void *context) {
  faults++;
  if (signal != SIGSEGV || info->si_addr != fault_page || !context) wrong_info = 1;
  if (!blocked_now(SIGUSR2) || !blocked_now(SIGSEGV)) wrong_mask = 1;
  mprotect(fault_page, 4096, PROT_READ | PROT_WRITE);
}

static void before_runtime(void (*handler)(int, siginfo_t *, void *), int flags) {
  struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGUSR2);
  CHECK_EQUAL(sigaction(SIGSEGV, &action, NULL), 0);
  fault_page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(fault_page != MAP_FAILED);
}

static int host_fault(void *data, waot_value *args) {
  (void)data;
  mprotect(fault_page, 4096, PROT_NONE);
  *fault_page = 1;
  args[0].i64 = 5;
  return 0;
}

static void run_repair(void) {
  before_runtime(on_repair, 0);
  struct guest g;
  guest_init(&g, host_fault, NULL);
  *fault_page = 1; /* outside wasm */
  CHECK_EQUAL(faults, 1);
  CHECK(!blocked_now(SIGUSR2));
  guest_expect(&g, "guest_call_host", 1, 100, WAOT_STATUS_OK, 8); /* in a host function called by wasm */
  CHECK_EQUAL(faults, 2);
  /* In compiled code itself, but neither in a reservation nor on the stack. */
  mprotect(fault_page, 4096, PROT_NONE);
  guest_expect(&g, "guest_load", fault_page - (char *)waot_memory_base(g.memory), 100, WAOT_STATUS_OK, 1);
  CHECK_EQUAL(faults, 3);
  CHECK(!wrong_mask && !wrong_info);
  expect_own_traps();
  CHECK_EQUAL(faults, 3);
}

static sigjmp_buf escape;
static void on_escape(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info, (void)context;
  faults++;
  siglongjmp(escape, 1);
}
static void run_escape(void) {
  before_runtime(on_escape, SA_ONSTACK);
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  for (int i = 0; i < 10; i++) {
    if (sigsetjmp(escape, 1) == 0) *fault_page = 1;
    expect_own_traps();
  }
  CHECK_EQUAL(faults, 10);
}

static void on_plain(int signal) {
  faults++;
  if (signal != SIGSEGV) wrong_info = 1;
  if (blocked_now(SIGSEGV)) wrong_mask = 1; /* SA_NODEFER */
  mprotect(fault_page, 4096, PROT_READ | PROT_WRITE);
}
static void run_plain_nodefer_reset(void) {
  before_runtime(NULL, 0);
  struct sigaction action = { .sa_handler = on_plain, .sa_flags = SA_NODEFER | SA_RESETHAND };
  CHECK_EQUAL(sigaction(SIGSEGV, &action, NULL), 0);
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  *fault_page = 1;
  CHECK_EQUAL(faults, 1);
  CHECK(!wrong_mask && !wrong_info);
  expect_own_traps();
  mprotect(fault_page, 4096, PROT_NONE);
  *fault_page = 1; /* SA_RESETHAND: the default, death */
}

/* --- no handler before -------------------------------------------------------------------------------------------- */

static void run_default_fault(void) {
  expect_own_traps();
  *(volatile char *)16 = 1;
}
static void run_default_fault_in_guest(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  int64_t value = 16 - (int64_t)(intptr_t)waot_memory_base(g.memory);
  guest_call(&g, "guest_load", &value);
}
static void run_default_unknown_trap(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  int64_t value = 11; /* an ubsantrap with a code that is no status */
  guest_call(&g, "guest_trap", &value);
}
static void *kill_later(void *signal) {
  usleep(20000);
  kill(getpid(), (int)(intptr_t)signal);
  return NULL;
}
static void spin_and_be_sent(int signal) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  pthread_t thread;
  CHECK_EQUAL(pthread_create(&thread, NULL, kill_later, (void *)(intptr_t)signal), 0);
  waot_store_set_fuel(g.store, INT64_C(300000000)); /* some 100 ms */
  int64_t value = 0;
  CHECK_EQUAL(guest_call(&g, "guest_spin", &value), WAOT_STATUS_OUT_OF_FUEL);
}
static void run_default_sent(void) { spin_and_be_sent(SIGSEGV); }
static void run_ignored_sent(void) {
  signal(SIGBUS, SIG_IGN);
  spin_and_be_sent(SIGBUS);
}
static void run_ignored_fault(void) {
  signal(SIGSEGV, SIG_IGN); /* of a fault the kernel thinks otherwise */
  expect_own_traps();
  *(volatile char *)16 = 1;
}

/* --- the tick signal ---------------------------------------------------------------------------------------------- */

static void on_foreign_tick(int signal) { (void)signal; }
static void run_busy_signal(void) {
  waot_error error;
  signal(SIGRTMIN + 8, on_foreign_tick);
  CHECK_EQUAL(waot_init(NULL, &error), -1);
  CHECK_EQUAL(error.kind, WAOT_ERROR_SIGNAL);
  CHECK(strstr(error.message, "SIGRTMIN+8"));
  CHECK_EQUAL(waot_init(&(waot_config){ .tick_us = 500, .tick_signal = SIGRTMIN + 3 }, &error), 0);
  expect_own_traps();
  struct sigaction now;
  sigaction(SIGRTMIN + 8, NULL, &now);
  CHECK(now.sa_handler == on_foreign_tick);
}

/* --- handlers that come after ours -------------------------------------------------------------------------------- */

static struct sigaction under; /* what a polite handler found, and calls */
static void put_over(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
  struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
  sigemptyset(&action.sa_mask);
  CHECK_EQUAL(sigaction(signal, &action, &under), 0);
}

/* As libuv's for process.on('SIGSEGV'): it makes a note and returns, so that the fault happens again until our handler is back. */
static void on_noted(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info, (void)context;
  faults++;
}
static void run_replaced(void) {
  expect_own_traps();
  put_over(SIGSEGV, on_noted, 0);
  put_over(MACHINE_TRAP_SIGNAL, on_noted, 0);
  expect_own_traps(); /* the checker puts ours back */
  int noted = faults;
  expect_own_traps();
  CHECK_EQUAL(faults, noted); /* and there it stays */
  put_over(SIGSEGV, on_noted, 0);
  waot_handlers_check();
  expect_own_traps();
  CHECK_EQUAL(faults, noted);
  CHECK_EQUAL(raise(SIGSEGV), 0); /* what is not ours goes to the one that was put over us */
  CHECK_EQUAL(faults, noted + 1);
  before_runtime(on_repair, 0); /* another one: the newest */
  waot_handlers_check();
  *fault_page = 1;
  CHECK_EQUAL(faults, noted + 2);
  expect_own_traps();
  CHECK_EQUAL(faults, noted + 2);
}

/* One who restores the default takes away their own handler, not that of whoever was there before us. */
static void run_replaced_and_reset(void) {
  before_runtime(on_repair, 0);
  expect_own_traps();
  put_over(SIGSEGV, on_noted, 0);
  waot_handlers_check();
  signal(SIGSEGV, SIG_DFL);
  waot_handlers_check();
  *fault_page = 1;
  CHECK_EQUAL(faults, 1);
  expect_own_traps();
}

/* As crash reporters do: it calls whom it found, which is ours; which must not call it again. */
static void on_polite(int signal, siginfo_t *info, void *context) {
  if (++faults > 100) _exit(3);
  under.sa_sigaction(signal, info, context);
}
static void run_chaining(void) {
  before_runtime(on_repair, 0);
  expect_own_traps();
  put_over(SIGSEGV, on_polite, 0);
  expect_own_traps();
  waot_handlers_check();
  faults = 0;
  *fault_page = 1; /* ours, polite, ours, on_repair */
  CHECK_EQUAL(faults, 2);
  expect_own_traps();
}
static void run_chaining_to_default(void) {
  expect_own_traps();
  put_over(SIGSEGV, on_polite, 0);
  waot_handlers_check();
  *(volatile char *)16 = 1;
}

/* Another engine in the process is asked before whoever put their handler over its own. */
static int repairing_filter(int signal, void *info, void *context) {
  (void)context;
  if (signal != SIGSEGV || ((siginfo_t *)info)->si_addr != fault_page) return 0;
  mprotect(fault_page, 4096, PROT_READ | PROT_WRITE);
  return 1;
}
static void run_fault_filter(void) {
  before_runtime(on_noted, 0);
  waot_set_fault_filter(repairing_filter);
  expect_own_traps();
  *fault_page = 1;
  CHECK_EQUAL(faults, 0);
  CHECK_EQUAL(raise(SIGSEGV), 0);
  CHECK_EQUAL(faults, 1);
  waot_set_fault_filter(NULL);
}

/* More actions than can be remembered: the last stays, and only then does wasm lose its traps; never an answer that is wrong. */
static void run_flags_galore(void) {
  static const int flags[] = { 0, SA_RESTART, SA_NODEFER, SA_ONSTACK, SA_RESTART | SA_NODEFER, SA_RESTART | SA_ONSTACK };
  expect_own_traps();
  for (int round = 0; round < repeats(100); round++) {
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
      put_over(SIGSEGV, on_noted, flags[i]);
      waot_handlers_check();
    }
    signal(SIGSEGV, SIG_DFL);
    waot_handlers_check();
  }
  faults = 0;
  expect_own_traps();
  CHECK_EQUAL(faults, 0);
}

/* A handler that comes after ours for the tick signal gets its own signals, wasm its ticks, and the program is told. */
static void run_busy_signal_later(void) {
  expect_own_traps();
  CHECK_EQUAL(waot_signal_clash(), 0);
  put_over(SIGRTMIN + 8, on_noted, 0);
  waot_handlers_check();
  CHECK_EQUAL(waot_signal_clash(), SIGRTMIN + 8);
  CHECK_EQUAL(waot_signal_clash(), 0);
  for (int i = 0; i < 10; i++) CHECK_EQUAL(sigqueue(getpid(), SIGRTMIN + 8, (union sigval){ .sival_ptr = NULL }), 0);
  CHECK_EQUAL(faults, 10);
  expect_own_traps();
  CHECK_EQUAL(faults, 10);
  put_over(SIGRTMIN + 8, on_noted, 0);
  expect_own_traps();
}

/* The signal and the period by environment variables. */
static void run_environment(void) {
  waot_error error;
  setenv("WASM_AOT_TICK_SIGNAL", "SIGRTMIN+30000", 1);
  CHECK_EQUAL(waot_init(NULL, &error), -1);
  CHECK(error.kind == WAOT_ERROR_ARGUMENT && strstr(error.message, "WASM_AOT_TICK_SIGNAL"));
  setenv("WASM_AOT_TICK_SIGNAL", "tick", 1);
  CHECK_EQUAL(waot_init(NULL, &error), -1);
  setenv("WASM_AOT_TICK_SIGNAL", "SIGRTMIN+2", 1);
  setenv("WASM_AOT_TICK_US", "1", 1);
  CHECK_EQUAL(waot_init(NULL, &error), -1);
  CHECK(error.kind == WAOT_ERROR_ARGUMENT && strstr(error.message, "WASM_AOT_TICK_US"));
  setenv("WASM_AOT_TICK_US", "", 1);
  CHECK_EQUAL(waot_init(NULL, &error), 0);
  CHECK_EQUAL(waot_init(&(waot_config){ 1000, SIGRTMIN + 2 }, &error), 0);
  struct sigaction now;
  sigaction(SIGRTMIN + 8, NULL, &now);
  CHECK(now.sa_handler == SIG_DFL);
}

/* Ticks that somebody else sends do nothing. */
static void run_forged_ticks(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  for (int i = 0; i < 1000; i++) {
    CHECK_EQUAL(sigqueue(getpid(), SIGRTMIN + 8, (union sigval){ .sival_ptr = NULL }), 0);
    CHECK_EQUAL(sigqueue(getpid(), SIGRTMIN + 8, (union sigval){ .sival_ptr = &g }), 0);
    CHECK_EQUAL(kill(getpid(), SIGRTMIN + 8), 0);
  }
  expect_own_traps();
}

/* --- fork --------------------------------------------------------------------------------------------------------- */

static int host_fork(void *data, waot_value *args) {
  pid_t child = fork();
  CHECK(child >= 0);
  *(pid_t *)data = child;
  args[0].i64 = 0;
  return 0;
}
static void *spin_on_thread(void *unused) {
  (void)unused;
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  guest_expect(&g, "guest_spin", 0, 300000000, WAOT_STATUS_OUT_OF_FUEL, 300000000);
  guest_free(&g);
  return NULL;
}
static void finish_fork_child(void) {
  pthread_t other;
  expect_own_traps();
  CHECK_EQUAL(pthread_create(&other, NULL, spin_on_thread, NULL), 0);
  pthread_join(other, NULL);
  _exit(0);
}
static void expect_child_done(pid_t child) {
  int status = 0;
  CHECK_EQUAL(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
static void run_fork(void) {
  struct guest g;
  pid_t child = -1;
  guest_init(&g, host_fork, &child);
  pthread_t other; /* does not exist in the child, though the checker must not stumble over its record there */
  CHECK_EQUAL(pthread_create(&other, NULL, spin_on_thread, NULL), 0);
  usleep(10000);
  guest_expect(&g, "guest_call_host", 0, 100, WAOT_STATUS_OK, 8); /* both return from fork inside wasm */
  bool in_parent = child != 0;
  for (int i = 0; i < 3; i++) guest_expect(&g, "guest_spin", 0, 100000, WAOT_STATUS_OUT_OF_FUEL, 100000);
  if (!in_parent) finish_fork_child();
  expect_child_done(child);
  pthread_join(other, NULL);
  usleep(300000); /* until the checker sleeps: a fork outside wasm */
  child = fork();
  if (child == 0) {
    alarm(20);
    finish_fork_child();
  }
  expect_child_done(child);
  expect_own_traps();
}

/* A child of fork can use everything, whatever other threads were in the middle of: none of the runtime's locks stays taken in it. */
static bool churning = true;
static void *churn_locks(void *unused) {
  (void)unused;
  uint64_t address;
  const uint8_t valtypes[] = { WAOT_VALTYPE_I32 };
  for (unsigned i = 0; __atomic_load_n(&churning, __ATOMIC_RELAXED); i++) {
    CHECK(waot_type_intern(i % 2, 1 - i % 2, valtypes));
    waot_artifact_at(1, &address);
    waot_handlers_check();
    waot_store *store = waot_store_new();
    waot_store_set_deadline(store, INT64_MAX);
    waot_store_delete(store);
  }
  return NULL;
}
static void run_fork_locks(void) {
  pthread_t threads[2];
  uint64_t address;
  expect_own_traps();
  for (int i = 0; i < 2; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, churn_locks, NULL), 0);
  for (int i = 0; i < 60; i++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(20);
      const uint8_t valtypes[] = { WAOT_VALTYPE_F32 };
      CHECK(waot_type_intern(1, 0, valtypes) && !waot_artifact_at(1, &address));
      waot_handlers_check();
      waot_store_delete(waot_store_new());
      if (i % 20 == 0) expect_own_traps();
      _exit(0);
    }
    expect_child_done(child);
  }
  __atomic_store_n(&churning, false, __ATOMIC_RELAXED);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

/* --- a main thread without a stack limit -------------------------------------------------------------------------- */

static void run_unlimited_stack(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  int64_t value = -1;
  CHECK_EQUAL(guest_call(&g, "guest_recurse_big", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
  value = -1;
  CHECK_EQUAL(guest_call(&g, "guest_recurse", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
}

#define EXIT_CASE(name) static void test_##name(void) { expect_exit(run_##name); }
#define KILLED_CASE(name, signal) static void test_##name(void) { expect_killed(run_##name, signal); }
EXIT_CASE(repair)
EXIT_CASE(escape)
KILLED_CASE(plain_nodefer_reset, SIGSEGV)
KILLED_CASE(default_fault, SIGSEGV)
KILLED_CASE(default_fault_in_guest, SIGSEGV)
KILLED_CASE(default_unknown_trap, MACHINE_TRAP_SIGNAL)
KILLED_CASE(default_sent, SIGSEGV)
EXIT_CASE(ignored_sent)
KILLED_CASE(ignored_fault, SIGSEGV)
EXIT_CASE(busy_signal)
EXIT_CASE(forged_ticks)
EXIT_CASE(replaced)
EXIT_CASE(replaced_and_reset)
EXIT_CASE(chaining)
KILLED_CASE(chaining_to_default, SIGSEGV)
EXIT_CASE(fault_filter)
EXIT_CASE(flags_galore)
EXIT_CASE(busy_signal_later)
EXIT_CASE(environment)
EXIT_CASE(fork)
EXIT_CASE(fork_locks)

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
    { "a handler that repairs", test_repair },
    { "a handler that jumps away", test_escape },
    { "a plain handler, not deferred, once", test_plain_nodefer_reset },
    { "default: a fault in C", test_default_fault },
    { "default: a stray fault in compiled code", test_default_fault_in_guest },
    { "default: an unknown trap code", test_default_unknown_trap },
    { "default: a signal sent while wasm runs", test_default_sent },
    { "ignored: a signal sent while wasm runs", test_ignored_sent },
    { "ignored: a fault", test_ignored_fault },
    { "the tick signal is taken", test_busy_signal },
    { "forged ticks", test_forged_ticks },
    { "our handlers are replaced", test_replaced },
    { "our handlers are replaced, then reset", test_replaced_and_reset },
    { "a later handler that calls ours", test_chaining },
    { "a later handler that calls ours: a fault in C", test_chaining_to_default },
    { "another engine's faults", test_fault_filter },
    { "our handlers are replaced again and again", test_flags_galore },
    { "the tick signal is taken later", test_busy_signal_later },
    { "settings by environment variables", test_environment },
    { "fork", test_fork },
    { "fork while other threads hold locks", test_fork_locks },
  };
  /* The stack limit is fixed at exec: the program runs itself without one. */
  if (argc == 3 && strcmp(argv[2], "unlimited stack") == 0) {
    guest_open(argv[1]);
    run_unlimited_stack();
    return 0;
  }
  int result = run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
  if (result != 0 || argc > 2 || is_skipped("unlimited stack")) return result;
  pid_t child = fork();
  if (child == 0) {
    struct rlimit unlimited;
    getrlimit(RLIMIT_STACK, &unlimited);
    unlimited.rlim_cur = unlimited.rlim_max;
    setrlimit(RLIMIT_STACK, &unlimited);
    execl("/proc/self/exe", argv[0], argv[1], "unlimited stack", (char *)NULL);
    _exit(127);
  }
  int status = 0;
  CHECK_EQUAL(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status));
  CHECK_EQUAL(WEXITSTATUS(status), 0);
  printf("ok unlimited stack\n");
  return 0;
}
