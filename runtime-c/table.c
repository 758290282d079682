/* table.c - tables of references. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static struct waot_table_object *object_of(const waot_table *table) { return (struct waot_table_object *)(uintptr_t)table; }

static void fill(uint64_t *elements, uint64_t from, uint64_t to, uint64_t reference) {
  for (uint64_t i = from; i < to; i++) elements[i] = reference;
}

waot_table *waot_table_new_typed(waot_store *store, uint32_t valtype, const waot_type *ref, uint64_t min, uint64_t max, uint64_t init) {
  if (min > WAOT_MAX_TABLE_ELEMENTS || min > max || !waot_valtype_is_reference(valtype)) return NULL;
  struct waot_table_object *table = calloc(1, sizeof *table);
  uint64_t capacity = min > 0 ? min : 1;
  uint64_t *elements = table == NULL ? NULL : calloc(capacity, sizeof *elements);
  if (elements == NULL) {
    free(table);
    return NULL;
  }
  if (init != 0) fill(elements, 0, min, init);
  table->head = (struct waot_table){elements, min};
  table->capacity = capacity;
  table->max = max;
  table->valtype = valtype;
  table->ref = ref;
  table->store = store;
  table->next = store->tables;
  store->tables = table;
  return &table->head;
}

waot_table *waot_table_new(waot_store *store, uint32_t valtype, uint64_t min, uint64_t max, uint64_t init) {
  if (valtype != WAOT_VALTYPE_FUNCREF && valtype != WAOT_VALTYPE_EXTERNREF) return NULL;
  return waot_table_new_typed(store, valtype, NULL, min, max, init);
}

void waot_table_free(struct waot_table_object *table) {
  free(table->head.elements);
  free(table);
}

uint32_t waot_table_valtype(const waot_table *table) { return object_of(table)->valtype; }
const waot_type *waot_table_ref(const waot_table *table) { return object_of(table)->ref; }
uint64_t waot_table_length(const waot_table *table) { return table->length; }
uint64_t waot_table_max(const waot_table *table) { return object_of(table)->max; }

int waot_table_get(const waot_table *table, uint64_t i, uint64_t *ref) {
  if (i >= table->length) return -1;
  *ref = ((const uint64_t *)table->elements)[i];
  return 0;
}

int waot_table_set(waot_table *table, uint64_t i, uint64_t ref) {
  if (i >= table->length) return -1;
  ((uint64_t *)table->elements)[i] = ref;
  return 0;
}

int64_t waot_table_grow(waot_table *table, uint64_t delta, uint64_t init) {
  struct waot_table_object *object = object_of(table);
  uint64_t length = table->length;
  uint64_t most = object->max < WAOT_MAX_TABLE_ELEMENTS ? object->max : WAOT_MAX_TABLE_ELEMENTS;
  if (delta > most - length) return -1;
  if (length + delta > object->capacity) {
    uint64_t capacity = object->capacity * 2 > length + delta ? object->capacity * 2 : length + delta;
    if (capacity > most) capacity = most;
    uint64_t *moved = realloc(table->elements, capacity * sizeof *moved);
    if (moved == NULL) return -1;
    table->elements = moved;
    object->capacity = capacity;
  }
  fill(table->elements, length, length + delta, init);
  table->length = length + delta;
  return (int64_t)length;
}
