/* store.c - stores: what they own, and their fuel. */
#include <stdlib.h>

#include "heap.h"
#include "interrupt.h"
#include "thread.h"

waot_store *waot_store_new(void) {
  waot_store *store = calloc(1, sizeof *store);
  if (store == NULL) return NULL;
  store->limit = INT64_MAX;
  store->heap_limit = WAOT_HEAP_LIMIT;
  store->limits.fuel = -INT64_MAX;
  waot_store_register(store);
  return store;
}

void waot_store_delete(waot_store *store) {
  if (store == NULL) return;
  waot_store_unregister(store);
  for (waot_instance *at = store->instances, *next; at != NULL; at = next) {
    next = at->next;
    waot_instance_free(at);
  }
  for (struct waot_host_func *at = store->host_funcs, *next; at != NULL; at = next) {
    next = at->next;
    waot_artifact_close(at->artifact);
    free(at);
  }
  for (waot_memory *at = store->memories, *next; at != NULL; at = next) {
    next = at->next;
    waot_memory_free(at);
  }
  for (struct waot_table_object *at = store->tables, *next; at != NULL; at = next) {
    next = at->next;
    waot_table_free(at);
  }
  for (waot_global *at = store->globals, *next; at != NULL; at = next) {
    next = at->next;
    free(at);
  }
  while (store->roots != NULL) waot_root_delete(store->roots);
  waot_heap_leave(store);
  free(store);
}

/* Replaces what has been consumed beyond the limit, where the checker hears of it as well. */
static void change_fuel(waot_store *store, int64_t fuel) {
  struct waot_thread_record *thread = (struct waot_thread_record *)waot_thread_current;
  if (thread != NULL) waot_pace_refuel(&thread->pace, &store->limits, store->limits.fuel, fuel);
  store->limits.fuel = fuel;
}

int waot_store_set_fuel(waot_store *store, int64_t limit) {
  if (limit < 0) return -1;
  waot_interrupt_limit_changed(store->limit, limit);
  store->limit = limit;
  change_fuel(store, -limit);
  store->exhausted = false;
  return 0;
}

int waot_store_add_fuel(waot_store *store, int64_t n) {
  if (n < 0) return -1;
  int64_t room = INT64_MAX - store->limit;
  int64_t more = n < room ? n : room;
  if (more == 0) return 0;
  /* What ran past the limit before a call was stopped is nobody's to pay: the store has consumed its limit. */
  int64_t fuel = store->exhausted ? 0 : store->limits.fuel;
  store->exhausted = false;
  waot_interrupt_limit_changed(store->limit, store->limit + more);
  store->limit += more;
  change_fuel(store, fuel - more); /* >= -limit, as it was before: no underflow */
  return 0;
}

int waot_store_charge(waot_store *store, int64_t n) {
  if (n < 0) return -1;
  if (store->exhausted) return 0; /* consumed is the limit already */
  int64_t fuel;
  change_fuel(store, __builtin_add_overflow(store->limits.fuel, n, &fuel) ? INT64_MAX : fuel);
  return 0;
}

int64_t waot_store_consumed(const waot_store *store) {
  return store->limits.fuel > 0 ? store->limit : store->limit + store->limits.fuel;
}

int64_t waot_store_limit(const waot_store *store) { return store->limit; }

int64_t waot_store_remaining(const waot_store *store) { return store->limits.fuel > 0 ? 0 : -store->limits.fuel; }

int64_t waot_store_overshoot(const waot_store *store) { return store->overshoot; }

static bool holds_externrefs(uint32_t valtype) { return (valtype | WAOT_VALTYPE_NULLABLE) == WAOT_VALTYPE_EXTERNREF; }

/* Of a reference of the extern hierarchy: one of the any hierarchy is no handle. */
static void visit(uint64_t externref, waot_root_fn fn, void *data) {
  if (externref != 0 && (externref & WAOT_EXTERNALISED) == 0) fn(data, externref);
}

static void visit_global(const waot_global *global, waot_root_fn fn, void *data) {
  if (global != NULL && holds_externrefs(global->valtype)) visit(global->value->ref, fn, data);
}

static void visit_instance(const waot_instance *instance, waot_root_fn fn, void *data) {
  const struct waot_elem_desc *elems = instance->desc->elems;
  for (uint32_t i = instance->desc->imported_global_count; i < instance->desc->global_count; i++) visit_global(instance->globals[i], fn, data);
  for (uint32_t segment = 0; segment < instance->desc->elem_count; segment++) {
    const uint64_t *values = instance->elem_values[segment];
    if (values == NULL || !holds_externrefs((uint32_t)elems[segment].valtype)) continue;
    for (uint64_t i = 0; i < elems[segment].length; i++) visit(values[i], fn, data);
  }
}

void waot_store_visit_externrefs(waot_store *store, waot_root_fn fn, void *data) {
  for (struct waot_table_object *table = store->tables; table != NULL; table = table->next) {
    const uint64_t *elements = table->head.elements;
    if (!holds_externrefs(table->valtype)) continue;
    for (uint64_t i = 0; i < table->head.length; i++) visit(elements[i], fn, data);
  }
  for (waot_global *global = store->globals; global != NULL; global = global->next) visit_global(global, fn, data);
  for (waot_instance *instance = store->instances; instance != NULL; instance = instance->next) visit_instance(instance, fn, data);
  if (store->heap != NULL && store->heap->stores == store) heap_visit_handles(store->heap, fn, data);
}
