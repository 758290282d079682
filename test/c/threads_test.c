/* threads_test.c - many threads at once: every kind of end on each, threads that come and go, code that is registered meanwhile, and host calls that no tick disturbs. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#include <sched.h>
#include <stdatomic.h>

#define THREADS 8

static int host_nothing(void *data, waot_value *args) {
  (void)data, (void)args;
  return 0;
}

struct nest {
  struct guest *guest;
  const char *name;
};
static int host_call(void *data, waot_value *args) {
  struct nest *n = data;
  return guest_call(n->guest, n->name, &args[0].i64);
}

/* Each thread starts elsewhere in the rotation, so that at any time they do different things. */
static void *mixed(void *seed) {
  struct guest g;
  struct nest nest = { &g, "guest_increment" };
  guest_init(&g, host_call, &nest);
  for (int i = (int)(intptr_t)seed, last = i + repeats(400); i < last; i++) {
    int64_t value = -1;
    switch (i % 8) {
      case 0: guest_expect(&g, "guest_count", 100000, INT64_MAX, WAOT_STATUS_OK, 100001); break;
      case 1: guest_expect(&g, "guest_trap", 1 + i % 10, 100, 1 + i % 10, 2); break;
      case 2: guest_expect(&g, "guest_load", 65536 + i, 100, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS, 1); break;
      case 3:
        waot_store_set_fuel(g.store, INT64_MAX);
        CHECK_EQUAL(guest_call(&g, "guest_recurse", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
        break;
      case 4: guest_expect(&g, "guest_spin", 0, 1000, WAOT_STATUS_OUT_OF_FUEL, 1000); break;
      case 5:
        nest.name = "guest_increment";
        guest_expect(&g, "guest_call_host", 0, 100, WAOT_STATUS_OK, 11);
        break;
      case 6:
        nest.name = "guest_spin";
        guest_expect(&g, "guest_call_host", 0, 5000, WAOT_STATUS_OUT_OF_FUEL, 5000);
        break;
      default:
        nest.name = "guest_trap";
        guest_expect(&g, "guest_call_host", 2, 100, WAOT_STATUS_INTEGER_DIVIDE_BY_ZERO, 5);
    }
  }
  guest_free(&g);
  return NULL;
}

static void test_mixed(void) {
  pthread_t threads[THREADS];
  for (intptr_t i = 0; i < THREADS; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, mixed, (void *)i), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

/* Threads that live for a call or two, while the checker scans: none may be signalled after its end. */
static void *short_lived(void *unused) {
  (void)unused;
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  guest_expect(&g, "guest_count", 300000, INT64_MAX, WAOT_STATUS_OK, 300001);
  guest_free(&g);
  return NULL;
}
static void test_short_lived(void) {
  for (int round = 0; round < reservations(100); round++) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, short_lived, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  }
  int records = 0;
  pthread_mutex_lock(&waot_threads_lock);
  for (struct waot_thread_record *t = waot_threads; t; t = t->next) records++;
  pthread_mutex_unlock(&waot_threads_lock);
  CHECK(records <= 1); /* the main thread's, if it ever called */
}

/* The code map and the guards are searched by handlers while they change. */
static atomic_bool stop;
static void *churn(void *area) {
  char *bytes = area;
  while (!atomic_load(&stop)) {
    for (int i = 0; i < 50; i++) CHECK_EQUAL(waot_code_register(bytes + i * 16, bytes + i * 16 + 8), 0);
    for (int i = 0; i < 50; i++) CHECK_EQUAL(waot_guard_register(bytes + i * 16, 8), 0);
    for (int i = 49; i >= 0; i -= 2) waot_guard_unregister(bytes + i * 16, 8);
    for (int i = 0; i < 50; i += 2) waot_guard_unregister(bytes + i * 16, 8);
    for (int i = 0; i < 50; i++) waot_code_unregister(bytes + i * 16, bytes + i * 16 + 8);
    sched_yield();
  }
  return NULL;
}
static void test_changing_code_map(void) {
  static char areas[2][800];
  pthread_t changers[2];
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  for (int i = 0; i < 2; i++) CHECK_EQUAL(pthread_create(&changers[i], NULL, churn, areas[i]), 0);
  for (int i = 0; i < repeats(3000); i++) {
    guest_expect(&g, "guest_trap", 1, 100, WAOT_STATUS_UNREACHABLE, 2);
    guest_expect(&g, "guest_load", 65536 + i, 100, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS, 1);
    if (i % 100 == 0) guest_expect(&g, "guest_spin", 0, 1000, WAOT_STATUS_OUT_OF_FUEL, 1000);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < 2; i++) pthread_join(changers[i], NULL);
  guest_free(&g);
}

/* nanosleep is not restarted after a handler, whatever SA_RESTART says: it shows every signal. */
static int host_sleep(void *data, waot_value *args) {
  (void)data;
  struct timespec nap = { 0, 100000 };
  if (nanosleep(&nap, NULL) != 0) return WAOT_STATUS_HOST_ERROR;
  args[0].i64 = 0;
  return 0;
}
static void *sleepy(void *unused) {
  (void)unused;
  struct guest g;
  guest_init(&g, host_sleep, NULL);
  for (int i = 0; i < 50; i++) {
    guest_expect(&g, "guest_host_loop", 20, INT64_MAX, WAOT_STATUS_OK, 20);
    guest_expect(&g, "guest_count", 1000 * i, INT64_MAX, WAOT_STATUS_OK, 1000 * i + 1);
    struct timespec nap = { 0, 100000 };
    CHECK_EQUAL(nanosleep(&nap, NULL), 0); /* nor after the call */
  }
  guest_free(&g);
  return NULL;
}
static void test_undisturbed_host(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, sleepy, NULL), 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

/* A thread that blocked all signals before its first call: wasm is stopped, and traps, all the same. */
static void *blocked(void *unused) {
  (void)unused;
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  guest_expect(&g, "guest_spin", 0, 1000, WAOT_STATUS_OUT_OF_FUEL, 1000);
  guest_expect(&g, "guest_trap", 1, 100, WAOT_STATUS_UNREACHABLE, 2);
  guest_free(&g);
  return NULL;
}
static void test_blocked_signals(void) {
  pthread_t thread;
  CHECK_EQUAL(pthread_create(&thread, NULL, blocked, NULL), 0);
  pthread_join(thread, NULL);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
    { "short-lived threads", test_short_lived },
    { "every kind of end on eight threads", test_mixed },
    { "a changing code map", test_changing_code_map },
    { "host calls are not disturbed", test_undisturbed_host },
    { "signals blocked before", test_blocked_signals },
  };
  return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
