/*
 * heap.h - the garbage-collected heap of structs and arrays (WebAssembly 3.0, garbage collection).
 *
 * A reference of the any hierarchy is 8 bytes: 0 is null; with bit 0 set an i31 (value << 1 | 1 in the low 32 bits); else the address of a waot_object, which never moves. A reference
 * of the extern hierarchy is a handle of the host's, or, with the highest bit set, one of the any hierarchy that extern.convert_any has made one. A host's handle becomes one of the any
 * hierarchy in a box, an object of the runtime's own type.
 *
 * heap_pool.c hands out address space to heaps, in chunks; heap.c cuts them up, allocates, and says what an address points to; heap_collect.c finds what is alive, and frees the
 * rest; object.c is what compiled code calls.
 *
 * A heap is that of a store, or of several that references can pass between (waot_store_link). Like a store it belongs to one thread at a time. Memory is found to be alive from the
 * stack of that thread, which is scanned as a whole for anything that looks like a reference; and from globals, tables, element segments, and the roots of the host.
 */
#ifndef WAOT_HEAP_H
#define WAOT_HEAP_H

#include "internal.h"

/* Set in an externref that is a reference of the any hierarchy. */
#define WAOT_EXTERNALISED (UINT64_C(1) << 63)

static inline bool waot_ref_is_i31(uint64_t ref) { return (ref & 1) != 0; }
static inline struct waot_object *waot_ref_object(uint64_t ref) { return (struct waot_object *)(uintptr_t)ref; }

/* --- heap_pool.c: chunks, for all heaps of the process; thread-safe --------------------------------------------------- */

#define HEAP_CHUNK (UINT64_C(1) << 20)

struct heap_chunk;

/* `count` neighbouring chunks of zeros, aligned to HEAP_CHUNK, for a heap; NULL when there are none, or there is no memory. */
uint8_t *heap_pool_take(struct waot_heap *heap, struct heap_chunk *chunk, size_t count);
/* Gives them back, and the memory to the system. */
void heap_pool_give(uint8_t *base, size_t count);
/* Makes them those of another heap. */
void heap_pool_pass(uint8_t *base, size_t count, struct waot_heap *to);
/* What heap_pool_take was given for the chunk that an address lies in, if that is one of the heap's; else NULL. */
struct heap_chunk *heap_pool_find(const struct waot_heap *heap, uintptr_t address);

/* --- heap.c ----------------------------------------------------------------------------------------------------------- */

/* A chunk is cut into blocks; a block holds cells of one size, or it is the first of some that hold one large object. */
#define HEAP_BLOCK (UINT64_C(16) << 10)
#define HEAP_CHUNK_BLOCKS (HEAP_CHUNK / HEAP_BLOCK)
#define HEAP_GRANULE 16
#define HEAP_BLOCK_CELLS (HEAP_BLOCK / HEAP_GRANULE)
/* Objects above this are large. */
#define HEAP_SMALL_MAX 8192
#define HEAP_CLASSES 27

enum heap_block_kind { HEAP_FREE, HEAP_CELLS, HEAP_LARGE, HEAP_LARGE_REST };

struct heap_block {
  enum heap_block_kind kind;
  uint32_t class;      /* HEAP_CELLS */
  uint32_t cell_count; /* HEAP_CELLS; HEAP_LARGE: 1 */
  uint32_t used;       /* cells that are allocated */
  uint32_t back;       /* HEAP_LARGE_REST: how many blocks before this the first one is */
  uint64_t cell_size;  /* bytes */
  uint8_t *base;       /* first byte */
  struct heap_block *next; /* in heap->usable[class] */
  uint64_t allocated[HEAP_BLOCK_CELLS / 64], marked[HEAP_BLOCK_CELLS / 64]; /* by cell; marked: during a collection */
};

struct heap_chunk {
  uint8_t *base;
  size_t count; /* chunks of the pool: above 1 it is all one large object, and has one block */
  uint32_t block_count, free_blocks;
  struct heap_chunk *next;
  struct heap_block blocks[];
};

/* An object to look into, from the reference with this number on. */
struct heap_work {
  struct waot_object *object;
  uint64_t from;
};

struct waot_heap {
  struct waot_store *stores; /* those that share it, by next_in_heap */
  struct heap_chunk *chunks;
  uint64_t held;      /* bytes of chunks, at most the sum of the stores' limits */
  uint64_t allocated; /* bytes since the last collection: of the free cells of blocks that allocation turned to, and of large objects */
  uint64_t live;      /* bytes of cells after the last collection */
  uint64_t threshold; /* `allocated` at which to collect */
  uint64_t collections;
  struct heap_block *current[HEAP_CLASSES]; /* where allocation goes on */
  struct heap_block *usable[HEAP_CLASSES];  /* blocks with free cells */
  uint64_t free_bytes[HEAP_CLASSES];        /* of the cells in `usable` */
  /* During a collection. What does not fit into the work list is marked only, and found again in a pass over the heap. */
  struct heap_work *work;
  size_t work_count, work_capacity;
  bool has_overflowed;
};

/* The store's heap, made if need be. NULL when out of memory. */
struct waot_heap *waot_heap_of(waot_store *store);
/* Ends the store's part in its heap, and the heap with its last store. */
void waot_heap_leave(waot_store *store);
/* Bytes that the stores of a heap may have together. */
uint64_t heap_limit(const struct waot_heap *heap);

/* An object of zeros of `size` bytes, its head included: type and length are set. NULL when the heap is exhausted. `may_stop`: a collection that is interrupted, as waot_interrupt_check() says,
 * may give up, with the same result. */
struct waot_object *waot_heap_allocate(waot_store *store, const waot_type *type, uint64_t size, uint32_t length, bool may_stop);

/* An object that an address points to, or into. */
struct heap_place {
  struct waot_object *object; /* NULL: none */
  struct heap_block *block;
  uint32_t cell;
};
struct heap_place heap_find(const struct waot_heap *heap, uintptr_t address);
/* Whether a value is a reference to an object of the store's heap: its very address. */
bool waot_heap_contains(const waot_store *store, uint64_t ref);
/* Takes a chunk off the heap that has nothing allocated. */
void heap_drop_chunk(struct waot_heap *heap, struct heap_chunk **link);
/* Lists the blocks that have free cells, as they are now, and adds up what is allocated. */
void heap_list_blocks(struct waot_heap *heap);
/* Makes a block free, and those of the same large object. */
void heap_free_blocks(struct heap_chunk *chunk, struct heap_block *first);

/* --- heap_collect.c --------------------------------------------------------------------------------------------------- */

/* Frees the objects that cannot be reached. False when it could not, or gave up: nothing has been freed then. */
bool heap_collect(struct waot_heap *heap, bool may_stop);
/* Calls fn for each handle of the host's in objects of the heap, after a collection. */
void heap_visit_handles(struct waot_heap *heap, waot_root_fn fn, void *data);
/* The work list at its smallest, or largest, number of entries. */
#define HEAP_WORK_MIN 64
#define HEAP_WORK_MAX (1 << 20)
/* For tests: collect before every allocation, and spoil what is freed; and a work list with no more than these entries, 0 for the usual ones. */
extern bool waot_heap_stress;
extern size_t waot_heap_work_max;

/* --- object.c --------------------------------------------------------------------------------------------------------- */

extern const waot_type waot_box_type;
/* Bytes of a box: the handle is behind the head. */
#define HEAP_BOX_SIZE 32
static inline uint64_t *waot_box_handle(struct waot_object *box) { return (uint64_t *)(void *)(box + 1); }

/* 0 when the heap is exhausted. The type is one of structs, or of arrays. */
uint64_t waot_struct_new(waot_store *store, const waot_type *type, bool may_stop);
uint64_t waot_array_new(waot_store *store, const waot_type *type, uint64_t length, bool may_stop);
/* Writes a field, or an element, of the type `valtype`: of a value's low bytes. */
void waot_field_store(void *at, uint32_t valtype, const waot_value *value);

#endif /* WAOT_HEAP_H */
