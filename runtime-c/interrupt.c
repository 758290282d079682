/*
 * interrupt.c - stopping a store from outside without fuel: flags with reasons, deadlines, and identities that are safe to use from any thread.
 *
 * limits.interrupt is a set of WAOT_INTERRUPT_* bits; compiled code's trampolines and the tick handler only ask whether it is zero. Deadlines cost compiled code
 * nothing: the checker, which wakes once a period while wasm runs and there are any, turns those that have passed into the bit TIMEOUT.
 */
#include "interrupt.h"

#include <pthread.h>
#include <time.h>

/* Of the registry, and of every change of a deadline. Held for short walks only; the checker takes it while it scans. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct waot_store *stores;
static uint64_t last_id;
static size_t deadlines; /* stores that have one; read without the lock to skip the scan */

int64_t waot_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Stores that are interrupted, and stores whose fuel has a limit: the checker ticks accordingly. */
static size_t interrupted_stores, limited_stores;
static void count(size_t *stores, bool before, bool now) {
  if (before != now) __atomic_fetch_add(stores, now ? 1 : (size_t)-1, __ATOMIC_SEQ_CST);
}

void waot_interrupt_add(struct waot_limits *limits, uint32_t why) {
  uint32_t before = __atomic_fetch_or(&limits->interrupt, why, __ATOMIC_SEQ_CST);
  count(&interrupted_stores, before != 0, (before | why) != 0);
}
static void add_reasons(struct waot_store *store, uint32_t why) { waot_interrupt_add(&store->limits, why); }
static void drop_reasons(struct waot_store *store, uint32_t why) {
  uint32_t before = __atomic_fetch_and(&store->limits.interrupt, ~why, __ATOMIC_SEQ_CST);
  count(&interrupted_stores, before != 0, (before & ~why) != 0);
}

void waot_interrupt_limit_changed(int64_t before, int64_t now) { count(&limited_stores, before != INT64_MAX, now != INT64_MAX); }
bool waot_interrupt_is_any(void) { return __atomic_load_n(&interrupted_stores, __ATOMIC_SEQ_CST) != 0; }
bool waot_interrupt_is_any_limited(void) { return __atomic_load_n(&limited_stores, __ATOMIC_SEQ_CST) != 0; }

void waot_store_register(struct waot_store *store) {
  pthread_mutex_lock(&lock);
  store->id = ++last_id; /* 64 bits: never used again */
  store->next_store = stores;
  if (stores != NULL) stores->prev_store = store;
  stores = store;
  pthread_mutex_unlock(&lock);
}

void waot_store_unregister(struct waot_store *store) {
  pthread_mutex_lock(&lock);
  if (store->deadline != 0) __atomic_fetch_sub(&deadlines, 1, __ATOMIC_RELAXED);
  if (store->prev_store != NULL) store->prev_store->next_store = store->next_store;
  else stores = store->next_store;
  if (store->next_store != NULL) store->next_store->prev_store = store->prev_store;
  pthread_mutex_unlock(&lock); /* from now on nobody else can interrupt it */
  drop_reasons(store, ~0u);
  waot_interrupt_limit_changed(store->limit, INT64_MAX);
}

uint64_t waot_store_id(const waot_store *store) { return store->id; }

void waot_store_interrupt_for(waot_store *store, uint32_t why) {
  add_reasons(store, why);
  waot_checker_rouse();
}
void waot_store_clear_interrupt_for(waot_store *store, uint32_t why) { drop_reasons(store, why & ~(uint32_t)WAOT_INTERRUPT_TIMEOUT); }
void waot_store_interrupt(waot_store *store) { waot_store_interrupt_for(store, WAOT_INTERRUPT_REQUEST); }
void waot_store_clear_interrupt(waot_store *store) { drop_reasons(store, WAOT_INTERRUPT_REQUEST); }
uint32_t waot_store_interrupts(const waot_store *store) { return __atomic_load_n(&store->limits.interrupt, __ATOMIC_ACQUIRE); }

int waot_interrupt_by_id(uint64_t id, uint32_t why) {
  pthread_mutex_lock(&lock);
  struct waot_store *store = stores;
  while (store != NULL && store->id != id) store = store->next_store;
  if (store != NULL) add_reasons(store, why); /* under the lock: it cannot be freed meanwhile */
  pthread_mutex_unlock(&lock);
  waot_checker_rouse();
  return store != NULL ? 0 : -1;
}

int64_t waot_store_deadline(const waot_store *store) { return store->deadline; }

void waot_store_set_deadline(waot_store *store, int64_t deadline_ns) {
  pthread_mutex_lock(&lock);
  if (store->deadline != 0) __atomic_fetch_sub(&deadlines, 1, __ATOMIC_RELAXED);
  store->deadline = deadline_ns < 0 ? 1 : deadline_ns;
  if (store->deadline != 0) __atomic_fetch_add(&deadlines, 1, __ATOMIC_RELAXED);
  if (store->deadline != 0 && waot_now_ns() >= store->deadline) add_reasons(store, WAOT_INTERRUPT_TIMEOUT);
  else drop_reasons(store, WAOT_INTERRUPT_TIMEOUT);
  pthread_mutex_unlock(&lock);
}

bool waot_deadlines_are_any(void) { return __atomic_load_n(&deadlines, __ATOMIC_RELAXED) != 0; }

void waot_deadlines_check(void) {
  if (!waot_deadlines_are_any()) return;
  pthread_mutex_lock(&lock);
  int64_t now = waot_now_ns();
  for (struct waot_store *store = stores; store != NULL; store = store->next_store) {
    if (store->deadline != 0 && now >= store->deadline) add_reasons(store, WAOT_INTERRUPT_TIMEOUT);
  }
  pthread_mutex_unlock(&lock);
}

bool waot_interrupt_check(const struct waot_thread_record *thread) {
  const struct waot_activation *newest = thread->head.top;
  if (newest == NULL) return false;
  struct waot_store *store = newest->limits; /* its first member */
  if (store->deadline != 0 && waot_now_ns() >= store->deadline) add_reasons(store, WAOT_INTERRUPT_TIMEOUT);
  if (waot_thread_is_ending(thread)) add_reasons(store, WAOT_INTERRUPT_ENDING);
  return waot_store_interrupts(store) != 0;
}

void waot_interrupt_fork_prepare(void) { pthread_mutex_lock(&lock); }
void waot_interrupt_fork_parent(void) { pthread_mutex_unlock(&lock); }
void waot_interrupt_fork_child(void) { pthread_mutex_init(&lock, NULL); }
