/*
 * memory.c - linear memories: the runtime's own, and adopted ones (in Node, a WebAssembly.Memory of V8).
 *
 * Compiled code makes no bounds checks: it can reach WAOT_REACHABLE bytes from the base, and relies on every byte past the length to fault. The fault
 * handler takes a fault for an out-of-bounds access when its address lies in a registered guard region (code_map.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "code_map.h"
#include "internal.h"
#include "os.h"

/* Makes the object for a memory that is in place, and registers its guard region. NULL with *error when out of memory. */
static waot_memory *add_memory(waot_store *store, void *base, uint64_t length, uint64_t max_pages, const waot_memory_ops *ops, waot_error *error) {
  waot_memory *memory = calloc(1, sizeof *memory);
  if (memory == NULL || waot_guard_register(base, WAOT_REACHABLE) != 0) {
    free(memory);
    waot_error_set(error, WAOT_ERROR_MEMORY, 0, "out of memory for a linear memory");
    return NULL;
  }
  *memory = (waot_memory){.base = base, .length = length, .max_pages = max_pages, .store = store, .next = store->memories};
  if (ops != NULL) memory->ops = *ops;
  store->memories = memory;
  return memory;
}

waot_memory *waot_memory_new(waot_store *store, uint64_t min_pages, uint64_t max_pages, waot_error *error) {
  if (min_pages > WAOT_MAX_PAGES || min_pages > max_pages) {
    waot_error_set(error, WAOT_ERROR_MEMORY, 0, "a memory cannot have a minimum of %" PRIu64 " pages and a maximum of %" PRIu64, min_pages, max_pages);
    return NULL;
  }
  void *base = mmap(NULL, WAOT_RESERVATION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    waot_error_set(error, WAOT_ERROR_MEMORY, 0, "cannot reserve the address space of a linear memory: %s", strerror(errno));
    return NULL;
  }
  uint64_t length = min_pages * WAOT_PAGE_SIZE;
  waot_memory *memory = NULL;
  if (length > 0 && mprotect(base, length, PROT_READ | PROT_WRITE) != 0) {
    waot_error_set(error, WAOT_ERROR_MEMORY, 0, "cannot allocate %" PRIu64 " pages of linear memory: %s", min_pages, strerror(errno));
  } else {
    memory = add_memory(store, base, length, max_pages, NULL, error);
  }
  if (memory == NULL) munmap(base, WAOT_RESERVATION);
  return memory;
}

/* A check of the mappings under a memory. */
struct reservation {
  uintptr_t at, end, data_end; /* everything below `at` is checked; bytes up to data_end must be readable and writable, those from there on must fault */
  const char *fault;
};

/* Checks one mapping. */
static bool check_mapping(void *data, const struct waot_os_mapping *mapping) {
  struct reservation *r = data;
  if (mapping->start > r->at) return false; /* a hole */
  uintptr_t end = mapping->end < r->end ? mapping->end : r->end;
  if (r->at < r->data_end && !(mapping->readable && mapping->writable)) r->fault = "its bytes are not all readable and writable";
  else if (end > r->data_end && (mapping->readable || mapping->writable || mapping->executable)) r->fault = "memory behind its end is accessible, so out-of-bounds accesses would not fault";
  r->at = end;
  return r->fault == NULL && r->at < r->end;
}

/* Checks in one pass over the process's mappings that [base, base + WAOT_REACHABLE) is mapped without a hole (in which the system could place something else
 * later), is accessible up to length and is not from there on. NULL, or what is wrong. */
static const char *reservation_fault(uintptr_t base, uint64_t length) {
  struct reservation r = {.at = base, .end = base + WAOT_REACHABLE, .data_end = base + length};
  if (waot_os_each_mapping(base, check_mapping, &r) != 0) return "the mappings of the process cannot be read to check its guard region";
  return r.fault != NULL || r.at >= r.end ? r.fault : "its address space is not reserved to 8 GiB from its base";
}

waot_memory *waot_memory_adopt(waot_store *store, void *base, uint64_t max_pages, const waot_memory_ops *ops, waot_error *error) {
  if (base == NULL || ops == NULL || ops->length == NULL || ops->grow == NULL) {
    waot_error_set(error, WAOT_ERROR_ARGUMENT, 0, "a memory to adopt needs a base and both operations");
    return NULL;
  }
  uint64_t length = ops->length(ops->data);
  const char *fault = NULL;
  if (length > WAOT_MAX_PAGES * WAOT_PAGE_SIZE || length % WAOT_PAGE_SIZE != 0) fault = "its length is not a whole number of pages, up to 65536";
  else if ((uintptr_t)base % 4096 != 0 || (uintptr_t)base > UINTPTR_MAX - WAOT_REACHABLE) fault = "its base is not that of a page";
  else fault = reservation_fault((uintptr_t)base, length);
  if (fault != NULL) {
    waot_error_set(error, WAOT_ERROR_MEMORY, 0, "cannot use the memory at %p of %" PRIu64 " bytes: %s", base, length, fault);
    return NULL;
  }
  return add_memory(store, base, length, max_pages, ops, error);
}

void waot_memory_free(waot_memory *memory) {
  waot_guard_unregister(memory->base, WAOT_REACHABLE);
  if (memory->ops.length == NULL) munmap(memory->base, WAOT_RESERVATION);
  free(memory);
}

uint8_t *waot_memory_base(const waot_memory *memory) { return memory->base; }

uint64_t waot_memory_length(waot_memory *memory) {
  if (memory->ops.length != NULL) memory->length = memory->ops.length(memory->ops.data);
  return memory->length;
}

uint64_t waot_memory_max(const waot_memory *memory) { return memory->max_pages; }

bool waot_memory_in_bounds(waot_memory *memory, uint64_t start, uint64_t count) {
  if (start <= memory->length && count <= memory->length - start) return true;
  if (memory->ops.length == NULL) return false;
  uint64_t length = waot_memory_length(memory);
  return start <= length && count <= length - start;
}

static int64_t grow_own(waot_memory *memory, uint64_t delta_pages) {
  uint64_t pages = memory->length / WAOT_PAGE_SIZE;
  uint64_t most = memory->max_pages < WAOT_MAX_PAGES ? memory->max_pages : WAOT_MAX_PAGES;
  if (delta_pages > most - pages) return -1;
  uint64_t more = delta_pages * WAOT_PAGE_SIZE;
  if (more > 0 && mprotect(memory->base + memory->length, more, PROT_READ | PROT_WRITE) != 0) return -1;
  memory->length += more;
  return (int64_t)pages;
}

int64_t waot_memory_grow(waot_memory *memory, uint64_t delta_pages) {
  if (memory->ops.grow == NULL) return grow_own(memory, delta_pages);
  int64_t pages = memory->ops.grow(memory->ops.data, delta_pages);
  waot_memory_length(memory);
  return pages;
}
