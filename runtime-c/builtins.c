/*
 * builtins.c - operators that compiled code leaves to the runtime. The trampolines of enter_x64.S call these on the thread that runs wasm, with the
 * fuel flushed, as for a host function. Results of bulk operators: 0, or 1 for out of bounds, of which nothing has been written (spec 2.0, 4.4.6 and 4.4.7).
 */
#include <string.h>

#include "internal.h"

static waot_instance *instance_of(void *vmctx) { return ((struct waot_vmctx *)vmctx)->instance; }

/* Whether [start, start + count) lies in an array of this length. */
static bool fits(uint64_t length, uint64_t start, uint64_t count) { return start <= length && count <= length - start; }

int64_t waot_builtin_memory_size(void *vmctx, uint32_t memory) {
  return (int64_t)(waot_memory_length(instance_of(vmctx)->memories[memory]) / WAOT_PAGE_SIZE);
}

int64_t waot_builtin_memory_grow(void *vmctx, uint32_t memory, uint64_t delta) {
  return waot_memory_grow(instance_of(vmctx)->memories[memory], delta);
}

int32_t waot_builtin_memory_fill(void *vmctx, uint32_t memory, uint64_t start, uint32_t byte, uint64_t count) {
  waot_memory *to = instance_of(vmctx)->memories[memory];
  if (!waot_memory_in_bounds(to, start, count)) return 1;
  memset(to->base + start, (int)(byte & 0xff), count);
  return 0;
}

int32_t waot_builtin_memory_copy(void *vmctx, uint32_t to_memory, uint32_t from_memory, uint64_t to, uint64_t from, uint64_t count) {
  waot_memory *target = instance_of(vmctx)->memories[to_memory];
  waot_memory *source = instance_of(vmctx)->memories[from_memory];
  if (!waot_memory_in_bounds(target, to, count) || !waot_memory_in_bounds(source, from, count)) return 1;
  memmove(target->base + to, source->base + from, count);
  return 0;
}

bool waot_instance_memory_init(waot_instance *instance, uint32_t memory, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  waot_memory *target = instance->memories[memory];
  const struct waot_data_desc *data = (const struct waot_data_desc *)instance->desc->datas + segment;
  if (!fits(instance->data_lengths[segment], from, count) || !waot_memory_in_bounds(target, to, count)) return false;
  if (count > 0) memcpy(target->base + to, (const uint8_t *)data->bytes + from, count);
  return true;
}

int32_t waot_builtin_memory_init(void *vmctx, uint32_t memory, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  return !waot_instance_memory_init(instance_of(vmctx), memory, segment, to, from, count);
}

void waot_builtin_data_drop(void *vmctx, uint32_t segment) { instance_of(vmctx)->data_lengths[segment] = 0; }

int64_t waot_builtin_table_grow(void *vmctx, uint32_t table, uint64_t init, uint64_t delta) {
  return waot_table_grow(&instance_of(vmctx)->tables[table]->head, delta, init);
}

int32_t waot_builtin_table_fill(void *vmctx, uint32_t table, uint64_t start, uint64_t reference, uint64_t count) {
  struct waot_table *to = &instance_of(vmctx)->tables[table]->head;
  if (!fits(to->length, start, count)) return 1;
  for (uint64_t i = 0; i < count; i++) ((uint64_t *)to->elements)[start + i] = reference;
  return 0;
}

int32_t waot_builtin_table_copy(void *vmctx, uint32_t to_table, uint32_t from_table, uint64_t to, uint64_t from, uint64_t count) {
  struct waot_table *target = &instance_of(vmctx)->tables[to_table]->head;
  struct waot_table *source = &instance_of(vmctx)->tables[from_table]->head;
  if (!fits(target->length, to, count) || !fits(source->length, from, count)) return 1;
  memmove((uint64_t *)target->elements + to, (const uint64_t *)source->elements + from, count * sizeof(uint64_t));
  return 0;
}

bool waot_instance_table_init(waot_instance *instance, uint32_t table, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  struct waot_table *target = &instance->tables[table]->head;
  const struct waot_elem_desc *elem = (const struct waot_elem_desc *)instance->desc->elems + segment;
  if (!fits(instance->elem_lengths[segment], from, count) || !fits(target->length, to, count)) return false;
  const struct waot_const_expr *items = elem->items;
  for (uint64_t i = 0; i < count; i++) ((uint64_t *)target->elements)[to + i] = waot_const_eval(instance, &items[from + i]).ref;
  return true;
}

int32_t waot_builtin_table_init(void *vmctx, uint32_t table, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  return !waot_instance_table_init(instance_of(vmctx), table, segment, to, from, count);
}

void waot_builtin_elem_drop(void *vmctx, uint32_t segment) { instance_of(vmctx)->elem_lengths[segment] = 0; }
