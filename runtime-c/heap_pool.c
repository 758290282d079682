/*
 * heap_pool.c - the address space of all garbage-collected heaps, reserved once for the process, on first use. So whether an address is in a heap, and in whose, is one comparison and
 * one look into a table.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "heap.h"

/* Address space to reserve; half as much, and again, where the system refuses. */
#define POOL_MOST (UINT64_C(64) << 30)
#define POOL_LEAST (UINT64_C(64) << 20)

/* A chunk of the pool. The owner is read without the lock: by a thread that looks for its own heap, which only that thread makes, or ends to be, the owner. */
struct slot {
  struct waot_heap *owner; /* NULL: free */
  struct heap_chunk *chunk;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t pool_base; /* written once, before anybody has a heap with chunks */
static size_t slot_count;
static struct slot *slots;
static size_t first_free; /* no slot below is free */

static void *reserve_memory(size_t size, int protection) {
  void *at = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? NULL : at;
}

/* Under the lock. */
static bool open_pool(void) {
  if (slots != NULL) return true;
  for (uint64_t size = POOL_MOST; size >= POOL_LEAST; size /= 2) {
    void *base = reserve_memory(size + HEAP_CHUNK, PROT_NONE); /* room to align it */
    if (base == NULL) continue;
    size_t count = size / HEAP_CHUNK;
    slots = reserve_memory(count * sizeof *slots, PROT_READ | PROT_WRITE);
    if (slots == NULL) {
      munmap(base, size + HEAP_CHUNK);
      return false;
    }
    pool_base = ((uintptr_t)base + HEAP_CHUNK - 1) & ~(uintptr_t)(HEAP_CHUNK - 1);
    slot_count = count;
    return true;
  }
  return false;
}

/* The first of `count` neighbouring free slots; slot_count when there are none. */
static size_t find_free(size_t count) {
  size_t run = 0;
  for (size_t i = first_free; i < slot_count; i++) {
    run = slots[i].owner == NULL ? run + 1 : 0;
    if (run == count) return i + 1 - count;
  }
  return slot_count;
}

static void set_owner(struct slot *slot, struct waot_heap *heap) { __atomic_store_n(&slot->owner, heap, __ATOMIC_RELAXED); }

uint8_t *heap_pool_take(struct waot_heap *heap, struct heap_chunk *chunk, size_t count) {
  uint8_t *base = NULL;
  pthread_mutex_lock(&lock);
  size_t at = open_pool() ? find_free(count) : slot_count;
  if (at < slot_count) base = (uint8_t *)(pool_base + at * HEAP_CHUNK);
  if (base != NULL && mprotect(base, count * HEAP_CHUNK, PROT_READ | PROT_WRITE) != 0) base = NULL;
  for (size_t i = at; base != NULL && i < at + count; i++) {
    slots[i].chunk = chunk;
    set_owner(&slots[i], heap);
  }
  if (base != NULL && at == first_free) first_free = at + count;
  pthread_mutex_unlock(&lock);
  return base;
}

void heap_pool_give(uint8_t *base, size_t count) {
  size_t at = ((uintptr_t)base - pool_base) / HEAP_CHUNK;
  pthread_mutex_lock(&lock);
  /* A new mapping drops the memory, and will be of zeros. Without it - the system has no room for one more - the chunks stay taken, by nobody. */
  bool dropped = mmap(base, count * HEAP_CHUNK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
  for (size_t i = at; i < at + count; i++) set_owner(&slots[i], dropped ? NULL : (struct waot_heap *)(uintptr_t)-1);
  if (dropped && at < first_free) first_free = at;
  pthread_mutex_unlock(&lock);
}

void heap_pool_pass(uint8_t *base, size_t count, struct waot_heap *to) {
  size_t at = ((uintptr_t)base - pool_base) / HEAP_CHUNK;
  pthread_mutex_lock(&lock);
  for (size_t i = at; i < at + count; i++) set_owner(&slots[i], to);
  pthread_mutex_unlock(&lock);
}

struct heap_chunk *heap_pool_find(const struct waot_heap *heap, uintptr_t address) {
  uintptr_t offset = address - pool_base;
  if (offset >= slot_count * HEAP_CHUNK) return NULL;
  const struct slot *slot = &slots[offset / HEAP_CHUNK];
  return __atomic_load_n(&slot->owner, __ATOMIC_RELAXED) == heap ? slot->chunk : NULL;
}

void waot_heap_fork_prepare(void) { pthread_mutex_lock(&lock); }
void waot_heap_fork_parent(void) { pthread_mutex_unlock(&lock); }
void waot_heap_fork_child(void) { pthread_mutex_init(&lock, NULL); }
