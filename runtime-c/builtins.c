/*
 * builtins.c - operators that compiled code leaves to the runtime. The trampolines of enter_x64.S call these on the thread that runs wasm, with the
 * fuel flushed, as for a host function. Results of bulk operators: 0, or 1 for out of bounds, of which nothing has been written (spec 2.0, 4.4.6 and 4.4.7).
 *
 * No tick finds the thread in here, so long work looks itself, once a PIECE, at what a tick would look at. It then stops where it is: the trampoline finds the interruption when the
 * builtin returns, whatever that returns, and ends the activation.
 */
#include <string.h>

#include "bulk.h"
#include "interrupt.h"
#include "thread.h"

/* Bytes of bulk work between two looks: some 100 us where every page is touched for the first time. */
#define PIECE (UINT64_C(1) << 20)
/* What an operator that asks the host counts as. */
#define HOST_WORK (UINT64_C(1) << 14)

static waot_instance *instance_of(void *vmctx) { return ((struct waot_vmctx *)vmctx)->instance; }

bool waot_bulk_is_stopped_after(uint64_t bytes) {
  struct waot_thread_record *thread = (struct waot_thread_record *)waot_thread_current;
  if (thread == NULL) return false;
  thread->bulk_work += bytes;
  if (thread->bulk_work < PIECE) return false;
  thread->bulk_work = 0;
  return waot_interrupt_check(thread);
}

static uint64_t piece_of(uint64_t count) { return count < PIECE ? count : PIECE; }

void waot_bulk_fill(uint8_t *at, int byte, uint64_t count) {
  for (uint64_t n; count > 0; at += n, count -= n) {
    n = piece_of(count);
    memset(at, byte, n);
    if (waot_bulk_is_stopped_after(n)) return;
  }
}
void waot_bulk_copy(uint8_t *to, const uint8_t *from, uint64_t count) {
  bool backwards = (uintptr_t)to - (uintptr_t)from < count; /* to lies in what is to be read */
  for (uint64_t n; count > 0; count -= n) {
    n = piece_of(count);
    if (backwards) {
      memmove(to + (count - n), from + (count - n), n);
    } else {
      memmove(to, from, n);
      to += n;
      from += n;
    }
    if (waot_bulk_is_stopped_after(n)) return;
  }
}

int64_t waot_builtin_memory_size(void *vmctx, uint32_t memory) {
  return (int64_t)(waot_memory_length(instance_of(vmctx)->memories[memory]) / WAOT_PAGE_SIZE);
}

int64_t waot_builtin_memory_grow(void *vmctx, uint32_t memory, uint64_t delta) {
  int64_t pages = waot_memory_grow(instance_of(vmctx)->memories[memory], delta);
  waot_bulk_is_stopped_after(HOST_WORK);
  return pages;
}

int32_t waot_builtin_memory_fill(void *vmctx, uint32_t memory, uint64_t start, uint32_t byte, uint64_t count) {
  waot_memory *to = instance_of(vmctx)->memories[memory];
  if (!waot_memory_in_bounds(to, start, count)) return 1;
  waot_bulk_fill(to->base + start, (int)(byte & 0xff), count);
  return 0;
}

int32_t waot_builtin_memory_copy(void *vmctx, uint32_t to_memory, uint32_t from_memory, uint64_t to, uint64_t from, uint64_t count) {
  waot_memory *target = instance_of(vmctx)->memories[to_memory];
  waot_memory *source = instance_of(vmctx)->memories[from_memory];
  if (!waot_memory_in_bounds(target, to, count) || !waot_memory_in_bounds(source, from, count)) return 1;
  waot_bulk_copy(target->base + to, source->base + from, count);
  return 0;
}

static bool memory_init_fits(waot_instance *instance, uint32_t memory, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  return waot_bulk_fits(instance->data_lengths[segment], from, count) && waot_memory_in_bounds(instance->memories[memory], to, count);
}
static const uint8_t *data_of(const waot_instance *instance, uint32_t segment) { return ((const struct waot_data_desc *)instance->desc->datas)[segment].bytes; }

bool waot_instance_memory_init(waot_instance *instance, uint32_t memory, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  if (!memory_init_fits(instance, memory, segment, to, from, count)) return false;
  if (count > 0) memcpy(instance->memories[memory]->base + to, data_of(instance, segment) + from, count);
  return true;
}

int32_t waot_builtin_memory_init(void *vmctx, uint32_t memory, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  waot_instance *instance = instance_of(vmctx);
  if (!memory_init_fits(instance, memory, segment, to, from, count)) return 1;
  if (count > 0) waot_bulk_copy(instance->memories[memory]->base + to, data_of(instance, segment) + from, count);
  return 0;
}

void waot_builtin_data_drop(void *vmctx, uint32_t segment) { instance_of(vmctx)->data_lengths[segment] = 0; }

int64_t waot_builtin_table_grow(void *vmctx, uint32_t table, uint64_t init, uint64_t delta) {
  int64_t length = waot_table_grow(&instance_of(vmctx)->tables[table]->head, delta, init);
  waot_bulk_is_stopped_after(delta * sizeof(uint64_t));
  return length;
}

int32_t waot_builtin_table_fill(void *vmctx, uint32_t table, uint64_t start, uint64_t reference, uint64_t count) {
  struct waot_table *to = &instance_of(vmctx)->tables[table]->head;
  if (!waot_bulk_fits(to->length, start, count)) return 1;
  uint64_t *at = (uint64_t *)to->elements + start;
  for (uint64_t left = count, n; left > 0; at += n, left -= n) {
    n = piece_of(left * sizeof *at) / sizeof *at;
    for (uint64_t i = 0; i < n; i++) at[i] = reference;
    if (waot_bulk_is_stopped_after(n * sizeof *at)) break;
  }
  return 0;
}

int32_t waot_builtin_table_copy(void *vmctx, uint32_t to_table, uint32_t from_table, uint64_t to, uint64_t from, uint64_t count) {
  struct waot_table *target = &instance_of(vmctx)->tables[to_table]->head;
  struct waot_table *source = &instance_of(vmctx)->tables[from_table]->head;
  if (!waot_bulk_fits(target->length, to, count) || !waot_bulk_fits(source->length, from, count)) return 1;
  waot_bulk_copy((uint8_t *)((uint64_t *)target->elements + to), (const uint8_t *)((const uint64_t *)source->elements + from), count * sizeof(uint64_t));
  return 0;
}

static bool table_init_fits(const waot_instance *instance, uint32_t table, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  return waot_bulk_fits(instance->elem_lengths[segment], from, count) && waot_bulk_fits(instance->tables[table]->head.length, to, count);
}

uint64_t waot_elem_ref(const waot_instance *instance, uint32_t segment, uint64_t i) {
  const struct waot_elem_desc *elem = (const struct waot_elem_desc *)instance->desc->elems + segment;
  return instance->elem_values[segment] != NULL ? instance->elem_values[segment][i] : waot_const_value(instance, (const struct waot_const_expr *)elem->items + i).ref;
}

bool waot_instance_table_init(waot_instance *instance, uint32_t table, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  struct waot_table *target = &instance->tables[table]->head;
  if (!table_init_fits(instance, table, segment, to, from, count)) return false;
  for (uint64_t i = 0; i < count; i++) ((uint64_t *)target->elements)[to + i] = waot_elem_ref(instance, segment, from + i);
  return true;
}

int32_t waot_builtin_table_init(void *vmctx, uint32_t table, uint32_t segment, uint64_t to, uint64_t from, uint64_t count) {
  waot_instance *instance = instance_of(vmctx);
  if (!table_init_fits(instance, table, segment, to, from, count)) return 1;
  for (uint64_t n; count > 0; to += n, from += n, count -= n) {
    n = piece_of(count * sizeof(uint64_t)) / sizeof(uint64_t);
    waot_instance_table_init(instance, table, segment, to, from, n);
    if (waot_bulk_is_stopped_after(n * sizeof(uint64_t))) break;
  }
  return 0;
}

void waot_builtin_elem_drop(void *vmctx, uint32_t segment) { waot_elem_drop(instance_of(vmctx), segment); }
