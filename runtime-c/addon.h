/*
 * addon.h - what the files of the Node-API addon share. The addon checks, forwards to wasm_aot.h, and throws; it has no logic of its own
 * beyond values, identities and lifetimes.
 *
 * Lifetimes. The JS object of class Store owns an addon_store, which owns the waot_store and one addon_object for each function, memory, table or
 * global that JS has seen. Every JS wrapper keeps its Store alive (functions through a WeakMap, classes by a field), and the Store keeps its
 * wrappers alive, so the collector takes all of them at once or none. Stores whose references can reach each other are linked both ways by the loader.
 * C holds weak references only: an object that C can name is alive because its Store is.
 */
#ifndef WAOT_ADDON_H
#define WAOT_ADDON_H

#ifndef NAPI_VERSION
#define NAPI_VERSION 8
#endif
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"
#include "wasm_aot.h"

/* Calls with at most this many parameters, and results, need no heap. */
#define ADDON_INLINE_SLOTS 16

/* Functions that the loader registers once per environment (loader/native.ts, interface Hooks; the order is that of HOOK_NAMES in addon.c). */
typedef enum addon_hook {
  HOOK_FAILURE,       /* (status, store) -> the error to throw for an activation that ended with this status */
  HOOK_ERROR,         /* (kind, status, message) -> the error to throw for a waot_error */
  HOOK_ADOPT,         /* (function, store, parameters): ties a new exported function to its store */
  HOOK_LINK,          /* (store, store): each keeps the other alive from now on */
  HOOK_TO_BIGINT,     /* (value) -> ToBigInt64(value) */
  HOOK_ITERATE,       /* (value, count) -> array of the results of a host function with several */
  HOOK_MEMORY_NEW,    /* (store, min, max or undefined) -> a WebAssembly.Memory that the store keeps alive */
  HOOK_MEMORY_BUFFER, /* V8's getter of WebAssembly.Memory.prototype.buffer; called on a memory */
  HOOK_MEMORY_GROW,   /* V8's WebAssembly.Memory.prototype.grow; called on a memory, with pages */
  HOOK_TABLE,         /* (store, handle, valtype) -> a Table for the handle */
  HOOK_GLOBAL,        /* (store, handle, valtype, mutable) -> a Global for the handle */
  HOOK_PASSED,        /* (value): an exception has passed through an activation */
  HOOK_OBJECT,        /* (store) -> an object without properties or prototype, which keeps the store alive: a struct or an array */
  HOOK_COUNT
} addon_hook;

/* Hash map from pointers (never NULL) to pointers. */
typedef struct addon_map {
  const void **keys; /* NULL: free, ADDON_MAP_DELETED: was used */
  void **values;
  size_t capacity, used; /* capacity is 0 or a power of two; used counts deleted slots too */
  size_t count;
} addon_map;
void *addon_map_get(const addon_map *map, const void *key); /* NULL when absent */
bool addon_map_set(addon_map *map, const void *key, void *value); /* false when out of memory */
void addon_map_remove(addon_map *map, const void *key);
void addon_map_free(addon_map *map);

typedef struct addon_env addon_env;
typedef struct addon_store addon_store;

/* A struct or array that JS has seen. It is a root until its wrapper is garbage. */
typedef struct addon_reference {
  addon_store *store; /* through which JS first saw it; the wrapper keeps it alive */
  waot_root *root;
  napi_ref js;        /* weak: the wrapper */
  struct addon_reference *next; /* in store->references */
} addon_reference;

/* A function, memory, table or global that JS has seen. Its address is the `handle` (a napi external, or the data of a function). */
typedef struct addon_object {
  uint32_t kind; /* WAOT_EXTERN_* */
  addon_store *store;
  struct addon_object *next; /* in store->objects */
  union { void *any; waot_func *func; waot_memory *memory; waot_table *table; waot_global *global; };
  napi_ref js; /* weak: the function, WebAssembly.Memory, Table or Global; NULL before there is one */
} addon_object;

/* A function: what a call needs, computed once. */
typedef struct addon_func {
  addon_object object;
  const waot_type *type;
  const uint8_t *params, *results;
  uint32_t param_count, result_count, slot_count; /* slots: the larger count, at least 1 */
  bool has_v128;
  bool is_plain; /* all parameters and results are numbers or bigints, at most ADDON_INLINE_SLOTS of each, at most one result */
  napi_ref host; /* host functions: weak reference to the JS function (the Store keeps it alive); else NULL */
  napi_value host_js; /* that function, valid in the scope of the number host_scope */
  uint64_t host_scope;
} addon_func;

/* What a value of a function's type refers to, by its number: see waot_type. */
static inline const waot_type *addon_ref(const addon_func *f, uint32_t value) { return f->type->refs == NULL ? NULL : f->type->refs[value]; }

/*
 * A handle scope that stays open while wasm runs, over several calls of host functions: opening one costs as much as a small call. It is opened by the first, replaced after
 * ADDON_SCOPE_CALLS, closed when the activation ends, and holds the Stores of those functions.
 */
typedef struct addon_scope {
  napi_handle_scope scope; /* NULL: none is open in the newest activation */
  uint64_t number;         /* never used again in the environment; valid while scope is open */
  uint32_t calls;
  napi_value undefined;
} addon_scope;
#define ADDON_SCOPE_CALLS 32

/* Store ids are the upper half of externref handles, whose highest bit is clear. */
#define ADDON_STORE_ID_MAX UINT32_C(0x7fffffff)

/* A memory: the length is read from V8 once per epoch, because only JS can change it behind our back. */
typedef struct addon_memory {
  addon_object object;
  uint64_t epoch, length; /* bytes, valid while epoch == env->epoch */
} addon_memory;

struct addon_store {
  addon_env *env;
  waot_store *store; /* NULL once freed */
  napi_ref js;       /* weak: the Store */
  napi_ref values;   /* weak: the array of externref values, held by the Store */
  uint32_t id;       /* never reused in the environment */
  uint64_t held_by;  /* number of the last addon_scope that holds the Store */
  uint32_t holders;  /* the environment's list, the finalizer of the Store */
  addon_store *prev, *next;
  addon_object *objects;
  addon_reference *references;
  size_t reference_count, reference_sweep_at;
  uint32_t value_count, value_capacity, free_count; /* externref slots ever used; room; slots on the free stack */
  uint32_t *free_slots;
  uint8_t *marks;
};

struct addon_env {
  napi_env env;
  napi_ref hooks[HOOK_COUNT];
  addon_map objects;  /* waot_func, waot_memory, waot_table, waot_global -> addon_object */
  addon_map stores;   /* waot_store -> addon_store */
  addon_map references; /* address of a struct or array -> addon_reference */
  addon_map store_ids; /* id as a pointer -> addon_store */
  addon_store *first;   /* under the lock of addon_threads.c, which another thread may hold while it reads the list */
  addon_env *next_env;  /* in the list of addon_threads.c */
  uint32_t thread_id;   /* Node's threadId */
  bool outer_frames;    /* an error has wasm frames of outer activations, which it gets when it passes through them */
  bool watched;         /* addon_watch_ending() was called */
  bool ending;          /* the thread is being ended: new stores are born interrupted */
  size_t store_count, sweep_at;
  uint32_t next_id;
  uint64_t epoch; /* raised whenever JS may have run: entry into wasm, return of a host function */
  uint32_t converting; /* calls whose arguments are being converted: externref handles may be in C variables */
  size_t handle_count, collect_at;
  addon_scope scope;     /* of the newest activation */
  uint64_t scope_count;
};

/* --- addon_store.c: stores, handles, lifetimes ---------------------------------------------------------------------- */
addon_env *addon_env_of(napi_env env);
napi_value addon_hook_call(addon_env *e, addon_hook hook, size_t argc, const napi_value *argv); /* NULL with an exception pending */
napi_value addon_hook_call_on(addon_env *e, addon_hook hook, napi_value receiver, size_t argc, const napi_value *argv);
addon_store *addon_store_of(addon_env *e, napi_value store);      /* from the JS Store; NULL with a TypeError pending */
napi_value addon_store_js(addon_store *s);                         /* the JS Store; also keeps it alive for the current handle scope */
addon_store *addon_store_find(addon_env *e, const waot_store *store); /* NULL: not ours */
bool addon_link(addon_store *a, addon_store *b);                   /* false with an exception pending */
addon_object *addon_object_new(addon_store *s, uint32_t kind, void *native, size_t size); /* native may be NULL for now. NULL with an exception pending */
bool addon_object_name(addon_object *o, void *native);             /* makes it the record of the native object; false with an exception pending */
addon_object *addon_object_of(napi_env env, napi_value handle, uint32_t kind); /* NULL with a TypeError pending */
napi_value addon_object_js(addon_object *o);                       /* NULL when the wrapper does not exist */
bool addon_object_bind(addon_object *o, napi_value js);            /* remembers the wrapper, weakly */
napi_value addon_store_new(napi_env env, napi_callback_info info);
napi_value addon_store_fuel(napi_env env, napi_callback_info info);
napi_value addon_store_fuel_set(napi_env env, napi_callback_info info);
napi_value addon_store_stats(napi_env env, napi_callback_info info);
void addon_store_free_all(addon_env *e);

/* --- addon_value.c: values and externref handles --------------------------------------------------------------------- */
/* `ref`: of what references of the type refer to, where the code does not say all; else NULL. */
bool addon_to_wasm(addon_store *s, uint8_t type, const waot_type *ref, napi_value value, waot_value *out); /* ToWebAssemblyValue; false with an exception pending */
napi_value addon_to_js(addon_store *s, uint8_t type, const waot_type *ref, const waot_value *value); /* ToJSValue; NULL with an exception pending */
bool addon_from_bits(addon_store *s, uint8_t type, const waot_type *ref, napi_value bits, waot_value *out); /* raw: BigInt bit patterns; references as addon_to_wasm */
napi_value addon_to_bits(addon_store *s, uint8_t type, const waot_type *ref, const waot_value *value);
void addon_collect_if_due(addon_env *e); /* frees externref handles that no store can reach; only between activations */
void addon_collect(addon_env *e);

/* --- addon_reference.c: structs and arrays --------------------------------------------------------------------------- */
napi_value addon_reference_js(addon_store *s, uint64_t ref); /* the wrapper of an object; the same one while it lives. NULL with an exception pending */
addon_reference *addon_reference_of(napi_env env, napi_value value); /* NULL: not a wrapper of ours */
void addon_references_watch(addon_store *s); /* once a store: a collection of its heap forgets garbage wrappers first */
void addon_references_free(addon_store *s);
napi_value addon_heap_limit(napi_env env, napi_callback_info info);
napi_value addon_heap_stats(napi_env env, napi_callback_info info);
napi_value addon_heap_collect(napi_env env, napi_callback_info info);
napi_value addon_heap_stress(napi_env env, napi_callback_info info);

/* --- addon_call.c: functions both ways -------------------------------------------------------------------------------- */
napi_value addon_func_js(addon_env *e, waot_func *func); /* the exported function of a funcref; the same one each time. NULL with an exception pending */
addon_func *addon_func_of(napi_env env, napi_value value); /* NULL: not one of our functions */
waot_func *addon_func_host(addon_store *s, waot_artifact *artifact, const waot_type *type, napi_value fn); /* NULL with an exception pending */
/* Around all that enters wasm: no scope of an outer activation is used in it, and its own is closed afterwards. */
addon_scope addon_scope_begin(addon_env *e);
void addon_scope_end(addon_env *e, const addon_scope *outer);
bool addon_throw_status(addon_store *s, int status); /* true for OK; else false with the right exception pending */
napi_value addon_call_raw(napi_env env, napi_callback_info info);
napi_value addon_func_type(napi_env env, napi_callback_info info);

/* --- addon_object.c: memories, tables, globals ------------------------------------------------------------------------- */
addon_memory *addon_memory_adopt(addon_store *s, napi_value memory, uint64_t max_pages); /* NULL with an exception pending */
napi_value addon_extern_js(addon_store *s, const waot_extern *ext); /* the JS object of an export */
napi_value addon_memory_new(napi_env env, napi_callback_info info);
napi_value addon_table_new(napi_env env, napi_callback_info info);
napi_value addon_table_get(napi_env env, napi_callback_info info);
napi_value addon_table_set(napi_env env, napi_callback_info info);
napi_value addon_table_grow(napi_env env, napi_callback_info info);
napi_value addon_table_length(napi_env env, napi_callback_info info);
napi_value addon_global_new(napi_env env, napi_callback_info info);
napi_value addon_global_get(napi_env env, napi_callback_info info);
napi_value addon_global_set(napi_env env, napi_callback_info info);

/* --- addon_instance.c: artifacts and instances -------------------------------------------------------------------------- */
napi_value addon_throw_error(addon_env *e, const waot_error *error); /* NULL, with the exception pending */
napi_value addon_artifact_verify(napi_env env, napi_callback_info info);
napi_value addon_artifact_open(napi_env env, napi_callback_info info);
napi_value addon_instantiate(napi_env env, napi_callback_info info);
napi_value addon_start(napi_env env, napi_callback_info info);

/* --- addon_threads.c: interrupting other threads ------------------------------------------------------------------------- */
void addon_threads_add(addon_env *e);
void addon_threads_remove(addon_env *e);
void addon_threads_lock(void);
void addon_threads_unlock(void);
napi_value addon_interrupt_threads(napi_env env, napi_callback_info info);

/* --- addon_interrupt.c: stopping wasm from outside ----------------------------------------------------------------------- */
napi_value addon_store_interrupt(napi_env env, napi_callback_info info);
napi_value addon_store_interrupts(napi_env env, napi_callback_info info);
napi_value addon_store_deadline(napi_env env, napi_callback_info info);
napi_value addon_store_id(napi_env env, napi_callback_info info);
napi_value addon_interrupt_by_id(napi_env env, napi_callback_info info);
napi_value addon_configure(napi_env env, napi_callback_info info);
napi_value addon_handlers_check(napi_env env, napi_callback_info info);
void addon_watch_ending(addon_env *e); /* wasm on this thread ends when the environment does; after waot_init */
void addon_unwatch_ending(void);
void addon_ask_v8_first(void);

/* --- addon_backtrace.c ---------------------------------------------------------------------------------------------------- */
napi_value addon_backtrace(napi_env env, napi_callback_info info);
void addon_pass_exception(addon_env *e);

/* --- addon.c --------------------------------------------------------------------------------------------------------------- */
/* Reads exactly `count` arguments (undefined where missing). */
bool addon_args(napi_env env, napi_callback_info info, size_t count, napi_value *argv);
napi_value addon_undefined(napi_env env);
/* Throws a TypeError unless an exception is pending already; returns NULL. */
napi_value addon_type_error(napi_env env, const char *message);
napi_value addon_out_of_memory(napi_env env);

#endif /* WAOT_ADDON_H */
