/* heap.c - a garbage-collected heap: chunks cut into blocks, blocks into cells, and allocation from them. */
#include <stdlib.h>
#include <string.h>

#include "heap.h"

/* No collection before this many bytes have been allocated. */
#define FIRST_THRESHOLD (UINT64_C(4) << 20)
/* When a collection that the limit made necessary leaves less than this part of the limit, the heap is exhausted: the next one would come too soon. */
#define LEAST_ROOM 32

/* Bytes of the cells of each class: multiples of HEAP_GRANULE; from 128 on about a quarter apart, as many as fill a block. */
static const uint32_t cell_sizes[HEAP_CLASSES] = {
  16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1632, 2048, 2720, 4096, 5456, HEAP_SMALL_MAX,
};

static uint32_t class_of(uint64_t size) {
  if (size <= 128) return (uint32_t)((size + 15) / HEAP_GRANULE) - 1;
  uint32_t class = 8;
  while (cell_sizes[class] < size) class++;
  return class;
}

/* --- heaps and stores ------------------------------------------------------------------------------------------------- */

struct waot_heap *waot_heap_of(waot_store *store) {
  if (store->heap != NULL) return store->heap;
  struct waot_heap *heap = calloc(1, sizeof *heap);
  if (heap == NULL) return NULL;
  heap->work = malloc(HEAP_WORK_MIN * sizeof *heap->work); /* so that a collection can do without more memory */
  if (heap->work == NULL) {
    free(heap);
    return NULL;
  }
  heap->work_capacity = HEAP_WORK_MIN;
  heap->threshold = FIRST_THRESHOLD;
  heap->stores = store;
  store->next_in_heap = NULL;
  return store->heap = heap;
}

static void drop_all(struct waot_heap *heap) {
  while (heap->chunks != NULL) heap_drop_chunk(heap, &heap->chunks);
}

void waot_heap_leave(waot_store *store) {
  struct waot_heap *heap = store->heap;
  if (heap == NULL) return;
  struct waot_store **link = &heap->stores;
  while (*link != store) link = &(*link)->next_in_heap;
  *link = store->next_in_heap;
  store->heap = NULL;
  if (heap->stores != NULL) return;
  drop_all(heap);
  free(heap->work);
  free(heap);
}

uint64_t heap_limit(const struct waot_heap *heap) {
  uint64_t limit = 0;
  for (const struct waot_store *store = heap->stores; store != NULL; store = store->next_in_heap) {
    limit += store->heap_limit; /* at most WAOT_HEAP_LIMIT_MAX each: it takes more stores than there is memory for to overflow */
  }
  return limit;
}

/* Moves everything of one heap into another; the first is gone then. */
static void unite(struct waot_heap *into, struct waot_heap *from) {
  struct waot_store **last = &into->stores;
  while (*last != NULL) last = &(*last)->next_in_heap;
  *last = from->stores;
  for (struct waot_store *store = from->stores; store != NULL; store = store->next_in_heap) store->heap = into;
  struct heap_chunk **end = &into->chunks;
  while (*end != NULL) end = &(*end)->next;
  *end = from->chunks;
  for (struct heap_chunk *chunk = from->chunks; chunk != NULL; chunk = chunk->next) heap_pool_pass(chunk->base, chunk->count, into);
  into->held += from->held;
  into->allocated += from->allocated;
  into->collections += from->collections;
  free(from->work);
  free(from);
  heap_list_blocks(into);
}

int waot_store_link(waot_store *a, waot_store *b) {
  struct waot_heap *of_a = waot_heap_of(a), *of_b = waot_heap_of(b);
  if (of_a == NULL || of_b == NULL) return -1;
  if (of_a != of_b) unite(of_a, of_b);
  return 0;
}

/* --- chunks and blocks ------------------------------------------------------------------------------------------------ */

/* A new chunk of `count` of the pool, with this many blocks, all free. NULL beyond the limit, and when there is no memory. */
static struct heap_chunk *add_chunk(struct waot_heap *heap, size_t count, uint32_t blocks) {
  uint64_t size = count * HEAP_CHUNK, limit = heap_limit(heap);
  if (heap->held > limit || size > limit - heap->held) return NULL;
  struct heap_chunk *chunk = calloc(1, sizeof *chunk + blocks * sizeof *chunk->blocks);
  if (chunk == NULL) return NULL;
  chunk->base = heap_pool_take(heap, chunk, count);
  if (chunk->base == NULL) {
    free(chunk);
    return NULL;
  }
  chunk->count = count;
  chunk->block_count = chunk->free_blocks = blocks;
  for (uint32_t i = 0; i < blocks; i++) chunk->blocks[i].base = chunk->base + i * HEAP_BLOCK;
  chunk->next = heap->chunks;
  heap->chunks = chunk;
  heap->held += size;
  return chunk;
}

void heap_drop_chunk(struct waot_heap *heap, struct heap_chunk **link) {
  struct heap_chunk *chunk = *link;
  *link = chunk->next;
  heap->held -= chunk->count * HEAP_CHUNK;
  heap_pool_give(chunk->base, chunk->count);
  free(chunk);
}

/* Neighbouring free blocks, taken off those of the chunk; NULL when it has not as many. */
static struct heap_block *take_blocks(struct heap_chunk *chunk, uint32_t count) {
  uint32_t run = 0;
  if (chunk->free_blocks < count) return NULL;
  for (uint32_t i = 0; i < chunk->block_count; i++) {
    run = chunk->blocks[i].kind == HEAP_FREE ? run + 1 : 0;
    if (run < count) continue;
    chunk->free_blocks -= count;
    return &chunk->blocks[i + 1 - count];
  }
  return NULL;
}

/* The same of any chunk, or of a new one. */
static struct heap_block *find_blocks(struct waot_heap *heap, uint32_t count) {
  for (struct heap_chunk *chunk = heap->chunks; chunk != NULL; chunk = chunk->next) {
    struct heap_block *block = take_blocks(chunk, count);
    if (block != NULL) return block;
  }
  struct heap_chunk *chunk = add_chunk(heap, 1, HEAP_CHUNK_BLOCKS);
  return chunk == NULL ? NULL : take_blocks(chunk, count);
}

void heap_free_blocks(struct heap_chunk *chunk, struct heap_block *first) {
  struct heap_block *block = first;
  do {
    block->kind = HEAP_FREE;
    chunk->free_blocks++;
    block++;
  } while (block < chunk->blocks + chunk->block_count && block->kind == HEAP_LARGE_REST);
}

void heap_list_blocks(struct waot_heap *heap) {
  heap->live = 0;
  memset(heap->current, 0, sizeof heap->current);
  memset(heap->usable, 0, sizeof heap->usable);
  memset(heap->free_bytes, 0, sizeof heap->free_bytes);
  for (struct heap_chunk *chunk = heap->chunks; chunk != NULL; chunk = chunk->next) {
    for (struct heap_block *block = chunk->blocks; block < chunk->blocks + chunk->block_count; block++) {
      if (block->kind == HEAP_CELLS || block->kind == HEAP_LARGE) heap->live += block->used * block->cell_size;
      if (block->kind != HEAP_CELLS || block->used == block->cell_count) continue;
      block->next = heap->usable[block->class];
      heap->usable[block->class] = block;
      heap->free_bytes[block->class] += (block->cell_count - block->used) * block->cell_size;
    }
  }
  heap->threshold = heap->live > FIRST_THRESHOLD ? heap->live : FIRST_THRESHOLD;
}

/* Makes a free block one of cells. */
static void make_cells(struct heap_block *block, uint32_t class) {
  block->kind = HEAP_CELLS;
  block->class = class;
  block->cell_size = cell_sizes[class];
  block->cell_count = (uint32_t)(HEAP_BLOCK / cell_sizes[class]);
  block->used = 0;
  memset(block->allocated, 0, sizeof block->allocated);
  memset(block->marked, 0, sizeof block->marked);
}

/* Makes free blocks, `count` of them, one cell of `size` bytes, which is allocated. */
static void make_large(struct heap_block *first, uint32_t count, uint64_t size) {
  for (uint32_t i = 1; i < count; i++) {
    first[i].kind = HEAP_LARGE_REST;
    first[i].back = i;
  }
  first->kind = HEAP_LARGE;
  first->cell_size = size;
  first->cell_count = first->used = 1;
  first->allocated[0] = 1;
  first->marked[0] = 0;
}

/* --- allocation ------------------------------------------------------------------------------------------------------- */

/* A free cell of a block, allocated; NULL when it is full. */
static void *take_cell(struct heap_block *block) {
  for (uint32_t word = 0; block->used < block->cell_count; word++) {
    uint64_t unused = ~block->allocated[word];
    if (unused == 0) continue;
    uint32_t cell = word * 64 + (uint32_t)__builtin_ctzll(unused); /* below cell_count: there is a free one, and those beyond are never taken */
    block->allocated[word] |= UINT64_C(1) << (cell % 64);
    block->used++;
    return block->base + cell * block->cell_size;
  }
  return NULL;
}

/* Makes another block of the class, with a free cell, the current one: a used one, or a new one. */
static bool turn_to_block(struct waot_heap *heap, uint32_t class) {
  struct heap_block *block = heap->usable[class];
  if (block != NULL) {
    heap->usable[class] = block->next;
  } else {
    block = find_blocks(heap, 1);
    if (block == NULL) return false;
    make_cells(block, class);
  }
  heap->allocated += (block->cell_count - block->used) * block->cell_size;
  heap->current[class] = block;
  return true;
}

/* Whether a collection has made enough room to be worth it; `more`: bytes beside free blocks. */
static bool has_room(const struct waot_heap *heap, uint64_t more) {
  uint64_t limit = heap_limit(heap), room = more + (limit > heap->held ? limit - heap->held : 0);
  for (const struct heap_chunk *chunk = heap->chunks; chunk != NULL; chunk = chunk->next) room += chunk->free_blocks * HEAP_BLOCK;
  return room >= limit / LEAST_ROOM;
}

/* A current block with a free cell for the class, after a collection when one is due or there is no other way. */
static bool find_cells(struct waot_heap *heap, uint32_t class, bool may_stop) {
  bool collected = heap->allocated >= heap->threshold && heap_collect(heap, may_stop);
  if (turn_to_block(heap, class)) return true;
  if (!collected && !heap_collect(heap, may_stop)) return false;
  return has_room(heap, heap->free_bytes[class]) && turn_to_block(heap, class);
}

static void *allocate_small(struct waot_heap *heap, uint32_t class, bool may_stop) {
  void *cell = heap->current[class] == NULL ? NULL : take_cell(heap->current[class]);
  while (cell == NULL) {
    if (!find_cells(heap, class, may_stop)) return NULL;
    cell = take_cell(heap->current[class]);
  }
  return cell;
}

/* Blocks of a chunk, or chunks, for one object of zeros; NULL when there are none. */
static void *take_large(struct waot_heap *heap, uint64_t size) {
  if (size > HEAP_CHUNK) {
    size_t chunks = (size + HEAP_CHUNK - 1) / HEAP_CHUNK;
    struct heap_chunk *chunk = add_chunk(heap, chunks, 1);
    if (chunk == NULL) return NULL;
    chunk->free_blocks = 0;
    make_large(chunk->blocks, 1, chunks * HEAP_CHUNK);
    heap->allocated += chunks * HEAP_CHUNK;
    return chunk->base; /* zeros of the pool's */
  }
  uint32_t count = (uint32_t)((size + HEAP_BLOCK - 1) / HEAP_BLOCK);
  struct heap_block *block = find_blocks(heap, count);
  if (block == NULL) return NULL;
  make_large(block, count, count * HEAP_BLOCK);
  heap->allocated += count * HEAP_BLOCK;
  memset(block->base, 0, size);
  return block->base;
}

static void *allocate_large(struct waot_heap *heap, uint64_t size, bool may_stop) {
  bool collected = heap->allocated >= heap->threshold && heap_collect(heap, may_stop);
  void *object = take_large(heap, size);
  if (object != NULL) return object;
  if (size > heap_limit(heap) || (!collected && !heap_collect(heap, may_stop))) return NULL;
  return has_room(heap, 0) ? take_large(heap, size) : NULL;
}

struct waot_object *waot_heap_allocate(waot_store *store, const waot_type *type, uint64_t size, uint32_t length, bool may_stop) {
  struct waot_heap *heap = waot_heap_of(store);
  if (heap == NULL) return NULL;
  if (waot_heap_stress) heap_collect(heap, false);
  struct waot_object *object;
  if (size <= HEAP_SMALL_MAX) {
    uint32_t class = class_of(size);
    object = allocate_small(heap, class, may_stop);
    if (object != NULL) memset(object, 0, cell_sizes[class]);
  } else {
    object = allocate_large(heap, size, may_stop);
  }
  if (object != NULL) *object = (struct waot_object){.type = (void *)(uintptr_t)type, .length = length};
  return object;
}

/* --- from addresses to objects ---------------------------------------------------------------------------------------- */

struct heap_place heap_find(const struct waot_heap *heap, uintptr_t address) {
  struct heap_place none = {NULL, NULL, 0};
  struct heap_chunk *chunk = heap->chunks == NULL ? NULL : heap_pool_find(heap, address);
  if (chunk == NULL) return none;
  struct heap_block *block = chunk->blocks;
  if (chunk->count == 1) block += (address - (uintptr_t)chunk->base) / HEAP_BLOCK;
  if (block->kind == HEAP_FREE) return none;
  if (block->kind == HEAP_LARGE_REST) block -= block->back;
  uint32_t cell = block->cell_count == 1 ? 0 : (uint32_t)(address - (uintptr_t)block->base) / (uint32_t)block->cell_size;
  if (cell >= block->cell_count || (block->allocated[cell / 64] >> (cell % 64) & 1) == 0) return none;
  return (struct heap_place){(struct waot_object *)(void *)(block->base + cell * block->cell_size), block, cell};
}

bool waot_heap_contains(const waot_store *store, uint64_t ref) {
  return ref != 0 && store->heap != NULL && heap_find(store->heap, (uintptr_t)ref).object == waot_ref_object(ref);
}

/* --- what the host says, and asks -------------------------------------------------------------------------------------- */

void waot_store_set_heap_limit(waot_store *store, uint64_t bytes) {
  if (bytes > WAOT_HEAP_LIMIT_MAX) bytes = WAOT_HEAP_LIMIT_MAX;
  store->heap_limit = (bytes + HEAP_CHUNK - 1) / HEAP_CHUNK * HEAP_CHUNK;
}

uint64_t waot_store_heap_limit(const waot_store *store) { return store->heap_limit; }

void waot_store_heap_stats(const waot_store *store, waot_heap_stats *out) {
  const struct waot_heap *heap = store->heap;
  *out = (waot_heap_stats){.limit = heap == NULL ? store->heap_limit : heap_limit(heap)};
  if (heap == NULL) return;
  out->held = heap->held;
  out->live = heap->live;
  out->collections = heap->collections;
  for (const struct heap_chunk *chunk = heap->chunks; chunk != NULL; chunk = chunk->next) {
    for (const struct heap_block *block = chunk->blocks; block < chunk->blocks + chunk->block_count; block++) {
      if (block->kind == HEAP_CELLS || block->kind == HEAP_LARGE) out->objects += block->used;
    }
  }
}

int waot_store_collect(waot_store *store) { return store->heap == NULL || heap_collect(store->heap, false) ? 0 : -1; }
