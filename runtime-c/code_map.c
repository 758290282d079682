/*
 * code_map.c - two sorted sets of address ranges that signal handlers can search.
 *
 * A set is an immutable sorted snapshot behind an atomic pointer. A writer, under the lock, builds the next snapshot, publishes it, and retires the old
 * one. A reader counts itself in before it loads the pointer and out when it is done, so a retired snapshot is unreachable once the count has been seen at 0
 * after the pointer was replaced; until then it stays on a list. Readers never wait, and neither do writers for readers: they try again at the next write.
 */
#include "code_map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct range {
  uintptr_t start, end; /* [start, end) */
  size_t registrations;
  struct waot_code_tables tables; /* of code */
};

struct snapshot {
  struct snapshot *next_retired;
  size_t count;
  struct range ranges[]; /* ascending by their ends; disjoint unless the set may_overlap */
};

struct range_set {
  _Atomic(struct snapshot *) current; /* NULL: empty */
  atomic_uint readers;
  struct snapshot *retired; /* under the lock */
  bool may_overlap;         /* its ranges are all of one length, so that ordering them by their ends also orders them by their starts */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range_set code;
/* V8 unmaps a memory that it has collected before we hear of it, and may use its addresses for the next one. */
static struct range_set guards = { .may_overlap = true };

/* Index of the first range that ends after `address`; count when there is none. */
static size_t find(const struct snapshot *set, uintptr_t address) {
  size_t low = 0, high = set->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (set->ranges[middle].end <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* Whether the address is in a range of the set; then *tables, unless NULL, are those of the range. */
static bool contains(struct range_set *set, uintptr_t address, struct waot_code_tables *tables) {
  /* Sequentially consistent, like the writer's exchange and its load of the count: either the writer sees this reader, or this reader sees the new snapshot. */
  atomic_fetch_add(&set->readers, 1);
  const struct snapshot *now = atomic_load(&set->current);
  bool found = false;
  if (now) {
    size_t i = find(now, address);
    found = i < now->count && __atomic_load_n(&now->ranges[i].start, __ATOMIC_RELAXED) <= address;
    if (found && tables) *tables = now->ranges[i].tables;
  }
  atomic_fetch_sub(&set->readers, 1);
  return found;
}

/* Replaces the snapshot and frees the retired ones if no reader can have one. Under the lock. */
static void publish(struct range_set *set, struct snapshot *next) {
  struct snapshot *old = atomic_exchange(&set->current, next);
  if (old) {
    old->next_retired = set->retired;
    set->retired = old;
  }
  if (atomic_load(&set->readers) != 0) return;
  while (set->retired) {
    struct snapshot *dead = set->retired;
    set->retired = dead->next_retired;
    free(dead);
  }
}

static struct snapshot *snapshot_new(size_t count) {
  struct snapshot *made = malloc(sizeof(struct snapshot) + count * sizeof(struct range));
  if (made) made->count = count;
  return made;
}

/* A copy of `now` (may be NULL) with one more range, at index i; NULL when out of memory. */
static struct snapshot *copy_with(const struct snapshot *now, size_t i, struct range added) {
  size_t count = now ? now->count : 0;
  struct snapshot *made = snapshot_new(count + 1);
  if (!made) return NULL;
  if (count) {
    memcpy(made->ranges, now->ranges, i * sizeof(struct range));
    memcpy(made->ranges + i + 1, now->ranges + i, (count - i) * sizeof(struct range));
  }
  made->ranges[i] = added;
  return made;
}

static int add(struct range_set *set, uintptr_t start, uintptr_t end, struct waot_code_tables tables) {
  if (start >= end) return -1;
  int result = -1;
  pthread_mutex_lock(&lock);
  struct snapshot *now = atomic_load(&set->current);
  size_t i = now ? find(now, end - 1) : 0; /* the first that does not end before this one does */
  struct range *at = now && i < now->count ? &now->ranges[i] : NULL;
  bool overlaps = (at && at->start < end) || (now && i > 0 && now->ranges[i - 1].end > start);
  if (at && at->start == start && at->end == end) {
    at->registrations++; /* readers don't look at it */
    result = 0;
  } else if (!overlaps || set->may_overlap) {
    struct snapshot *next = copy_with(now, i, (struct range){ start, end, 1, tables });
    if (next) {
      publish(set, next);
      result = 0;
    }
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static void drop(struct range_set *set, uintptr_t start, uintptr_t end) {
  pthread_mutex_lock(&lock);
  struct snapshot *now = atomic_load(&set->current);
  size_t i = now ? find(now, end - 1) : 0;
  if (now && i < now->count && now->ranges[i].start == start && now->ranges[i].end == end && --now->ranges[i].registrations == 0) {
    struct snapshot *next = now->count > 1 ? snapshot_new(now->count - 1) : NULL;
    if (next) {
      memcpy(next->ranges, now->ranges, i * sizeof(struct range));
      memcpy(next->ranges + i, now->ranges + i + 1, (now->count - 1 - i) * sizeof(struct range));
      publish(set, next);
    } else if (now->count == 1) {
      publish(set, NULL);
    } else {
      /* Out of memory: the range must not outlive its mapping. Empty it in place; a reader sees the old end or the new one, and the order of ends stays. */
      __atomic_store_n(&now->ranges[i].start, end, __ATOMIC_SEQ_CST);
    }
  }
  pthread_mutex_unlock(&lock);
}

static const struct waot_code_tables no_tables;

int waot_code_register(const void *start, const void *end) { return add(&code, (uintptr_t)start, (uintptr_t)end, no_tables); }
int waot_code_register_tables(const void *start, const void *end, const struct waot_code_tables *tables) { return add(&code, (uintptr_t)start, (uintptr_t)end, *tables); }
void waot_code_unregister(const void *start, const void *end) { drop(&code, (uintptr_t)start, (uintptr_t)end); }
bool waot_code_contains(const void *pc) { return contains(&code, (uintptr_t)pc, NULL); }
struct waot_code_tables waot_code_tables_at(const void *pc) {
  struct waot_code_tables tables = no_tables;
  contains(&code, (uintptr_t)pc, &tables);
  return tables;
}

int waot_guard_register(void *base, size_t size) { return add(&guards, (uintptr_t)base, (uintptr_t)base + size, no_tables); }
void waot_guard_unregister(void *base, size_t size) { drop(&guards, (uintptr_t)base, (uintptr_t)base + size); }
bool waot_guard_contains(const void *address) { return contains(&guards, (uintptr_t)address, NULL); }

void waot_code_map_fork_prepare(void) { pthread_mutex_lock(&lock); }
void waot_code_map_fork_parent(void) { pthread_mutex_unlock(&lock); }
void waot_code_map_fork_child(void) {
  pthread_mutex_init(&lock, NULL);
  /* Readers of the parent's other threads don't exist here, and this one is in fork(). */
  atomic_store(&code.readers, 0);
  atomic_store(&guards.readers, 0);
}
