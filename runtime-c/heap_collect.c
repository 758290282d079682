/*
 * heap_collect.c - which objects can be reached, and freeing the others: mark and sweep, without moving anything.
 *
 * Where the compiler and C put references on the stack is not known, so all of the thread's stack is looked at, and what could be the address of an object, or of something inside one, keeps it:
 * some garbage may so be kept, nothing that is alive is missed. References in objects are found by their types.
 */
#include <stdlib.h>
#include <string.h>

#include "heap.h"
#include "interrupt.h"
#include "thread.h"

/* References of an array that are looked at before the rest of it goes back onto the work list. */
#define ARRAY_PIECE 256
/* Pieces of work between two looks for interruptions. */
#define PIECES_PER_LOOK 1024
#define SPOILT 0xdd

bool waot_heap_stress;
size_t waot_heap_work_max;

void waot_heap_set_stress(int on) { waot_heap_stress = on != 0; }

/* --- marking ---------------------------------------------------------------------------------------------------------- */

static bool make_work_room(struct waot_heap *heap) {
  size_t most = waot_heap_work_max > 0 ? waot_heap_work_max : HEAP_WORK_MAX;
  if (heap->work_count < heap->work_capacity && heap->work_count < most) return true;
  size_t capacity = heap->work_capacity * 2;
  if (heap->work_count >= most || capacity > HEAP_WORK_MAX) return false;
  struct heap_work *work = realloc(heap->work, capacity * sizeof *work);
  if (work == NULL) return false;
  heap->work = work;
  heap->work_capacity = capacity;
  return true;
}

static void add_work(struct waot_heap *heap, struct waot_object *object, uint64_t from) {
  if (make_work_room(heap)) heap->work[heap->work_count++] = (struct heap_work){object, from};
  else heap->has_overflowed = true;
}

/* Marks the object that a value refers to, whatever the value is. */
static void mark(struct waot_heap *heap, uint64_t value) {
  struct heap_place at = heap_find(heap, (uintptr_t)(value & ~WAOT_EXTERNALISED));
  uint64_t bit = UINT64_C(1) << (at.cell % 64);
  if (at.object == NULL || (at.block->marked[at.cell / 64] & bit) != 0) return;
  at.block->marked[at.cell / 64] |= bit;
  if (((const waot_type *)at.object->type)->ref_count > 0) add_work(heap, at.object, 0);
}

/* Marks what an object refers to, or part of it. */
static void look_into(struct waot_heap *heap, struct waot_object *object, uint64_t from) {
  const waot_type *type = object->type;
  if (type->ref_count == 0) return;
  if (type->kind == WAOT_TYPE_ARRAY) {
    const uint64_t *elements = (const uint64_t *)(const void *)((const char *)object + type->ref_offsets[0]);
    uint64_t end = object->length - from > ARRAY_PIECE ? from + ARRAY_PIECE : object->length;
    if (end < object->length) add_work(heap, object, end);
    for (uint64_t i = from; i < end; i++) mark(heap, elements[i]);
  } else {
    for (uint32_t i = 0; i < type->ref_count; i++) mark(heap, *(const uint64_t *)(const void *)((const char *)object + type->ref_offsets[i]));
  }
}

/* Works the list off. False when the activation is to end, if that is to be looked at. */
static bool work_off(struct waot_heap *heap, bool may_stop) {
  for (uint64_t done = 1; heap->work_count > 0; done++) {
    struct heap_work next = heap->work[--heap->work_count];
    look_into(heap, next.object, next.from);
    if (may_stop && done % PIECES_PER_LOOK == 0 && waot_interrupt_check((const struct waot_thread_record *)waot_thread_current)) return false;
  }
  return true;
}

/* Looks into all marked objects of a block: those that did not fit into the list are among them. */
static bool look_into_block(struct waot_heap *heap, const struct heap_block *block, bool may_stop) {
  for (uint32_t cell = 0; cell < block->cell_count; cell++) {
    if ((block->marked[cell / 64] >> (cell % 64) & 1) == 0) continue;
    look_into(heap, (struct waot_object *)(void *)(block->base + cell * block->cell_size), 0);
    if (!work_off(heap, may_stop)) return false;
  }
  return true;
}

static bool is_in_use(const struct heap_block *block) { return block->kind == HEAP_CELLS || block->kind == HEAP_LARGE; }

static bool mark_all(struct waot_heap *heap, bool may_stop) {
  if (!work_off(heap, may_stop)) return false;
  while (heap->has_overflowed) {
    heap->has_overflowed = false;
    for (struct heap_chunk *chunk = heap->chunks; chunk != NULL; chunk = chunk->next) {
      for (struct heap_block *block = chunk->blocks; block < chunk->blocks + chunk->block_count; block++) {
        if (is_in_use(block) && !look_into_block(heap, block, may_stop)) return false;
      }
    }
  }
  return true;
}

/* --- roots ------------------------------------------------------------------------------------------------------------ */

static void mark_global(struct waot_heap *heap, const waot_global *global) {
  if (global != NULL && waot_valtype_is_collected(global->valtype, global->ref)) mark(heap, global->value->ref);
}

static void mark_instance(struct waot_heap *heap, const waot_instance *instance) {
  const struct waot_elem_desc *elems = instance->desc->elems;
  for (uint32_t i = instance->desc->imported_global_count; i < instance->desc->global_count; i++) mark_global(heap, instance->globals[i]);
  for (uint32_t segment = 0; segment < instance->desc->elem_count; segment++) {
    const uint64_t *values = instance->elem_values[segment];
    for (uint64_t i = 0; values != NULL && i < elems[segment].length; i++) mark(heap, values[i]);
  }
}

static void mark_store(struct waot_heap *heap, const waot_store *store) {
  for (const waot_instance *instance = store->instances; instance != NULL; instance = instance->next) mark_instance(heap, instance);
  for (const waot_global *global = store->globals; global != NULL; global = global->next) mark_global(heap, global);
  for (const struct waot_table_object *table = store->tables; table != NULL; table = table->next) {
    const uint64_t *elements = table->head.elements;
    if (!waot_valtype_is_collected(table->valtype, table->ref)) continue;
    for (uint64_t i = 0; i < table->head.length; i++) mark(heap, elements[i]);
  }
  for (const waot_root *root = store->roots; root != NULL; root = root->next) mark(heap, root->ref);
  for (const struct waot_evaluation *evaluation = store->evaluations; evaluation != NULL; evaluation = evaluation->next) {
    for (size_t i = 0; i < evaluation->height; i++) mark(heap, evaluation->stack[i].ref);
  }
}

/* Looks at all of the stack from here up. AddressSanitizer would object: much of it is nobody's variable. */
__attribute__((noinline, no_sanitize_address)) static void mark_stack(struct waot_heap *heap, uintptr_t high) {
  uintptr_t low = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)7;
  for (uintptr_t at = low; at + sizeof(uint64_t) <= high; at += sizeof(uint64_t)) mark(heap, *(const volatile uint64_t *)at);
}

/* --- sweeping --------------------------------------------------------------------------------------------------------- */

static void forget_marks(struct waot_heap *heap) {
  heap->work_count = 0;
  heap->has_overflowed = false;
  for (struct heap_chunk *chunk = heap->chunks; chunk != NULL; chunk = chunk->next) {
    for (struct heap_block *block = chunk->blocks; block < chunk->blocks + chunk->block_count; block++) memset(block->marked, 0, sizeof block->marked);
  }
}

/* For tests: whoever still uses what is freed shall notice. */
static void spoil(const struct heap_block *block) {
  for (uint32_t cell = 0; cell < block->cell_count; cell++) {
    uint64_t freed = block->allocated[cell / 64] & ~block->marked[cell / 64];
    if ((freed >> (cell % 64) & 1) != 0) memset(block->base + cell * block->cell_size, SPOILT, block->cell_size);
  }
}

static void sweep_block(struct heap_chunk *chunk, struct heap_block *block) {
  if (waot_heap_stress) spoil(block);
  block->used = 0;
  for (uint32_t word = 0; word * 64 < block->cell_count; word++) {
    block->allocated[word] &= block->marked[word];
    block->used += (uint32_t)__builtin_popcountll(block->allocated[word]);
  }
  if (block->used == 0) heap_free_blocks(chunk, block);
}

/* Frees what is not marked. Chunks with nothing left go back to the pool, but for some that allocation will need before the next collection. */
static void sweep(struct waot_heap *heap) {
  for (struct heap_chunk *chunk = heap->chunks; chunk != NULL; chunk = chunk->next) {
    for (struct heap_block *block = chunk->blocks; block < chunk->blocks + chunk->block_count; block++) {
      if (is_in_use(block)) sweep_block(chunk, block);
    }
  }
  heap_list_blocks(heap);
  for (struct heap_chunk **link = &heap->chunks; *link != NULL;) {
    const struct heap_chunk *chunk = *link;
    bool is_wanted = chunk->count == 1 && heap->held <= heap->live + heap->threshold;
    if (chunk->free_blocks == chunk->block_count && !is_wanted) heap_drop_chunk(heap, link);
    else link = &(*link)->next;
  }
  heap->allocated = 0;
  heap->collections++;
}

/* --- a collection ----------------------------------------------------------------------------------------------------- */

/* The upper end of the stack that the thread runs on; 0 when it is not known, or the thread is on another one now. */
static uintptr_t stack_end(void) {
  const struct waot_thread_record *thread = (const struct waot_thread_record *)waot_thread_current;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  return thread != NULL && here >= thread->stack_low && here < thread->stack_high ? thread->stack_high : 0;
}

__attribute__((noinline)) bool heap_collect(struct waot_heap *heap, bool may_stop) {
  __builtin_unwind_init(); /* callee-saved registers, those of floating point among them, may hold references of the callers: into this frame, above that of mark_stack */
  uintptr_t high = stack_end();
  if (high == 0) return false;
  for (const waot_store *store = heap->stores; store != NULL; store = store->next_in_heap) {
    if (store->on_collect != NULL) store->on_collect(store->on_collect_data);
  }
  forget_marks(heap);
  mark_stack(heap, high);
  for (const waot_store *store = heap->stores; store != NULL; store = store->next_in_heap) mark_store(heap, store);
  if (!mark_all(heap, may_stop)) return false;
  sweep(heap);
  return true;
}

/* --- what the host keeps ---------------------------------------------------------------------------------------------- */

waot_root *waot_root_new(waot_store *store, uint64_t ref) {
  waot_root *root = malloc(sizeof *root);
  if (root == NULL) return NULL;
  *root = (waot_root){.ref = ref, .store = store, .next = store->roots};
  if (root->next != NULL) root->next->prev = root;
  return store->roots = root;
}

uint64_t waot_root_ref(const waot_root *root) { return root->ref; }

void waot_root_delete(waot_root *root) {
  if (root == NULL) return;
  if (root->prev != NULL) root->prev->next = root->next;
  else root->store->roots = root->next;
  if (root->next != NULL) root->next->prev = root->prev;
  free(root);
}

void waot_store_on_collect(waot_store *store, void (*fn)(void *data), void *data) {
  store->on_collect = fn;
  store->on_collect_data = data;
}

/* --- handles of the host ---------------------------------------------------------------------------------------------- */

static bool is_extern(uint32_t valtype) { return (valtype | WAOT_VALTYPE_NULLABLE) == WAOT_VALTYPE_EXTERNREF; }

/* Calls fn for a reference of the extern hierarchy that is a handle. */
static void visit_handle(uint64_t externref, waot_root_fn fn, void *data) {
  if (externref != 0 && (externref & WAOT_EXTERNALISED) == 0) fn(data, externref);
}

static void visit_object(struct waot_object *object, waot_root_fn fn, void *data) {
  const waot_type *type = object->type;
  if (type->kind == WAOT_TYPE_BOX) visit_handle(*waot_box_handle(object), fn, data);
  for (uint32_t field = 0; type->ref_count > 0 && field < type->param_count; field++) {
    if (!is_extern(type->valtypes[field])) continue;
    const uint64_t *at = (const uint64_t *)(const void *)((const char *)object + type->offsets[field]);
    uint64_t count = type->kind == WAOT_TYPE_ARRAY ? object->length : 1;
    for (uint64_t i = 0; i < count; i++) visit_handle(at[i], fn, data);
  }
}

void heap_visit_handles(struct waot_heap *heap, waot_root_fn fn, void *data) {
  heap_collect(heap, false);
  for (struct heap_chunk *chunk = heap->chunks; chunk != NULL; chunk = chunk->next) {
    for (struct heap_block *block = chunk->blocks; block < chunk->blocks + chunk->block_count; block++) {
      for (uint32_t cell = 0; is_in_use(block) && cell < block->cell_count; cell++) {
        if ((block->allocated[cell / 64] >> (cell % 64) & 1) != 0) visit_object((struct waot_object *)(void *)(block->base + cell * block->cell_size), fn, data);
      }
    }
  }
}
