/* call_bench.c - prints what the boundaries cost, in ns: C -> wasm -> C, wasm -> C host, wasm -> builtin, and exhaustion to return. Not a test. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

static int host_nothing(void *data, waot_value *args) {
  (void)data, (void)args;
  return 0;
}

/* Short rounds, of which the best is found while nobody else has the processor. */
#define ROUNDS 2000

static double best_call(struct guest *g, const char *name, int64_t argument, int calls) {
  double best = 1e18;
  struct waot_func func = { .code = dlsym(guest_library, name), .vmctx = &g->vmctx, .enter = dlsym(guest_library, "guest_enter"), .instance = &g->instance };
  for (int round = 0; round < ROUNDS; round++) {
    double begin = now_ns();
    for (int i = 0; i < calls; i++) {
      waot_value args[1] = { { .i64 = argument } };
      CHECK_EQUAL(waot_call(g->store, &func, args), WAOT_STATUS_OK);
    }
    double each = (now_ns() - begin) / calls;
    if (each < best) best = each;
  }
  return best;
}

/* An empty call through a pointer that the compiler does not know. */
static double best_indirect_call(int calls) {
  static int (*volatile callee)(void *, waot_value *) = host_nothing;
  double best = 1e18;
  for (int round = 0; round < ROUNDS; round++) {
    double begin = now_ns();
    for (int i = 0; i < calls; i++) {
      waot_value args[1] = { { .i64 = i } };
      CHECK_EQUAL(callee(NULL, args), 0);
    }
    double each = (now_ns() - begin) / calls;
    if (each < best) best = each;
  }
  return best;
}

static double thread_cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double timed_loop(struct guest *g, int64_t turns) {
  double begin = thread_cpu_ns();
  CHECK_EQUAL(guest_call(g, "guest_count", &turns), WAOT_STATUS_OK);
  return thread_cpu_ns() - begin;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int count_tick(void *count) {
  ++*(volatile int *)count;
  return 0;
}

/* What ticks cost a hot loop, in percent of its processor time: runs of some 50 ms, by turns with ticks and without (the checker waits for the lock of the threads); the median of the differences. */
static void print_tick_cost(struct guest *g, const char *name, int64_t limit, const char *target) {
  enum { PAIRS = 40 };
  static double differences[PAIRS];
  double all = 0;
  int count = 0;
  CHECK_EQUAL(waot_store_set_fuel(g->store, limit), 0);
  int64_t turns = 20000000;
  turns = (int64_t)((double)turns * 50e6 / timed_loop(g, turns));
  CHECK_EQUAL(waot_thread_set_poll(count_tick, &count), 0);
  for (int i = 0; i < PAIRS; i++) {
    pthread_mutex_lock(&waot_threads_lock);
    double without = timed_loop(g, turns);
    pthread_mutex_unlock(&waot_threads_lock);
    double with = timed_loop(g, turns);
    differences[i] = with / without - 1;
    all += with;
  }
  CHECK_EQUAL(waot_thread_set_poll(NULL, NULL), 0);
  qsort(differences, PAIRS, sizeof differences[0], compare_doubles);
  printf("ticks, %-9s   %6.2f %%, %.0f in a second of processor time%s\n", name, differences[PAIRS / 2] * 100, count * 1e9 / all, target);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  guest_open(argv[1]);
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  double empty = best_call(&g, "guest_empty", 0, 5000), indirect = best_indirect_call(5000);
  printf("C -> C, indirectly %6.1f ns\n", indirect);
  printf("C -> wasm -> C     %6.1f ns, of which %.1f beyond that; target: 8\n", empty, empty - indirect);
  printf("wasm -> C host     %6.1f ns; target: 8\n", (best_call(&g, "guest_host_loop", 1000, 5) - empty) / 1000);
  printf("wasm -> builtin    %6.1f ns\n", best_call(&g, "guest_fill", 0, 5000) - empty);
  print_tick_cost(&g, "limited", INT64_MAX - 1, "; target: 0.3");
  print_tick_cost(&g, "unlimited", INT64_MAX, "");
  double worst = 0, sum = 0;
  for (int i = 0; i < 200; i++) {
    waot_store_set_fuel(g.store, 0);
    int64_t value = 0;
    double begin = now_ns();
    CHECK_EQUAL(guest_call(&g, "guest_spin", &value), WAOT_STATUS_OUT_OF_FUEL);
    double took = now_ns() - begin;
    sum += took;
    if (took > worst) worst = took;
  }
  printf("exhausted -> C     %6.0f ns mean, %.0f ns worst of 200\n", sum / 200, worst);
  guest_free(&g);
  return 0;
}
