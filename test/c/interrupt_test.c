/* interrupt_test.c - stopping wasm without fuel: requests, deadlines, identities of stores, the poll of an ending thread; and how far past the limit a run went. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#define MS INT64_C(1000000)

static int host_nothing(void *data, waot_value *args) {
  (void)data, (void)args;
  return 0;
}
static int64_t monotonic(void) { return (int64_t)now_ns(); }

/* Runs for ever until it is interrupted; returns the ns that it took. */
static double expect_interrupted(struct guest *g, const char *name) {
  int64_t value = 1;
  double begin = now_ns();
  CHECK_EQUAL(guest_call(g, name, &value), WAOT_STATUS_INTERRUPTED);
  return now_ns() - begin;
}

static void test_deadline(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  CHECK_EQUAL(waot_store_deadline(g.store), 0);
  for (int i = 0; i < 20; i++) {
    int64_t deadline = monotonic() + 5 * MS;
    waot_store_set_deadline(g.store, deadline);
    double took = expect_interrupted(&g, "guest_spin");
    CHECK(monotonic() >= deadline && took < 1e9);
    CHECK_EQUAL(waot_store_interrupts(g.store), WAOT_INTERRUPT_TIMEOUT);
    waot_store_clear_interrupt_for(g.store, ~0u); /* TIMEOUT stays for as long as its deadline */
    CHECK(expect_interrupted(&g, "guest_empty") < 1e9);
    waot_store_set_deadline(g.store, 0);
    CHECK_EQUAL(waot_store_interrupts(g.store), 0);
    guest_expect(&g, "guest_increment", 1, INT64_MAX, WAOT_STATUS_OK, 3);
  }
  waot_store_set_deadline(g.store, monotonic() - 1); /* in the past: at once */
  expect_interrupted(&g, "guest_empty");
  waot_store_set_deadline(g.store, INT64_MAX);
  guest_expect(&g, "guest_count", 5000000, INT64_MAX, WAOT_STATUS_OK, 5000001);
  guest_free(&g);
}

/* A deadline stops its own store only, also when another one's runs on top of it. */
struct inner { struct guest *g; int status; };
static int host_inner(void *data, waot_value *args) {
  struct inner *inner = data;
  int64_t value = 0;
  (void)args;
  inner->status = guest_call(inner->g, "guest_spin", &value);
  return 0;
}
static void test_nested_deadlines(void) {
  struct guest outer, g;
  struct inner inner = { &g, 0 };
  guest_init(&g, host_nothing, NULL);
  guest_init(&outer, host_inner, &inner);
  waot_store_set_deadline(g.store, monotonic() + 3 * MS);
  guest_expect(&outer, "guest_call_host", 1, INT64_MAX, WAOT_STATUS_OK, 8);
  CHECK_EQUAL(inner.status, WAOT_STATUS_INTERRUPTED);
  /* The outer one's passes meanwhile: seen when the host function returns. */
  waot_store_set_deadline(g.store, monotonic() + 20 * MS);
  waot_store_set_deadline(outer.store, monotonic() + 3 * MS);
  expect_interrupted(&outer, "guest_call_host");
  CHECK_EQUAL(inner.status, WAOT_STATUS_INTERRUPTED);
  guest_free(&outer);
  guest_free(&g);
}

static void *interrupt_by_id(void *id) {
  usleep(5000);
  return (void *)(intptr_t)waot_interrupt_by_id((uint64_t)(uintptr_t)id, WAOT_INTERRUPT_SIGNAL);
}
static void test_by_id(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  uint64_t id = waot_store_id(g.store);
  pthread_t thread;
  void *result;
  CHECK_EQUAL(pthread_create(&thread, NULL, interrupt_by_id, (void *)(uintptr_t)id), 0);
  expect_interrupted(&g, "guest_spin");
  CHECK_EQUAL(waot_store_interrupts(g.store), WAOT_INTERRUPT_SIGNAL);
  pthread_join(thread, &result);
  CHECK(result == NULL);
  waot_store_interrupt(g.store);
  waot_store_clear_interrupt(g.store); /* REQUEST only */
  CHECK_EQUAL(waot_store_interrupts(g.store), WAOT_INTERRUPT_SIGNAL);
  waot_store_clear_interrupt_for(g.store, WAOT_INTERRUPT_SIGNAL);
  guest_expect(&g, "guest_increment", 1, 100, WAOT_STATUS_OK, 3);
  guest_free(&g);
  CHECK_EQUAL(waot_interrupt_by_id(id, WAOT_INTERRUPT_REQUEST), -1); /* dead, also when the allocator gives a new store its address */
  guest_init(&g, host_nothing, NULL);
  CHECK(waot_store_id(g.store) != id);
  CHECK_EQUAL(waot_interrupt_by_id(id, WAOT_INTERRUPT_REQUEST), -1);
  CHECK_EQUAL(waot_store_interrupts(g.store), 0);
  guest_free(&g);
}

/* Stores die while others interrupt them. */
static uint64_t newest_id;
static bool done;
static void *interrupter(void *unused) {
  (void)unused;
  while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) waot_interrupt_by_id(__atomic_load_n(&newest_id, __ATOMIC_RELAXED), WAOT_INTERRUPT_REQUEST);
  return NULL;
}
static void test_dying_stores(void) {
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) CHECK_EQUAL(pthread_create(&threads[i], NULL, interrupter, NULL), 0);
  for (int i = 0; i < repeats(20000); i++) {
    waot_store *store = waot_store_new();
    __atomic_store_n(&newest_id, waot_store_id(store), __ATOMIC_RELAXED);
    waot_store_set_deadline(store, i % 2 ? 1 : 0);
    waot_store_delete(store);
  }
  __atomic_store_n(&done, true, __ATOMIC_RELAXED);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

static int poll_word(void *word) { return __atomic_load_n((int *)word, __ATOMIC_RELAXED); }
static void *set_later(void *word) {
  usleep(5000);
  __atomic_store_n((int *)word, 1, __ATOMIC_RELAXED);
  return NULL;
}
static void test_poll(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  int ending = 0;
  CHECK_EQUAL(waot_thread_set_poll(poll_word, &ending), 0);
  guest_expect(&g, "guest_count", 5000000, INT64_MAX, WAOT_STATUS_OK, 5000001);
  pthread_t thread;
  CHECK_EQUAL(pthread_create(&thread, NULL, set_later, &ending), 0);
  expect_interrupted(&g, "guest_spin");
  CHECK_EQUAL(waot_store_interrupts(g.store), WAOT_INTERRUPT_ENDING);
  pthread_join(thread, NULL);
  CHECK_EQUAL(waot_thread_set_poll(NULL, NULL), 0);
  guest_free(&g);
}

/* One bulk operator on 1 GiB is stopped in the middle, also when the checker has gone to sleep meanwhile; a trap comes before any work. */
static void test_bulk(void) {
  struct guest g;
  waot_error error;
  guest_init(&g, host_nothing, NULL);
  const uint64_t pages = 16384, bytes = pages << 16;
  waot_memory *large = waot_memory_new(g.store, pages, pages, &error);
  CHECK(large);
  g.memories[0] = large;
  g.vmctx.memory.base = waot_memory_base(large);
  g.vmctx.memory.memory = large;
  uint8_t *base = waot_memory_base(large);
  waot_store_set_deadline(g.store, monotonic() + 5 * MS);
  int64_t value = (int64_t)(bytes - 10);
  CHECK_EQUAL(guest_call(&g, "guest_fill", &value), WAOT_STATUS_INTERRUPTED);
  CHECK(base[10] == 90 && base[bytes - 1] == 0); /* begun, and not finished */
  waot_store_set_deadline(g.store, 0);
  guest_expect(&g, "guest_fill", (int64_t)(bytes - 9), 100, WAOT_STATUS_OK, 4);
  CHECK(base[bytes - 1] == 0); /* out of bounds */
  guest_expect(&g, "guest_fill", 5 << 20, 100, WAOT_STATUS_OK, 4);
  CHECK(base[9] == 0 && base[(5 << 20) + 9] == 90);
  guest_free(&g);
}

/* Where there is nothing to find soon, most ticks are spared: see pace_test.c for when. */
#define TURNS 1000000 /* less than a millisecond */
static int poll_count(void *count) {
  ++*(volatile int *)count;
  return 0;
}
static int polls_in(struct guest *g, int64_t limit) {
  int count = 0;
  int64_t value;
  CHECK_EQUAL(waot_thread_set_poll(poll_count, &count), 0);
  for (double begin = now_ns(); now_ns() - begin < 100e6;) {
    CHECK_EQUAL(waot_store_set_fuel(g->store, limit), 0);
    CHECK_EQUAL(guest_call(g, "guest_count", (value = TURNS, &value)), WAOT_STATUS_OK);
  }
  CHECK_EQUAL(waot_thread_set_poll(NULL, NULL), 0);
  return count;
}
/* Whether unlimited code has ticks, and less than a third of those of code under a limit, or of those while another store is interrupted. On a busy machine a thread is ticked no more often than it gets a
 * processor: so in one of many tries. */
static bool spares(struct guest *g, int64_t limit, waot_store *interrupted) {
  for (int tries = 0; tries < 100; tries++) {
    int few = polls_in(g, INT64_MAX);
    if (interrupted) waot_store_interrupt(interrupted);
    if (interrupted) waot_store_interrupt(interrupted);
    int many = polls_in(g, limit);
    if (interrupted) waot_store_clear_interrupt(interrupted);
    if (few > 0 && few * 3 < many) return true;
  }
  return false;
}
static void test_spared_ticks(void) {
  struct guest g, other;
  guest_init(&g, host_nothing, NULL);
  guest_init(&other, host_nothing, NULL);
  CHECK(spares(&g, TURNS + 1, NULL));
  CHECK(spares(&g, INT64_MAX, other.store));
  CHECK(spares(&g, TURNS + 1, NULL));
  waot_store_set_fuel(other.store, 5);
  waot_store_interrupt(other.store);
  guest_free(&other); /* and is not counted any more */
  CHECK(spares(&g, TURNS + 1, NULL));
  guest_free(&g);
}

/* With much fuel left, ticks come to know that the next one has time, until the host takes the fuel away. */
static void test_pace(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  const struct waot_limits *limits = &g.store->limits;
  guest_expect(&g, "guest_empty", 0, INT64_MAX, WAOT_STATUS_OK, 0); /* the thread has its record */
  const struct waot_pace *pace = &((const struct waot_thread_record *)waot_thread_current)->pace;
  const int64_t longest = waot_checker_longest();
  for (int i = 0; i < 3; i++) {
    /* A limit that leaves room for what was consumed before the last refuelling; near INT64_MAX that is forgotten, and nothing known unless two ticks come in one call. */
    bool known = false;
    for (int tries = 0; !known && tries < 100000; tries++) {
      guest_expect(&g, "guest_count", TURNS, INT64_MAX / 2 - i, WAOT_STATUS_OK, TURNS + 1);
      known = pace->limits == (uintptr_t)limits && pace->due == pace->at + longest;
    }
    CHECK(known);
    CHECK(!waot_pace_is_due(pace, limits, pace->at, longest));
    CHECK_EQUAL(waot_store_set_fuel(g.store, 5), 0);
    CHECK(waot_pace_is_due(pace, limits, pace->at, longest / 10));
    CHECK_EQUAL(waot_store_add_fuel(g.store, INT64_MAX / 2), 0);
    CHECK(!waot_pace_is_due(pace, limits, pace->at, longest));
    CHECK_EQUAL(waot_store_charge(g.store, INT64_MAX / 2), 0);
    CHECK(waot_pace_is_due(pace, limits, pace->at, longest / 10));
    guest_expect(&g, "guest_spin", 0, 5 + i, WAOT_STATUS_OUT_OF_FUEL, 5 + i);
    CHECK(waot_pace_is_due(pace, limits, pace->at, longest / 10));
  }
  guest_free(&g);
}

/* While much is left, the checker dozes; an entry and an interruption wake it. */
#define DOZES 3 /* see thread.h */
static uint32_t checker_flag(void) { return __atomic_load_n(&waot_checker_asleep, __ATOMIC_SEQ_CST); }
static void *spin(void *guest) {
  int64_t value = 0;
  return (void *)(intptr_t)guest_call(guest, "guest_spin", &value);
}
/* On a busy machine the checker can doze again before we look: so in one of ten tries. */
static bool wakes(void (*action)(struct guest *), struct guest *g) {
  for (int tries = 0; tries < 10; tries++) {
    for (double begin = now_ns(); checker_flag() != DOZES;) CHECK(now_ns() - begin < 60e9);
    action(g);
    if (checker_flag() == 0) return true;
  }
  return false;
}
static void enter(struct guest *g) { guest_expect(g, "guest_empty", 0, 100, WAOT_STATUS_OK, 0); }
static void interrupt(struct guest *g) { waot_store_interrupt(g->store); }
static void interrupt_other(struct guest *g) { CHECK_EQUAL(waot_interrupt_by_id(waot_store_id(g->store), WAOT_INTERRUPT_SIGNAL), 0); }
static void test_doze(void) {
  const int64_t limits[] = { INT64_MAX, INT64_MAX / 2 };
  struct guest g, spinning;
  pthread_t thread;
  void *result;
  guest_init(&g, host_nothing, NULL);
  for (int i = 0; i < 2; i++) {
    guest_init(&spinning, host_nothing, NULL);
    CHECK_EQUAL(waot_store_set_fuel(spinning.store, limits[i]), 0);
    CHECK_EQUAL(pthread_create(&thread, NULL, spin, &spinning), 0);
    CHECK(wakes(enter, &g));
    CHECK(wakes(interrupt, &g));
    waot_store_clear_interrupt(g.store);
    CHECK(wakes(interrupt_other, &g));
    waot_store_clear_interrupt_for(g.store, WAOT_INTERRUPT_SIGNAL);
    guest_expect(&g, "guest_spin", 0, 5, WAOT_STATUS_OUT_OF_FUEL, 5);
    CHECK(wakes(interrupt, &spinning));
    pthread_join(thread, &result);
    CHECK_EQUAL((intptr_t)result, WAOT_STATUS_INTERRUPTED);
    guest_free(&spinning);
  }
  guest_free(&g);
}

/* Code that has consumed nothing for a long time, and then more than it has, at once: stopped, at the limit, wherever ticks have come before. */
static void test_slow_then_fast(void) {
  struct guest g, inner;
  guest_init(&g, host_nothing, NULL);
  for (int i = 0; i < 10; i++) {
    guest_expect(&g, "guest_idle_then_spin", repeats(5000000) * (i + 1), INT64_C(1) << (4 * i), WAOT_STATUS_OUT_OF_FUEL, INT64_C(1) << (4 * i));
    CHECK(waot_store_overshoot(g.store) > 0);
  }
  /* As the call of a host function in slow code with much fuel, which goes on afterwards. */
  struct inner call = { &inner, 0 };
  guest_init(&inner, host_nothing, NULL);
  g.host.fn = (void *)host_inner;
  g.host.data = &call;
  CHECK_EQUAL(waot_store_set_fuel(g.store, 1000000), 0);
  for (int i = 0; i < 5; i++) {
    int64_t value = repeats(10000000);
    CHECK_EQUAL(waot_store_set_fuel(inner.store, i * 1000), 0);
    CHECK_EQUAL(guest_call(&g, "guest_idle_call_host", &value), WAOT_STATUS_OK);
    CHECK_EQUAL(call.status, WAOT_STATUS_OUT_OF_FUEL);
    CHECK_EQUAL(waot_store_consumed(inner.store), i * 1000);
    CHECK_EQUAL(waot_store_consumed(g.store), 2 * (i + 1));
  }
  guest_free(&inner);
  guest_free(&g);
}

/* Exhaustion overrides an interrupt, and says how late it was seen. */
static void test_overshoot(void) {
  struct guest g;
  guest_init(&g, host_nothing, NULL);
  CHECK_EQUAL(waot_store_overshoot(g.store), 0);
  guest_expect(&g, "guest_count", 1000, 900, WAOT_STATUS_OUT_OF_FUEL, 900);
  CHECK_EQUAL(waot_store_overshoot(g.store), 101);
  guest_expect(&g, "guest_increment", 1, 3, WAOT_STATUS_OK, 3);
  CHECK_EQUAL(waot_store_overshoot(g.store), 101); /* of the last that ended so */
  guest_expect(&g, "guest_spin", 0, 5, WAOT_STATUS_OUT_OF_FUEL, 5);
  CHECK(waot_store_overshoot(g.store) > 0);
  waot_store_set_fuel(g.store, 5);
  waot_store_charge(g.store, 12);
  int64_t value = 0;
  CHECK_EQUAL(guest_call(&g, "guest_empty", &value), WAOT_STATUS_OUT_OF_FUEL);
  CHECK_EQUAL(waot_store_overshoot(g.store), 7);
  waot_store_interrupt(g.store);
  waot_store_set_fuel(g.store, 0);
  waot_store_charge(g.store, 1);
  CHECK_EQUAL(guest_call(&g, "guest_empty", &value), WAOT_STATUS_OUT_OF_FUEL);
  guest_free(&g);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
    { "deadlines", test_deadline },
    { "nested deadlines", test_nested_deadlines },
    { "interrupting by identity", test_by_id },
    { "interrupting dying stores", test_dying_stores },
    { "an ending thread", test_poll },
    { "bulk operators", test_bulk },
    { "spared ticks", test_spared_ticks },
    { "ticks know what is left", test_pace },
    { "a checker that dozes", test_doze },
    { "slow first, fast afterwards", test_slow_then_fast },
    { "overshoot", test_overshoot },
  };
  return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
