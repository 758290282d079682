/*
 * handlers_test.c - the runtime's signal handlers neither allocate, nor lock, nor load anything, nor use thread-local storage that is made on first use.
 *
 * The program is linked with --wrap=sigaction: every handler that the runtime installs is entered through on_signal, which marks the thread. Functions that a handler must not call
 * are defined here, over those of the C library, and count calls from marked threads.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#include <stdarg.h>
#include <stdatomic.h>

/* In the program itself: its thread-local storage needs no call. Volatile: to the compiler malloc is a function that reads no variable of ours. */
static __thread volatile int in_handler;
static atomic_int violations, handled[65];
static const char *volatile violator;

static void forbid(const char *name) {
  if (!in_handler) return;
  violator = name;
  atomic_fetch_add(&violations, 1);
}

/* --- functions that a handler must not call ----------------------------------------------------------------------- */

extern void *__libc_malloc(size_t size), *__libc_calloc(size_t count, size_t size), *__libc_realloc(void *memory, size_t size), *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);
void *malloc(size_t size) { return forbid("malloc"), __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return forbid("calloc"), __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { return forbid("realloc"), __libc_realloc(memory, size); }
void *memalign(size_t alignment, size_t size) { return forbid("memalign"), __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { return forbid("aligned_alloc"), __libc_memalign(alignment, size); }
void free(void *memory) {
  forbid("free");
  __libc_free(memory);
}

/* The C library's own definition, found before any handler runs. */
#define REAL(name) ((__typeof__(&name))(uintptr_t)real_##name)
#define FORBID(result, name, parameters, arguments) \
  static void *real_##name; \
  result name parameters { \
    forbid(#name); \
    if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name); \
    return REAL(name) arguments; \
  }
FORBID(int, pthread_mutex_lock, (pthread_mutex_t *lock), (lock))
FORBID(int, pthread_mutex_trylock, (pthread_mutex_t *lock), (lock))
FORBID(int, pthread_rwlock_rdlock, (pthread_rwlock_t *lock), (lock))
FORBID(int, pthread_rwlock_wrlock, (pthread_rwlock_t *lock), (lock))
FORBID(int, pthread_once, (pthread_once_t *once, void (*run)(void)), (once, run))
FORBID(int, pthread_setspecific, (pthread_key_t key, const void *value), (key, value))
FORBID(int, dl_iterate_phdr, (int (*visit)(struct dl_phdr_info *, size_t, void *), void *data), (visit, data))
FORBID(int, dladdr, (const void *address, Dl_info *info), (address, info))
FORBID(void *, dlopen, (const char *file, int mode), (file, mode))
FORBID(void *, mmap, (void *address, size_t length, int protection, int flags, int fd, off_t offset), (address, length, protection, flags, fd, offset))
FORBID(int, munmap, (void *address, size_t length), (address, length))
FORBID(size_t, fwrite, (const void *data, size_t size, size_t count, FILE *file), (data, size, count, file))
FORBID(int, vfprintf, (FILE *file, const char *format, va_list arguments), (file, format, arguments))

/* --- marking ------------------------------------------------------------------------------------------------------ */

static void (*actual[65])(int, siginfo_t *, void *);

static void on_signal(int signal, siginfo_t *info, void *context) {
  int before = in_handler; /* a tick can meet a fault handler */
  in_handler = 1;
  atomic_fetch_add(&handled[signal], 1);
  actual[signal](signal, info, context);
  in_handler = before;
}

extern int __real_sigaction(int signal, const struct sigaction *action, struct sigaction *before);
int __wrap_sigaction(int signal, const struct sigaction *action, struct sigaction *before);
int __wrap_sigaction(int signal, const struct sigaction *action, struct sigaction *before) {
  struct sigaction marked;
  void (*previous)(int, siginfo_t *, void *) = actual[signal];
  if (action && (action->sa_flags & SA_SIGINFO)) {
    marked = *action;
    marked.sa_sigaction = on_signal;
    actual[signal] = action->sa_sigaction;
    action = &marked;
  }
  int result = __real_sigaction(signal, action, before);
  if (before && (before->sa_flags & SA_SIGINFO) && before->sa_sigaction == on_signal) before->sa_sigaction = previous;
  return result;
}

/* --- what the handlers are put through ---------------------------------------------------------------------------- */

static int host_nothing(void *data, waot_value *args) {
  (void)data, (void)args;
  return 0;
}

static void every_end(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  for (int round = 0; round < 20; round++) {
    for (int code = 1; code <= 10; code++) guest_expect(&g, "guest_trap", code, 100, code, 2);
    guest_expect(&g, "guest_load", 65536, 100, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS, 1);
    guest_expect(&g, "guest_spin", 0, 1000, WAOT_STATUS_OUT_OF_FUEL, 1000);
    guest_expect(&g, "guest_host_loop", 20000, INT64_MAX, WAOT_STATUS_OK, 20000);
    int64_t value = -1;
    waot_store_set_fuel(g.store, INT64_MAX);
    CHECK_EQUAL(guest_call(&g, "guest_recurse", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
  }
  guest_free(&g);
}

static void *on_thread(void *unused) {
  (void)unused;
  every_end();
  return NULL;
}

static void *interrupt_later(void *store) {
  usleep(5000);
  waot_store_interrupt(store);
  return NULL;
}

static void expect_none(void) {
  if (violations) {
    fprintf(stderr, "a handler called %s\n", violator);
    exit(1);
  }
}

static void test_main_thread(void) {
  every_end();
  expect_none();
  CHECK(handled[SIGSEGV] > 20 && handled[SIGRTMIN + 8] >= 20);
  CHECK(handled[SIGILL] + handled[SIGTRAP] >= 200);
}

/* A thread's first signals: what is made on first use would be made there. */
static void test_threads(void) {
  for (int round = 0; round < 5; round++) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, on_thread, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  }
  expect_none();
}

static void test_interrupt(void) {
  struct guest g;
  pthread_t thread;
  guest_init(&g, host_nothing, NULL);
  CHECK_EQUAL(pthread_create(&thread, NULL, interrupt_later, g.store), 0);
  int64_t value = 0;
  CHECK_EQUAL(guest_call(&g, "guest_spin", &value), WAOT_STATUS_INTERRUPTED);
  pthread_join(thread, NULL);
  guest_free(&g);
  expect_none();
}

/* Faults that go to somebody else, who is a handler too, and repairs them. */
static char *volatile page;
static void on_foreign(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info, (void)context;
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}
static void test_passing_on(void) {
  struct guest g;
  page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  guest_init(&g, host_nothing, NULL);
  *page = 1;
  mprotect(page, 4096, PROT_NONE);
  guest_expect(&g, "guest_load", page - (char *)waot_memory_base(g.memory), 100, WAOT_STATUS_OK, 1);
  guest_free(&g);
  expect_none();
}

/* That this program would notice. */
static void test_notices(void) {
  in_handler = 1;
  void *volatile memory = malloc(1);
  free(memory);
  in_handler = 0;
  CHECK_EQUAL(violations, 2);
  violations = 0;
}

int main(int argc, char **argv) {
  struct sigaction foreign = { .sa_sigaction = on_foreign, .sa_flags = SA_SIGINFO };
  CHECK_EQUAL(__real_sigaction(SIGSEGV, &foreign, NULL), 0); /* before the runtime's */
  CHECK_EQUAL(pthread_mutex_lock(&(pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER), 0);
  static const struct test_case cases[] = {
    { "handlers on the main thread", test_main_thread },
    { "handlers on threads", test_threads },
    { "an interrupt", test_interrupt },
    { "faults that are passed on", test_passing_on },
    { "a violation would be noticed", test_notices },
  };
  return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
