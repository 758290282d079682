/* runtime_test.c - how calls into wasm end: normally, by each trap, by exhaustion, interrupted, by the host; and that nothing of them stays behind. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#include "../../runtime-c/machine.h"

/* --- host functions ----------------------------------------------------------------------------------------------- */

static int host_double(void *data, waot_value *args) {
  (void)data;
  args[0].i64 *= 2;
  return 0;
}

static int host_status(void *data, waot_value *args) {
  (void)args;
  return *(int *)data;
}

struct charger {
  struct guest *guest;
  int64_t charge, seen;
  int status;
};
static int host_charge(void *data, waot_value *args) {
  (void)args;
  struct charger *c = data;
  c->seen = waot_store_consumed(c->guest->store);
  if (c->charge >= 0) waot_store_charge(c->guest->store, c->charge);
  else waot_store_add_fuel(c->guest->store, -c->charge);
  return c->status;
}

static int host_charge_and_add(void *data, waot_value *args) {
  struct charger *c = data;
  (void)args;
  waot_store_charge(c->guest->store, c->charge);
  CHECK_EQUAL(waot_store_remaining(c->guest->store), 0);
  waot_store_add_fuel(c->guest->store, 8);
  return 0;
}

/* --- cases -------------------------------------------------------------------------------------------------------- */

static void test_normal(void) {
  struct guest g;
  guest_init(&g, host_double, NULL);
  int64_t value = 41;
  CHECK_EQUAL(guest_call(&g, "guest_increment", &value), WAOT_STATUS_OK);
  CHECK_EQUAL(value, 42);
  CHECK_EQUAL(waot_store_consumed(g.store), 3);
  value = 10;
  CHECK_EQUAL(guest_call(&g, "guest_call_host", &value), WAOT_STATUS_OK);
  CHECK_EQUAL(value, 21);
  CHECK_EQUAL(waot_store_consumed(g.store), 3 + 8);
  guest_expect(&g, "guest_increment", 0, 3, WAOT_STATUS_OK, 3); /* the limit itself is not exceeded */
  guest_expect(&g, "guest_increment", 0, 2, WAOT_STATUS_OUT_OF_FUEL, 2);
  guest_expect(&g, "guest_increment", 0, 0, WAOT_STATUS_OUT_OF_FUEL, 0);
  guest_expect(&g, "guest_empty", 0, 0, WAOT_STATUS_OK, 0);
  guest_expect(&g, "guest_count", 1000000, INT64_MAX, WAOT_STATUS_OK, 1000001);
  guest_free(&g);
}

static void test_traps(void) {
  struct guest g;
  guest_init(&g, host_double, NULL);
  for (int code = 1; code <= 10; code++) {
    guest_expect(&g, "guest_trap", code, 100, code, 2);
    guest_expect(&g, "guest_trap", code, 2, code, 2);
    guest_expect(&g, "guest_trap", code, 1, WAOT_STATUS_OUT_OF_FUEL, 1); /* overrides the trap */
  }
  guest_expect(&g, "guest_load", 0, 100, WAOT_STATUS_OK, 1);
  guest_expect(&g, "guest_load", 65535, 100, WAOT_STATUS_OK, 1);
  guest_expect(&g, "guest_load", 65536, 100, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS, 1);
  guest_expect(&g, "guest_load", INT64_C(8589934591), 100, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS, 1);
  guest_expect(&g, "guest_load", 65536, 0, WAOT_STATUS_OUT_OF_FUEL, 0);
  guest_free(&g);
}

static void test_out_of_fuel_in_loop(void) {
  struct guest g;
  guest_init(&g, host_double, NULL);
  for (int i = 0; i < 5; i++) {
    double begin = now_ns();
    guest_expect(&g, "guest_spin", 0, 100000, WAOT_STATUS_OUT_OF_FUEL, 100000);
    CHECK(now_ns() - begin < 2e9);
  }
  usleep(300000); /* long enough for the checker to fall asleep: the next entry wakes it */
  CHECK_EQUAL(__atomic_load_n(&waot_checker_asleep, __ATOMIC_SEQ_CST), 1);
  guest_expect(&g, "guest_spin", 0, 100000, WAOT_STATUS_OUT_OF_FUEL, 100000);
  guest_free(&g);
}

static void expect_overflows(struct guest *g) {
  guest_expect(g, "guest_recurse", 1000, INT64_MAX, WAOT_STATUS_OK, 1001);
  int64_t value = -1;
  CHECK_EQUAL(guest_call(g, "guest_recurse", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
  value = -1;
  CHECK_EQUAL(guest_call(g, "guest_recurse_big", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
  value = 0;
  CHECK_EQUAL(guest_call(g, "guest_deep_fill", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
  value = INT64_C(10000000);
  CHECK_EQUAL(guest_call(g, "guest_deep_call_host", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
  CHECK_EQUAL(waot_thread_depth(), 0);
  guest_expect(g, "guest_recurse", 1000, INT64_MAX, WAOT_STATUS_OK, 1001);
}

static void test_stack_overflow_main(void) {
  struct guest g;
  guest_init(&g, host_double, NULL);
  for (int i = 0; i < 3; i++) expect_overflows(&g);
  guest_free(&g);
}

static void *overflow_on_thread(void *unused) {
  (void)unused;
  struct guest g;
  guest_init(&g, host_double, NULL);
  for (int i = 0; i < 3; i++) expect_overflows(&g);
  guest_free(&g);
  return NULL;
}

static void run_thread(pthread_attr_t *attr, void *(*start)(void *)) {
  pthread_t thread;
  CHECK_EQUAL(pthread_create(&thread, attr, start, NULL), 0);
  pthread_join(thread, NULL);
}

static void test_stack_overflow_thread(void) {
  run_thread(NULL, overflow_on_thread);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 512 << 10);
  run_thread(&attr, overflow_on_thread);
  pthread_attr_setstacksize(&attr, 128 << 10); /* smaller than what is kept for hosts on a large stack */
  run_thread(&attr, overflow_on_thread);
  pthread_attr_setguardsize(&attr, 1 << 20);
  pthread_attr_setstacksize(&attr, 2 << 20);
  run_thread(&attr, overflow_on_thread);
  pthread_attr_destroy(&attr);
}

/* A stack without a guard: below it lies memory that an overflow would destroy. */
static void test_stack_overflow_own_stack(void) {
  size_t size = 1 << 20, below = 1 << 16;
  unsigned char *block = mmap(NULL, below + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(block != MAP_FAILED);
  memset(block, 0xa5, below);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  CHECK_EQUAL(pthread_attr_setstack(&attr, block + below, size), 0);
  run_thread(&attr, overflow_on_thread);
  for (size_t i = 0; i < below; i++) CHECK_EQUAL(block[i], 0xa5);
  memset(block, 0, below + size); /* the thread gave its guard page back */
  pthread_attr_destroy(&attr);
  munmap(block, below + size);
}

/* A fiber's stack has an end that the runtime doesn't know: refused, also on a thread that has run wasm on its own stack. */
static ucontext_t outside, inside;
static struct guest fiber_guest;
static int fiber_status;
static void fiber(void) {
  int64_t value = 0;
  fiber_status = guest_call(&fiber_guest, "guest_increment", &value);
  swapcontext(&inside, &outside);
}
static void test_fiber(void) {
  size_t size = 1 << 18;
  char *stack = malloc(size);
  CHECK(stack);
  guest_init(&fiber_guest, host_double, NULL);
  guest_expect(&fiber_guest, "guest_increment", 0, 100, WAOT_STATUS_OK, 3);
  CHECK_EQUAL(getcontext(&inside), 0);
  inside.uc_stack.ss_sp = stack;
  inside.uc_stack.ss_size = size;
  makecontext(&inside, fiber, 0);
  CHECK_EQUAL(swapcontext(&outside, &inside), 0);
  CHECK_EQUAL(fiber_status, WAOT_STATUS_CALL_STACK_EXHAUSTED);
  guest_expect(&fiber_guest, "guest_increment", 0, 100, WAOT_STATUS_OK, 3);
  guest_free(&fiber_guest);
  free(stack);
}

static void test_host_error(void) {
  struct guest g;
  int status = WAOT_STATUS_HOST_ERROR;
  guest_init(&g, host_status, &status);
  guest_expect(&g, "guest_call_host", 1, 100, WAOT_STATUS_HOST_ERROR, 3);
  status = WAOT_STATUS_UNREACHABLE;
  guest_expect(&g, "guest_call_host", 1, 3, WAOT_STATUS_UNREACHABLE, 3);
  guest_expect(&g, "guest_call_host", 1, 2, WAOT_STATUS_OUT_OF_FUEL, 2); /* the host isn't called */
  status = 0;
  guest_expect(&g, "guest_call_host", 1, 100, WAOT_STATUS_OK, 8);
  guest_free(&g);
}

static void test_host_charge(void) {
  struct guest g;
  struct charger c = { .guest = &g };
  guest_init(&g, host_charge, &c);
  c.charge = 10;
  guest_expect(&g, "guest_call_host", 1, 18, WAOT_STATUS_OK, 18);
  CHECK_EQUAL(c.seen, 3);
  guest_expect(&g, "guest_call_host", 1, 17, WAOT_STATUS_OUT_OF_FUEL, 17);
  guest_expect(&g, "guest_call_host", 1, 12, WAOT_STATUS_OUT_OF_FUEL, 12);
  c.status = WAOT_STATUS_HOST_ERROR;
  guest_expect(&g, "guest_call_host", 1, 13, WAOT_STATUS_HOST_ERROR, 13);
  guest_expect(&g, "guest_call_host", 1, 12, WAOT_STATUS_OUT_OF_FUEL, 12); /* overrides the host's error */
  c.status = 0;
  c.charge = -5; /* refuels */
  guest_expect(&g, "guest_call_host", 1, 3, WAOT_STATUS_OK, 8);
  CHECK_EQUAL(waot_store_limit(g.store), 8);
  c.seen = -1;
  guest_expect(&g, "guest_call_host", 1, 2, WAOT_STATUS_OUT_OF_FUEL, 2);
  CHECK_EQUAL(c.seen, -1); /* not called once exhausted */
  guest_free(&g);
}

static void *interrupt_later(void *store) {
  usleep(20000);
  waot_store_interrupt(store);
  return NULL;
}

static int host_interrupt(void *data, waot_value *args) {
  (void)args;
  waot_store_interrupt(((struct guest *)data)->store);
  return 0;
}

static void test_interrupt(void) {
  struct guest g;
  guest_init(&g, host_interrupt, &g);
  pthread_t thread;
  CHECK_EQUAL(pthread_create(&thread, NULL, interrupt_later, g.store), 0);
  int64_t value = 0;
  CHECK_EQUAL(guest_call(&g, "guest_spin", &value), WAOT_STATUS_INTERRUPTED);
  pthread_join(thread, NULL);
  CHECK(waot_store_consumed(g.store) > 0);
  guest_expect(&g, "guest_increment", 0, 100, WAOT_STATUS_INTERRUPTED, 0); /* until cleared */
  waot_store_clear_interrupt(g.store);
  guest_expect(&g, "guest_increment", 0, 100, WAOT_STATUS_OK, 3);
  guest_expect(&g, "guest_call_host", 0, 100, WAOT_STATUS_INTERRUPTED, 3); /* noticed when the host returns */
  waot_store_clear_interrupt(g.store);
  guest_free(&g);
}

static void test_builtins(void) {
  struct guest g;
  guest_init(&g, host_double, NULL);
  int64_t value = 2;
  CHECK_EQUAL(waot_store_set_fuel(g.store, 100), 0);
  CHECK_EQUAL(guest_call(&g, "guest_grow", &value), WAOT_STATUS_OK);
  CHECK_EQUAL(value, 1003);
  CHECK_EQUAL(waot_store_consumed(g.store), 2);
  value = 8;
  CHECK_EQUAL(guest_call(&g, "guest_grow", &value), WAOT_STATUS_OK);
  CHECK_EQUAL(value, -997); /* -1 * 1000 + 3 */
  guest_expect(&g, "guest_grow", 1, 0, WAOT_STATUS_OUT_OF_FUEL, 0);
  CHECK_EQUAL(waot_memory_length(g.memory), 3 * 65536); /* refused before the work */
  value = 20;
  CHECK_EQUAL(waot_store_set_fuel(g.store, 4), 0);
  CHECK_EQUAL(guest_call(&g, "guest_fill", &value), WAOT_STATUS_OK);
  CHECK_EQUAL(value, 0);
  uint8_t *bytes = waot_memory_base(g.memory);
  CHECK(bytes[9] == 0 && bytes[10] == 0x5a && bytes[29] == 0x5a && bytes[30] == 0);
  value = 3 * 65536;
  CHECK_EQUAL(waot_store_set_fuel(g.store, 4), 0);
  CHECK_EQUAL(guest_call(&g, "guest_fill", &value), WAOT_STATUS_OK);
  CHECK(value != 0); /* out of bounds */
  guest_expect(&g, "guest_fill", 40, 3, WAOT_STATUS_OUT_OF_FUEL, 3);
  CHECK(bytes[30] == 0);
  guest_free(&g);
}

/* wasm -> host -> wasm -> ..., ending in each of the ways at the innermost level. */
struct nester {
  struct guest *guest;
  int depth;
  const char *innermost;
  int64_t argument;
  int inner_status;
  bool swallow;
};
static int host_nest(void *data, waot_value *args) {
  struct nester *n = data;
  int64_t value = n->argument;
  const char *name = --n->depth == 0 ? n->innermost : "guest_call_host";
  CHECK(waot_thread_depth() > 0);
  n->inner_status = guest_call(n->guest, name, &value);
  args[0].i64 = value;
  /* The host runs again: no tick may find the thread in wasm. */
  CHECK_EQUAL(waot_thread_current->running == NULL, 1);
  return n->swallow ? 0 : n->inner_status;
}

static void test_nested(void) {
  struct guest g;
  struct nester n = { .guest = &g };
  guest_init(&g, host_nest, &n);
  static const struct { const char *name; int64_t argument, limit; int status; int64_t consumed; } ends[] = {
    { "guest_increment", 0, INT64_MAX, WAOT_STATUS_OK, 5 * 8 + 3 },
    { "guest_trap", 1, INT64_MAX, WAOT_STATUS_UNREACHABLE, 5 * 3 + 2 },
    { "guest_spin", 0, 100000, WAOT_STATUS_OUT_OF_FUEL, 100000 },
  };
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    n.depth = 5;
    n.innermost = ends[i].name;
    n.argument = ends[i].argument;
    guest_expect(&g, "guest_call_host", 0, ends[i].limit, ends[i].status, ends[i].consumed);
  }
  /* The host swallows an inner trap; the outer wasm goes on, and is still ticked. */
  n.swallow = true;
  n.depth = 1;
  n.innermost = "guest_trap";
  n.argument = 1;
  guest_expect(&g, "guest_call_host", 0, INT64_MAX, WAOT_STATUS_OK, 3 + 2 + 5);
  CHECK_EQUAL(n.inner_status, WAOT_STATUS_UNREACHABLE);
  /* Recursion through the host, without end. */
  n.swallow = false;
  n.depth = INT32_MAX;
  int64_t value = 0;
  CHECK_EQUAL(waot_store_set_fuel(g.store, INT64_MAX), 0);
  CHECK_EQUAL(guest_call(&g, "guest_call_host", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
  CHECK_EQUAL(waot_thread_depth(), 0);
  guest_free(&g);
}

/* Exhaustion lasts until there is more fuel: the host swallows an inner OUT_OF_FUEL of the same store, and the outer activation, in which nothing costs after that, ends so too. */
static int host_swallow(void *data, waot_value *args) {
  struct charger *c = data;
  int64_t value = 0;
  (void)args;
  CHECK_EQUAL(guest_call(c->guest, "guest_spin", &value), WAOT_STATUS_OUT_OF_FUEL);
  c->seen = waot_store_consumed(c->guest->store);
  CHECK_EQUAL(c->seen, waot_store_limit(c->guest->store));
  CHECK_EQUAL(waot_store_remaining(c->guest->store), 0);
  int64_t overshoot = waot_store_overshoot(c->guest->store);
  CHECK(overshoot > 0);
  CHECK_EQUAL(guest_call(c->guest, "guest_empty", &value), WAOT_STATUS_OUT_OF_FUEL); /* nor does a new call that costs nothing begin */
  CHECK_EQUAL(waot_store_overshoot(c->guest->store), overshoot);
  CHECK_EQUAL(waot_store_charge(c->guest->store, 1000), 0); /* is lost on it */
  if (c->charge < 0) waot_store_add_fuel(c->guest->store, -c->charge);
  if (c->charge > 0) waot_store_set_fuel(c->guest->store, c->charge);
  return c->status;
}

static void test_exhausted_for_good(void) {
  struct guest g;
  struct charger c = { .guest = &g };
  int64_t value = 0;
  guest_init(&g, host_swallow, &c);
  guest_expect(&g, "guest_host_free", 0, 1000, WAOT_STATUS_OUT_OF_FUEL, 1000);
  c.status = WAOT_STATUS_UNREACHABLE;
  guest_expect(&g, "guest_host_free", 0, 1000, WAOT_STATUS_OUT_OF_FUEL, 1000);
  c.status = 0;
  /* Fuel that is added is there to the unit, however far the code ran past the limit. */
  CHECK_EQUAL(waot_store_add_fuel(g.store, 0), 0); /* nothing */
  CHECK_EQUAL(guest_call(&g, "guest_empty", &value), WAOT_STATUS_OUT_OF_FUEL);
  CHECK_EQUAL(waot_store_add_fuel(g.store, 3), 0);
  CHECK_EQUAL(waot_store_remaining(g.store), 3);
  CHECK_EQUAL(guest_call(&g, "guest_increment", &value), WAOT_STATUS_OK);
  CHECK_EQUAL(waot_store_remaining(g.store), 0);
  CHECK_EQUAL(waot_store_consumed(g.store), 1003);
  CHECK_EQUAL(guest_call(&g, "guest_empty", &value), WAOT_STATUS_OK); /* the limit is not exceeded */
  c.charge = -8; /* also in between: the outer activation goes on with what it gets */
  guest_expect(&g, "guest_call_host", 0, 1000, WAOT_STATUS_OK, 1005);
  CHECK_EQUAL(waot_store_remaining(g.store), 3);
  c.charge = -4;
  guest_expect(&g, "guest_call_host", 0, 1000, WAOT_STATUS_OUT_OF_FUEL, 1004);
  c.charge = 5;
  guest_expect(&g, "guest_call_host", 0, 1000, WAOT_STATUS_OK, 5);
  /* Not exhausted yet: a charge past the limit that the host makes good in the same call is owed in full. */
  struct charger both = { .guest = &g, .charge = 12 };
  g.host.fn = (void *)host_charge_and_add;
  g.host.data = &both;
  guest_expect(&g, "guest_host_free", 0, 5, WAOT_STATUS_OK, 12);
  CHECK_EQUAL(waot_store_limit(g.store), 13);
  guest_free(&g);
}

static long resident_kib(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  long total = 0, resident = 0;
  CHECK(file && fscanf(file, "%ld %ld", &total, &resident) == 2);
  fclose(file);
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void test_repeats(void) {
  struct guest g;
  int status = WAOT_STATUS_HOST_ERROR;
  guest_init(&g, host_status, &status);
  long before = 0;
  for (int i = 0; i < 10000; i++) {
    guest_expect(&g, "guest_trap", 1 + i % 10, 100, 1 + i % 10, 2);
    guest_expect(&g, "guest_load", 65536 + i, 100, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS, 1);
    guest_expect(&g, "guest_increment", 0, 1, WAOT_STATUS_OUT_OF_FUEL, 1);
    guest_expect(&g, "guest_call_host", 0, 100, WAOT_STATUS_HOST_ERROR, 3);
    if (i % 10 == 0) {
      int64_t value = -1;
      waot_store_set_fuel(g.store, INT64_MAX);
      CHECK_EQUAL(guest_call(&g, "guest_recurse", &value), WAOT_STATUS_CALL_STACK_EXHAUSTED);
    }
    if (i % 100 == 0) guest_expect(&g, "guest_spin", 0, 1000, WAOT_STATUS_OUT_OF_FUEL, 1000);
    if (i == 1000) before = resident_kib();
  }
  CHECK(resident_kib() - before < 1024);
  guest_free(&g);
}

static machine_fp_control odd_fp_control(machine_fp_control control) {
#if defined(__x86_64__)
  return (control | 0x8040 | 0x6000) & ~0x0200u; /* flush to zero, denormals are zero, round towards zero, division by zero unmasked */
#else
  return control | 3u << 22 | 1u << 24 | 1u << 25; /* round towards zero, flush to zero, default NaNs */
#endif
}

/* The host's floating-point environment neither changes wasm nor is changed by it. */
static void test_floating_point(void) {
  struct guest g;
  guest_init(&g, host_double, NULL);
  machine_fp_control before = machine_fp_get(), odd = odd_fp_control(before);
  int64_t denormal = 5, zero = 0, trap = 1;
  machine_fp_set(odd);
  int first = guest_call(&g, "guest_denormal", &denormal);
  int second = guest_call(&g, "guest_reciprocal", &zero);
  int third = guest_call(&g, "guest_trap", &trap);
  machine_fp_control after = machine_fp_get();
  machine_fp_set(before);
  CHECK_EQUAL(first, WAOT_STATUS_OK);
  CHECK_EQUAL(second, WAOT_STATUS_OK);
  CHECK_EQUAL(third, WAOT_STATUS_UNREACHABLE);
  CHECK_EQUAL(denormal, 5);
  CHECK_EQUAL(zero, 0x7ff0000000000000);
  CHECK_EQUAL(after, odd);
  guest_free(&g);
}

static void test_configuration(void) {
  waot_error error;
  CHECK_EQUAL(waot_init(&(waot_config){ .tick_us = 10 }, &error), -1);
  CHECK_EQUAL(error.kind, WAOT_ERROR_ARGUMENT);
  CHECK_EQUAL(waot_init(&(waot_config){ .tick_signal = SIGUSR1 }, &error), -1);
  CHECK_EQUAL(error.kind, WAOT_ERROR_ARGUMENT);
  CHECK_EQUAL(waot_init(NULL, &error), 0);
  CHECK_EQUAL(waot_init(&(waot_config){ .tick_us = 1000, .tick_signal = SIGRTMIN + 8 }, &error), 0);
  CHECK_EQUAL(waot_init(&(waot_config){ .tick_us = 2000 }, &error), -1);
  CHECK_EQUAL(error.kind, WAOT_ERROR_ARGUMENT);
  CHECK(strstr(error.message, "1000"));
  CHECK_EQUAL(waot_abi_version(), WAOT_ABI_VERSION);
  char version[60];
  snprintf(version, sizeof version, "wasm-aot runtime 0.1.0, ABI %d", WAOT_ABI_VERSION);
  CHECK(strcmp(waot_version(), version) == 0);
  CHECK(strcmp(waot_status_message(WAOT_STATUS_INTEGER_DIVIDE_BY_ZERO), "integer divide by zero") == 0);
  CHECK(strcmp(waot_status_message(-7), "unknown status") == 0);
}

static void test_code_map(void) {
  static char area[100];
  CHECK_EQUAL(waot_code_register(area, area), -1);
  CHECK_EQUAL(waot_code_register(area + 10, area + 20), 0);
  CHECK_EQUAL(waot_code_register(area + 30, area + 40), 0);
  CHECK_EQUAL(waot_code_register(area + 20, area + 30), 0);
  CHECK_EQUAL(waot_code_register(area + 10, area + 20), 0); /* a second time */
  CHECK_EQUAL(waot_code_register(area + 15, area + 25), -1);
  CHECK_EQUAL(waot_code_register(area + 5, area + 11), -1);
  CHECK(!waot_code_contains(area + 9) && waot_code_contains(area + 10) && waot_code_contains(area + 19) && waot_code_contains(area + 25));
  CHECK(waot_code_contains(area + 39) && !waot_code_contains(area + 40));
  waot_code_unregister(area + 10, area + 20);
  CHECK(waot_code_contains(area + 10));
  waot_code_unregister(area + 10, area + 20);
  CHECK(!waot_code_contains(area + 10) && !waot_code_contains(area + 19) && waot_code_contains(area + 20));
  waot_code_unregister(area + 30, area + 40);
  waot_code_unregister(area + 20, area + 30);
  CHECK(!waot_code_contains(area + 20) && !waot_code_contains(area + 35));
  CHECK(waot_code_contains(dlsym(guest_library, "guest_spin")));
  /* Reservations can overlap: each has an end of its own, whatever the order in which they go. */
  for (int order = 0; order < 2; order++) {
    static const int at[] = { 40, 10, 25, 60 };
    for (int i = 0; i < 4; i++) CHECK_EQUAL(waot_guard_register(area + at[i], 20), 0);
    CHECK_EQUAL(waot_guard_register(area + 25, 20), 0); /* a second time */
    for (int k = 0; k < 100; k++) CHECK_EQUAL(waot_guard_contains(area + k), k >= 10 && k < 80);
    waot_guard_unregister(area + 25, 20);
    waot_guard_unregister(area + (order ? 10 : 25), 20);
    for (int k = 0; k < 100; k++) CHECK_EQUAL(waot_guard_contains(area + k), order ? k >= 25 && k < 80 : (k >= 10 && k < 30) || (k >= 40 && k < 80));
    waot_guard_unregister(area + (order ? 25 : 10), 20);
    waot_guard_unregister(area + 60, 20);
    waot_guard_unregister(area + 40, 20);
    for (int k = 0; k < 100; k++) CHECK(!waot_guard_contains(area + k));
  }
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
    { "configuration", test_configuration },
    { "code map", test_code_map },
    { "normal", test_normal },
    { "traps", test_traps },
    { "out of fuel in a loop", test_out_of_fuel_in_loop },
    { "stack overflow on the main thread", test_stack_overflow_main },
    { "stack overflow on threads", test_stack_overflow_thread },
    { "stack overflow on a stack without a guard", test_stack_overflow_own_stack },
    { "a fiber's stack", test_fiber },
    { "host error", test_host_error },
    { "host charge", test_host_charge },
    { "interrupt", test_interrupt },
    { "builtins", test_builtins },
    { "nested", test_nested },
    { "exhausted for good", test_exhausted_for_good },
    { "floating point", test_floating_point },
    { "repeats", test_repeats },
  };
  return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
