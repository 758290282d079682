/*
 * internal.h - structs and functions that the runtime's own files share. Nothing here is public: see include/wasm_aot.h.
 *
 * Who owns what: a store owns its instances, host functions, memories, tables and globals, in singly linked lists, and frees them together. Artifacts
 * are shared by the process and counted: each open handle, each instance and each host function holds one reference.
 */
#ifndef WAOT_INTERNAL_H
#define WAOT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "include/wasm_aot.h"

/* Bytes of a page of linear memory, and the most pages that a 32-bit memory can have (spec 2.0, 4.2.8). */
#define WAOT_PAGE_SIZE UINT64_C(65536)
#define WAOT_MAX_PAGES UINT64_C(65536)
/* Bytes from a memory's base on that compiled code can reach: a 32-bit index plus an offset and a width that together are at most 4 GiB. */
#define WAOT_REACHABLE (UINT64_C(8) << 30)
/* Bytes that the runtime reserves for a memory of its own. */
#define WAOT_RESERVATION (WAOT_REACHABLE + WAOT_PAGE_SIZE)
/* The most elements that a table can have: the limit of the JS API (WebAssembly JavaScript Interface, "Implementation-defined limits"). */
#define WAOT_MAX_TABLE_ELEMENTS UINT64_C(10000000)

/* waot_type_desc.supertype of a type without one. */
#define WAOT_NO_SUPERTYPE UINT32_MAX
/* The most bytes that a struct can have: 10,000 fields (the limit of the JS API) of 16 bytes. */
#define WAOT_MAX_STRUCT_SIZE (16 + 10000 * 16)

#define SAME_OFFSET(field, FIELD) _Static_assert(offsetof(struct waot_type, field) == WAOT_TYPE_HEAD_##FIELD, "compiled code reads the head of a type: see abi.ts")
SAME_OFFSET(valtypes, VALTYPES);
SAME_OFFSET(refs, REFS);
SAME_OFFSET(supers, SUPERS);
SAME_OFFSET(depth, DEPTH);
SAME_OFFSET(kind, KIND);
#undef SAME_OFFSET

struct waot_store {
  struct waot_limits limits; /* first: the entry trampoline is given the address of the store as that of its limits */
  int64_t limit;             /* 0 .. INT64_MAX */
  int64_t overshoot;         /* of the last call that ended out of fuel */
  bool exhausted;            /* a call has ended out of fuel since the limit was last raised or set; limits.fuel is then 1 */
  int64_t deadline;          /* ns of CLOCK_MONOTONIC, 0: none. Under the lock of interrupt.c, as are the links */
  uint64_t id;
  struct waot_store *next_store, *prev_store;
  struct waot_instance *instances;
  struct waot_host_func *host_funcs;
  struct waot_memory *memories;
  struct waot_table_object *tables;
  struct waot_global *globals; /* those of waot_global_new; the globals of an instance are in the instance */
  struct waot_heap *heap;      /* NULL before there is one */
  struct waot_store *next_in_heap;
  uint64_t heap_limit;
  struct waot_root *roots;
  struct waot_evaluation *evaluations; /* under way, innermost first */
  void (*on_collect)(void *data);
  void *on_collect_data;
};

/* A reference that the host keeps. */
struct waot_root {
  uint64_t ref;
  struct waot_store *store;
  struct waot_root *next, *prev;
};

/* The stack of a constant expression that is being evaluated: its values are roots. */
struct waot_evaluation {
  const waot_value *stack;
  size_t height;
  struct waot_evaluation *next;
};

/* A host function: what a waot_func of the host points into. */
struct waot_host_func {
  struct waot_func func; /* first: its address is the function reference */
  struct waot_host host;
  waot_artifact *artifact; /* holds a reference: the adapters are its code */
  struct waot_host_func *next;
};

struct waot_memory {
  uint8_t *base;
  uint64_t length; /* bytes; of an adopted memory those last seen: memories only grow, so it is a lower bound */
  uint64_t max_pages; /* UINT64_MAX: no maximum */
  waot_memory_ops ops; /* ops.length is NULL for a memory of the runtime's own */
  struct waot_store *store;
  struct waot_memory *next;
};

_Static_assert(offsetof(struct waot_memory, base) == WAOT_MEMORY_HEAD_BASE && offsetof(struct waot_memory, length) == WAOT_MEMORY_HEAD_LENGTH,
               "compiled code reads the head of a memory: see abi.ts");

/* A table; the head is what compiled code sees, and its address is the public waot_table. */
struct waot_table_object {
  struct waot_table head;
  uint64_t capacity; /* elements allocated */
  uint64_t max;      /* UINT64_MAX: no maximum */
  uint32_t valtype;
  const waot_type *ref; /* of what the elements refer to, where valtype does not say all */
  struct waot_store *store;
  struct waot_table_object *next;
};

struct waot_global {
  waot_value own;    /* of a global of waot_global_new; unused for those of an instance */
  waot_value *value; /* &own, or the slot in the vmctx of the defining instance */
  uint32_t valtype;
  uint32_t is_mutable;
  const waot_type *ref; /* of what the value refers to, where valtype does not say all */
  struct waot_store *store;
  struct waot_global *next;
};

struct waot_instance {
  struct waot_store *store;
  waot_artifact *artifact; /* holds a reference */
  const struct waot_module_desc *desc;
  struct waot_vmctx *vmctx;
  struct waot_func **funcrefs; /* by funcref slot: imported ones are the importer's own waot_func, the rest point into funcs */
  struct waot_func *funcs;
  struct waot_memory **memories;      /* by memory index */
  struct waot_table_object **tables;  /* by table index */
  struct waot_global **globals;       /* by global index: imported ones, or pointers into own_globals */
  struct waot_global *own_globals;
  uint64_t *data_lengths; /* by data segment: bytes, 0 once dropped */
  uint64_t *elem_lengths; /* by element segment: elements, 0 once dropped */
  uint64_t **elem_values; /* by element segment, of those with references that are collected: the references; else, or once dropped, NULL */
  struct waot_instance *next;
};

struct waot_artifact {
  uint64_t references; /* under the lock of artifact.c */
  uint8_t hash[32];    /* SHA-256 from the header: artifacts with equal hashes are one */
  char *path;          /* as given to the dynamic linker */
  void *handle;
  const struct waot_module_desc *desc;
  const struct waot_funcref_desc *funcrefs; /* the code that was chosen: desc->funcrefs, or those of a level */
  uint64_t cpu_features;                    /* that it needs */
  void *unwind_table; /* of Mach-O: see unwind_table.h; else NULL */
  const waot_type **types; /* interned, by type index */
  char *manifest;
  size_t manifest_length;
  uint8_t *frames; /* the frame table, as in the file; NULL without one */
  size_t frames_length;
  uintptr_t load_address;
  uintptr_t text_start, text_end; /* registered with the code map; equal when there is no code */
  struct waot_artifact *next;
};

/* error.c: fills *error (which may be NULL); the message is cut at the size of the field. Returns -1. */
int waot_error_set(waot_error *error, waot_error_kind kind, int status, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* type.c: the one waot_type of the process with these types; NULL when out of memory. Never freed. Thread-safe. */
const waot_type *waot_type_intern(uint32_t param_count, uint32_t result_count, const uint8_t *valtypes);
/* type.c: the same for the types of an artifact, into out[count]. 0, or -1 when out of memory or the descriptors are damaged. */
int waot_types_intern(const struct waot_type_desc *descs, uint32_t count, const waot_type **out);
/* type_match.c: whether one type is another, or a subtype of it. */
bool waot_type_is_subtype(const waot_type *type, const waot_type *super);
/* type_match.c: whether a WAOT_VALTYPE_* is one of references; of those that the collector follows; whether a value of one type is one of another. The waot_types are those that
 * references refer to, or NULL. */
bool waot_valtype_is_reference(uint32_t valtype);
bool waot_valtype_is_collected(uint32_t valtype, const waot_type *ref);
bool waot_valtype_matches(uint32_t found, const waot_type *found_ref, uint32_t wanted, const waot_type *wanted_ref);

/* artifact.c: one more, or one less, reference. */
void waot_artifact_retain(waot_artifact *artifact);

/* artifact.c: the artifact whose text an address is in, and the address as in the file's symbol table; NULL when there is none. */
const waot_artifact *waot_artifact_at(uintptr_t pc, uint64_t *address);

/* artifact.c: of what the elements of a table, or the value of a global, refer to, where its WAOT_VALTYPE_* does not say all; else NULL. */
const waot_type *waot_artifact_table_ref(const waot_artifact *artifact, uint32_t table);
const waot_type *waot_artifact_global_ref(const waot_artifact *artifact, uint32_t global);

/* artifact.c, type.c: for the fork handlers of init.c. */
void waot_artifact_fork_prepare(void);
void waot_artifact_fork_parent(void);
void waot_artifact_fork_child(void);
void waot_type_fork_prepare(void);
void waot_type_fork_parent(void);
void waot_type_fork_child(void);
/* heap_pool.c: the same. */
void waot_heap_fork_prepare(void);
void waot_heap_fork_parent(void);
void waot_heap_fork_child(void);

/* memory.c: re-reads the length where it may have grown behind the runtime's back, then says whether [start, start + count) lies inside. */
bool waot_memory_in_bounds(waot_memory *memory, uint64_t start, uint64_t count);
/* memory.c, table.c, instance.c: free one object (not unlinking it from its store). */
void waot_memory_free(waot_memory *memory);
void waot_table_free(struct waot_table_object *table);
void waot_instance_free(waot_instance *instance);

/* const_expr.c: the value of a constant expression in an instance (globals that it names are initialised). False when the heap is exhausted. */
bool waot_const_eval(const waot_instance *instance, const struct waot_const_expr *expr, waot_value *out);
/* const_expr.c: that of one that makes no objects. */
waot_value waot_const_value(const waot_instance *instance, const struct waot_const_expr *expr);
/* instance.c: drops an element segment. */
void waot_elem_drop(waot_instance *instance, uint32_t segment);
/* builtins.c: element i of a segment that has not been dropped. */
uint64_t waot_elem_ref(const waot_instance *instance, uint32_t segment, uint64_t i);
/* builtins.c: table.init and memory.init. False when out of bounds. */
bool waot_instance_table_init(waot_instance *instance, uint32_t table, uint32_t segment, uint64_t to, uint64_t from, uint64_t count);
bool waot_instance_memory_init(waot_instance *instance, uint32_t memory, uint32_t segment, uint64_t to, uint64_t from, uint64_t count);

/* link.c: checks the imports against the module's import descriptors. 0, or -1 with *error naming the first that does not fit. */
int waot_link_check(const waot_artifact *artifact, const waot_extern *imports, size_t import_count, waot_error *error);

/* builtins.c: what the builtin trampolines of enter_x64.S call. */
int64_t waot_builtin_memory_size(void *vmctx, uint32_t memory);
int64_t waot_builtin_memory_grow(void *vmctx, uint32_t memory, uint64_t delta);
int32_t waot_builtin_memory_fill(void *vmctx, uint32_t memory, uint64_t start, uint32_t byte, uint64_t count);
int32_t waot_builtin_memory_copy(void *vmctx, uint32_t to_memory, uint32_t from_memory, uint64_t to, uint64_t from, uint64_t count);
int32_t waot_builtin_memory_init(void *vmctx, uint32_t memory, uint32_t segment, uint64_t to, uint64_t from, uint64_t count);
void waot_builtin_data_drop(void *vmctx, uint32_t segment);
int64_t waot_builtin_table_grow(void *vmctx, uint32_t table, uint64_t init, uint64_t delta);
int32_t waot_builtin_table_fill(void *vmctx, uint32_t table, uint64_t start, uint64_t reference, uint64_t count);
int32_t waot_builtin_table_copy(void *vmctx, uint32_t to_table, uint32_t from_table, uint64_t to, uint64_t from, uint64_t count);
int32_t waot_builtin_table_init(void *vmctx, uint32_t table, uint32_t segment, uint64_t to, uint64_t from, uint64_t count);
void waot_builtin_elem_drop(void *vmctx, uint32_t segment);
uint64_t waot_builtin_struct_new(void *vmctx, uint32_t type);
uint64_t waot_builtin_array_new(void *vmctx, uint32_t type, uint64_t length);
uint64_t waot_builtin_array_new_data(void *vmctx, uint32_t type, uint32_t segment, uint64_t from, uint64_t length);
uint64_t waot_builtin_array_new_elem(void *vmctx, uint32_t type, uint32_t segment, uint64_t from, uint64_t length);
int32_t waot_builtin_array_fill(void *vmctx, uint64_t array, uint64_t start, uint64_t count, uint64_t low, uint64_t high);
int32_t waot_builtin_array_copy(void *vmctx, uint64_t to_array, uint64_t to, uint64_t from_array, uint64_t from, uint64_t count);
int32_t waot_builtin_array_init_data(void *vmctx, uint32_t segment, uint64_t array, uint64_t to, uint64_t from, uint64_t count);
int32_t waot_builtin_array_init_elem(void *vmctx, uint32_t segment, uint64_t array, uint64_t to, uint64_t from, uint64_t count);
uint64_t waot_builtin_any_convert_extern(void *vmctx, uint64_t externref);
uint64_t waot_builtin_extern_convert_any(void *vmctx, uint64_t any);

/* enter_x64.S: the exit trampoline, for waot_host.exit; and the trampolines of the builtins, for vmctx.builtins. */
void waot_exit(struct waot_host *host, waot_value *args);
extern const struct waot_builtins waot_builtin_table;

#endif /* WAOT_INTERNAL_H */
