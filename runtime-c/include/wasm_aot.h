/*
 * wasm_aot.h - the public C API of the wasm-aot runtime (libwasm_aot).
 *
 * Opens artifacts that `wasm-aot build` wrote, instantiates them, calls them under a fuel limit. Linux x86-64.
 * No function may be called from a signal handler. A store, and everything that it owns, belongs to one thread at a time;
 * only waot_store_interrupt(), waot_store_interrupt_for() and waot_interrupt_by_id() may be called from another thread. Different stores may run on different threads at once.
 *
 * What a host owes a thread that runs wasm: calls come on the thread's own stack (not a fiber's; they are refused there); the tick signal, SIGSEGV, SIGBUS and
 * SIGILL stay unblocked (the first call unblocks them) and their handlers stay (handlers that were there before get whatever isn't wasm's); longjmp does not
 * cross wasm frames, C++ exceptions and pthread_exit may. Wasm runs in the default floating-point environment whatever the host's is. After fork, the child
 * goes on as the thread that forked.
 */
#ifndef WASM_AOT_H
#define WASM_AOT_H

#include <stddef.h>
#include <stdint.h>

#include "wasm_aot_codes.h" /* WAOT_STATUS_*, WAOT_EXTERN_*, WAOT_VALTYPE_*, WAOT_FUEL_* */

#ifdef __cplusplus
extern "C" {
#endif

#define WAOT_API __attribute__((visibility("default")))

typedef struct waot_artifact waot_artifact; /* an opened artifact: code and descriptor, no state */
typedef struct waot_store waot_store;       /* isolation unit: owns instances and what they made; fuel, limits */
typedef struct waot_instance waot_instance;
typedef struct waot_func waot_func;
typedef struct waot_memory waot_memory;
typedef struct waot_table waot_table;
typedef struct waot_global waot_global;
typedef struct waot_type waot_type;         /* interned type of functions, structs or arrays: equal types have equal addresses */

/* A value, an argument slot, a result slot. References: a waot_func* (funcref), the host's own 63-bit handle (externref), or an object, see *garbage collection* (anyref); 0 is null. Of the types without null, and of those of
 * functions of one type, a host gives nothing else: compiled code does not check again. */
typedef union waot_value {
  int32_t i32;
  int64_t i64;
  float f32;
  double f64;
  uint64_t ref;
  uint8_t v128[16];
} __attribute__((aligned(16))) waot_value;

struct waot_type {
  uint32_t param_count, result_count;
  const uint8_t *valtypes; /* WAOT_VALTYPE_* codes: parameters, then results */
  const waot_type *const *refs; /* for each value of type WAOT_VALTYPE_REF_TYPE or REF_NULL_TYPE the type of what it refers to; NULL when there is none */
  const waot_type *const *supers; /* its supertypes from the root of its hierarchy down, and itself, at supers[depth] */
  uint32_t depth;               /* how many supertypes it has */
  uint32_t kind;                /* WAOT_TYPE_*. The values of a struct are its fields, the one of an array its element: param_count of them */
  uint32_t is_final;            /* 1: it has no subtypes */
  /* Structs and arrays only: */
  uint32_t size;                /* structs: bytes of an object, its head of 16 included; arrays: bytes of an element */
  uint32_t ref_count;           /* values that the collector follows: references, but not those to functions */
  const uint8_t *mutables;      /* 1 for each value that can be changed */
  const uint32_t *offsets;      /* of each value, in bytes from the start of the object; arrays: of the first element */
  const uint32_t *ref_offsets;  /* the offsets of those that the collector follows */
};

/* What went wrong, for calls that can fail for a reason worth words. */
typedef enum waot_error_kind {
  WAOT_ERROR_NONE = 0,
  WAOT_ERROR_IO,        /* the file cannot be read or mapped */
  WAOT_ERROR_FORMAT,    /* not an artifact, truncated, or damaged */
  WAOT_ERROR_HASH,      /* contents do not match the hash: tampered with or damaged */
  WAOT_ERROR_ABI,       /* made for another ABI version */
  WAOT_ERROR_TARGET,    /* made for another architecture or system */
  WAOT_ERROR_CPU,       /* needs CPU features that this machine lacks */
  WAOT_ERROR_LINK,      /* import missing or of the wrong type */
  WAOT_ERROR_TRAP,      /* instantiation or the start function trapped: see status */
  WAOT_ERROR_MEMORY,    /* no memory, or no reservation with a guard region */
  WAOT_ERROR_SIGNAL,    /* the tick signal is in use by somebody else */
  WAOT_ERROR_ARGUMENT   /* a bad argument */
} waot_error_kind;

typedef struct waot_error {
  waot_error_kind kind;
  int status;        /* kind TRAP: the WAOT_STATUS_* code */
  char message[500]; /* one sentence for a person, no newline; always terminated */
} waot_error;

/* --- process ------------------------------------------------------------------------------------------------------ */

typedef struct waot_config {
  uint32_t tick_us;    /* the checker's period in microseconds, 50 .. 1,000,000; 0: that of the environment variable WASM_AOT_TICK_US, else 1,000 */
  int tick_signal;     /* real-time signal number of the tick; 0: that of the environment variable WASM_AOT_TICK_SIGNAL ("42", "SIGRTMIN+8"), else SIGRTMIN + 8 */
} waot_config;

/* Installs the signal handlers and starts the checker; idempotent, and called implicitly with defaults. A second call with another
 * configuration fails with WAOT_ERROR_ARGUMENT. Returns 0, or -1 with *error set (error may be NULL everywhere). */
WAOT_API int waot_init(const waot_config *config, waot_error *error);
/* Puts the runtime's signal handlers back over those that somebody has installed since; they get what is not the runtime's from then on. The checker does so once a period, or in ten,
 * while wasm runs; call it after installing handlers for SIGSEGV, SIGBUS or SIGILL to spare them the faults of wasm in between. */
WAOT_API void waot_handlers_check(void);
/* A function that is asked about each SIGSEGV that is not the runtime's before any other handler is, whoever has put theirs over that of its owner: it returns non-zero when it has dealt with
 * the fault. For hosts with another engine in the process; it runs in the signal handler. NULL: none. */
WAOT_API void waot_set_fault_filter(int (*filter)(int signal, void *info, void *context));
/* The number of the tick signal when somebody has installed a handler for it since the last question (both work, but the program should choose another tick_signal); else 0. */
WAOT_API int waot_signal_clash(void);
/* "wasm-aot runtime 0.1.0, ABI 1" */
WAOT_API const char *waot_version(void);
WAOT_API uint32_t waot_abi_version(void);
/* The spec's wording for a status code, e.g. "integer divide by zero"; "unknown status" for others. */
WAOT_API const char *waot_status_message(int status);

/* --- artifacts ---------------------------------------------------------------------------------------------------- */

/* Checks magic, bounds, ABI version, target, CPU features and hash of a file without mapping any of it executable. 0, or -1 with *error. */
WAOT_API int waot_artifact_verify(const char *path, waot_error *error);
/* Verifies, then maps. Opening one file twice shares its text. A file that is replaced meanwhile, by renaming another over it, is opened as the old one or the new one. NULL on failure with *error. */
WAOT_API waot_artifact *waot_artifact_open(const char *path, waot_error *error);
/* Drops the caller's reference; the artifact stays mapped for as long as a store has an instance of it. */
WAOT_API void waot_artifact_close(waot_artifact *artifact);
/* The manifest (UTF-8 JSON, not terminated), and its length in bytes. */
WAOT_API const char *waot_artifact_manifest(const waot_artifact *artifact, size_t *length);
/* The interned type of the module's type index; NULL when out of range. */
WAOT_API const waot_type *waot_artifact_type(const waot_artifact *artifact, uint32_t type_index);

typedef struct waot_import_type {
  const char *module; size_t module_length;
  const char *name; size_t name_length;
  uint32_t kind;             /* WAOT_EXTERN_* */
  uint32_t index;            /* in the index space of the kind */
  const waot_type *type;     /* functions */
  uint32_t valtype, mutable_; /* tables: element type; globals: type and mutability */
  const waot_type *ref;      /* of the functions that elements or value refer to: WAOT_VALTYPE_REF_TYPE, WAOT_VALTYPE_REF_NULL_TYPE; else NULL */
  uint64_t min, max;         /* tables, memories; max UINT64_MAX when absent */
} waot_import_type;
WAOT_API uint32_t waot_artifact_import_count(const waot_artifact *artifact);
WAOT_API int waot_artifact_import(const waot_artifact *artifact, uint32_t i, waot_import_type *out); /* 0, or -1 when out of range */
WAOT_API uint32_t waot_artifact_export_count(const waot_artifact *artifact);
WAOT_API int waot_artifact_export(const waot_artifact *artifact, uint32_t i, waot_import_type *out); /* module is NULL */
WAOT_API uint32_t waot_artifact_fuel_mode(const waot_artifact *artifact); /* WAOT_FUEL_* */
/* The CPU features that the artifact's code needs, as a bit set; of an artifact with code for several levels, the code that runs here: the best for this CPU, and for the level (v2, v3, v4)
 * that the environment variable WASM_AOT_CPU allows at most when the artifact is first opened. */
WAOT_API uint64_t waot_artifact_cpu_features(const waot_artifact *artifact);
/* The bit set of the features that code may use here, as far as artifacts can need them: those of the CPU, and not more than that level has. */
WAOT_API uint64_t waot_cpu_features(void);
/* The name of the feature with this bit, such as "avx2"; NULL where there is none. */
WAOT_API const char *waot_cpu_feature_name(uint32_t bit);

/* --- stores and fuel ---------------------------------------------------------------------------------------------- */

WAOT_API waot_store *waot_store_new(void); /* unlimited fuel; NULL when out of memory */
/* Frees the store and all that it owns. No activation of it may be open. Objects of other stores that refer to it must be gone or unused. */
WAOT_API void waot_store_delete(waot_store *store);
/* Sets consumed to 0 and the limit, 0 .. INT64_MAX (INT64_MAX: unlimited). -1 for a negative limit. */
WAOT_API int waot_store_set_fuel(waot_store *store, int64_t limit);
/* Raises the limit by n >= 0 (saturating at INT64_MAX); also inside a host call. -1 for n < 0. After WAOT_STATUS_OUT_OF_FUEL, consumed is the limit, and calls of the store end
 * so at once, those in progress when control comes back to them, until it has been raised or set. */
WAOT_API int waot_store_add_fuel(waot_store *store, int64_t n);
/* Charges n >= 0 on behalf of a host function; the next exit or return notices exhaustion. -1 for n < 0. */
WAOT_API int waot_store_charge(waot_store *store, int64_t n);
WAOT_API int64_t waot_store_consumed(const waot_store *store);  /* never above the limit */
WAOT_API int64_t waot_store_limit(const waot_store *store);
WAOT_API int64_t waot_store_remaining(const waot_store *store); /* limit - consumed */
/* How far consumed went past the limit before that was seen, when a call last ended out of fuel; 0 before. It depends on timing: what compiled code charges in
 * one tick_us plus the signal's delivery, plus one bulk operator (0 or a few operators where a boundary saw it); where it was slower before, in ten tick_us, but no more than 10 ms or one tick_us. */
WAOT_API int64_t waot_store_overshoot(const waot_store *store);

/* --- garbage collection ------------------------------------------------------------------------------------------- */

/*
 * Structs and arrays live on the heap of the store whose code made them, until nothing refers to them: no value on the stack of the store's thread (C's local variables count, arguments of
 * waot_call that are on the stack as well), no global, table, element segment or root of the store. A reference that C keeps anywhere else - static variables, malloc - needs a root.
 *
 * Objects never move. Stores whose references can get into each other share one heap: waot_instance_new sees to that for what it imports, and waot_store_link must be called before
 * anything else carries a reference, of whatever kind, from one store to another. While an activation of one of them is open, none of them may be used on another thread.
 */
typedef struct waot_root waot_root;
/* Keeps what a reference of the any or extern hierarchy refers to. NULL when out of memory. */
WAOT_API waot_root *waot_root_new(waot_store *store, uint64_t ref);
WAOT_API uint64_t waot_root_ref(const waot_root *root);
/* The store ends those that are left. */
WAOT_API void waot_root_delete(waot_root *root);
/* Makes the stores share one heap, for as long as they live. 0, or -1 when out of memory. */
WAOT_API int waot_store_link(waot_store *a, waot_store *b);
/* The most bytes that the heap of the store may have, rounded up to MiB; initially WAOT_HEAP_LIMIT. A heap of several stores has their limits together. Beyond it code ends with
 * WAOT_STATUS_HEAP_EXHAUSTED, as it does when there is no memory. What an unused part of a block takes counts, so about the last thirtieth cannot be relied on. */
#define WAOT_HEAP_LIMIT (UINT64_C(1) << 30)
#define WAOT_HEAP_LIMIT_MAX (UINT64_C(1) << 40)
WAOT_API void waot_store_set_heap_limit(waot_store *store, uint64_t bytes);
WAOT_API uint64_t waot_store_heap_limit(const waot_store *store);
/* Frees what cannot be reached, now. 0, or -1 when the calling thread is one without a record, or on a stack that is not its own: nothing is freed there. */
WAOT_API int waot_store_collect(waot_store *store);
/* Of the heap of a store: bytes that it may have, has, and had in objects after the last collection; objects that are not freed; and how many collections there have been. */
typedef struct waot_heap_stats { uint64_t limit, held, live, objects, collections; } waot_heap_stats;
WAOT_API void waot_store_heap_stats(const waot_store *store, waot_heap_stats *out);
/* Called before each collection of the store's heap, for the host to delete roots. It may call nothing else of this header. NULL: none. */
WAOT_API void waot_store_on_collect(waot_store *store, void (*fn)(void *data), void *data);
/* Makes each allocation collect first, and spoils what is freed, in all stores of the process: for tests. */
WAOT_API void waot_heap_set_stress(int on);

/* Whether a reference, of the hierarchy of valtype, is of that type; `type` goes with WAOT_VALTYPE_REF_TYPE and REF_NULL_TYPE. */
WAOT_API int waot_ref_is(uint64_t ref, uint32_t valtype, const waot_type *type);
/* What a reference of the any hierarchy is, and back: null, an i31, a host's handle, or else an object. */
typedef enum waot_ref_kind { WAOT_REF_NULL = 0, WAOT_REF_I31, WAOT_REF_HOST, WAOT_REF_OBJECT } waot_ref_kind;
WAOT_API waot_ref_kind waot_any_kind(uint64_t any);
WAOT_API int32_t waot_any_i31(uint64_t any);                 /* with its sign */
WAOT_API uint64_t waot_any_from_i31(int32_t value);          /* of its low 31 bits */
WAOT_API const waot_type *waot_any_type(uint64_t any);       /* of an object */
/* any.convert_extern and extern.convert_any. A handle of the host becomes an object that carries it: 0 when the heap is exhausted, and for null. A host's handles in an externref have the highest bit clear;
 * with it set, an externref is an i31 or an object. */
WAOT_API uint64_t waot_any_from_extern(waot_store *store, uint64_t externref);
WAOT_API uint64_t waot_extern_from_any(waot_store *store, uint64_t any);

/* --- interruption ------------------------------------------------------------------------------------------------- */

/* Why a store is interrupted: a set of bits. While it is not empty, activations of the store end with WAOT_STATUS_INTERRUPTED - in compiled code within about a tick, at calls
 * of host functions, at their returns and at new calls at once. A host function that blocks returns first. */
#define WAOT_INTERRUPT_REQUEST 1u /* waot_store_interrupt() */
#define WAOT_INTERRUPT_TIMEOUT 2u /* the deadline has passed */
#define WAOT_INTERRUPT_SIGNAL 4u  /* free for the host; the Node loader uses it for AbortSignals */
#define WAOT_INTERRUPT_ENDING 8u  /* the thread is being ended */
/* The set that is in force. */
WAOT_API uint32_t waot_store_interrupts(const waot_store *store);
/* Adds to the set, or takes away from it (TIMEOUT goes with its deadline only). Adding: from any thread, while the store lives. */
WAOT_API void waot_store_interrupt_for(waot_store *store, uint32_t why);
WAOT_API void waot_store_clear_interrupt_for(waot_store *store, uint32_t why);
/* The same for REQUEST. */
WAOT_API void waot_store_interrupt(waot_store *store);
WAOT_API void waot_store_clear_interrupt(waot_store *store);
/* A number that names the store in this process for ever, and interrupting by it: from any thread, whether or not the store still lives. 0, or -1 when it is gone. */
WAOT_API uint64_t waot_store_id(const waot_store *store);
WAOT_API int waot_interrupt_by_id(uint64_t id, uint32_t why);
/* The time, in ns of CLOCK_MONOTONIC, from which on the store is interrupted for TIMEOUT; 0: never (the initial state). Setting it re-decides TIMEOUT. Found by the checker: up to a
 * tick late, and wasm then ends within another. The store's own thread only. */
WAOT_API void waot_store_set_deadline(waot_store *store, int64_t deadline_ns);
WAOT_API int64_t waot_store_deadline(const waot_store *store);
/* A function that is asked, at ticks (in every period while a store is interrupted, else in every tenth at least) that find the calling thread in compiled code, and in long bulk operators, whether that is to end (non-zero: the store is interrupted for ENDING). It runs in a signal
 * handler, but between two instructions of compiled code: locks that the thread takes elsewhere are free. It must not call wasm, throw or block. NULL: none. 0, or -1
 * when the thread cannot run wasm. */
WAOT_API int waot_thread_set_poll(int (*poll)(void *data), void *data);

/* --- externals ---------------------------------------------------------------------------------------------------- */

/* A host function: args holds the parameters, and takes the results from args[0] on (it has room for the larger of the two). Returns 0, a WAOT_STATUS_* code
 * that the caller of wasm shall get (a trap code, or WAOT_STATUS_HOST_ERROR). C++ exceptions may pass. */
typedef int (*waot_host_fn)(void *data, waot_value *args);
/* type_artifact's type_index gives the type; the artifact supplies the adapter, so the type must be that of one of its function imports. NULL on failure. */
WAOT_API waot_func *waot_func_new(waot_store *store, waot_artifact *type_artifact, uint32_t type_index, waot_host_fn fn, void *data);
WAOT_API const waot_type *waot_func_type(const waot_func *func);
/* What the value with this number refers to: type->refs, where it is there. Parameters come first, then results. */
WAOT_API const waot_type *waot_type_ref(const waot_type *type, uint32_t value);

/* A memory of the runtime's own, reserved with its guard region. NULL on failure. */
WAOT_API waot_memory *waot_memory_new(waot_store *store, uint64_t min_pages, uint64_t max_pages, waot_error *error);
/* A memory that somebody else owns (Node: a WebAssembly.Memory): base never moves; at least 8 GiB + 64 KiB from base on are readable memory of it or fault (checked against
 * the process's mappings). length returns its bytes now; grow adds pages and returns the old count or -1. They run on the thread that runs wasm, as a host function would. */
typedef struct waot_memory_ops {
  uint64_t (*length)(void *data);
  int64_t (*grow)(void *data, uint64_t delta_pages);
  void *data;
} waot_memory_ops;
WAOT_API waot_memory *waot_memory_adopt(waot_store *store, void *base, uint64_t max_pages, const waot_memory_ops *ops, waot_error *error);
WAOT_API uint8_t *waot_memory_base(const waot_memory *memory);
WAOT_API uint64_t waot_memory_length(waot_memory *memory); /* bytes now */
WAOT_API uint64_t waot_memory_max(const waot_memory *memory); /* pages; UINT64_MAX when it has no maximum */
WAOT_API int64_t waot_memory_grow(waot_memory *memory, uint64_t delta_pages);

WAOT_API waot_table *waot_table_new(waot_store *store, uint32_t valtype, uint64_t min, uint64_t max, uint64_t init); /* max UINT64_MAX: none */
/* The same for any reference type; ref is the type of the functions referred to, for WAOT_VALTYPE_REF_TYPE and WAOT_VALTYPE_REF_NULL_TYPE, else NULL. init, and what is
 * put in later, must be of that type: compiled code relies on it. */
WAOT_API waot_table *waot_table_new_typed(waot_store *store, uint32_t valtype, const waot_type *ref, uint64_t min, uint64_t max, uint64_t init);
WAOT_API const waot_type *waot_table_ref(const waot_table *table);
WAOT_API uint32_t waot_table_valtype(const waot_table *table);
WAOT_API uint64_t waot_table_length(const waot_table *table);
WAOT_API uint64_t waot_table_max(const waot_table *table);
WAOT_API int waot_table_get(const waot_table *table, uint64_t i, uint64_t *ref); /* -1 when out of range */
WAOT_API int waot_table_set(waot_table *table, uint64_t i, uint64_t ref);
WAOT_API int64_t waot_table_grow(waot_table *table, uint64_t delta, uint64_t init); /* old length, or -1 */

WAOT_API waot_global *waot_global_new(waot_store *store, uint32_t valtype, int mutable_, const waot_value *value);
/* As waot_table_new_typed. */
WAOT_API waot_global *waot_global_new_typed(waot_store *store, uint32_t valtype, const waot_type *ref, int mutable_, const waot_value *value);
WAOT_API const waot_type *waot_global_ref(const waot_global *global);
WAOT_API uint32_t waot_global_valtype(const waot_global *global);
WAOT_API int waot_global_mutable(const waot_global *global);
WAOT_API void waot_global_get(const waot_global *global, waot_value *out);
WAOT_API int waot_global_set(waot_global *global, const waot_value *value); /* -1 when immutable */

typedef struct waot_extern {
  uint32_t kind; /* WAOT_EXTERN_* */
  union { waot_func *func; waot_memory *memory; waot_table *table; waot_global *global; void *any; };
} waot_extern;

/* --- instances ---------------------------------------------------------------------------------------------------- */

/* Makes the memory that a module defines; NULL `provider.make` in waot_instance_new means waot_memory_new. NULL on failure. */
typedef struct waot_memory_provider {
  waot_memory *(*make)(void *data, waot_store *store, uint32_t memory_index, uint64_t min_pages, uint64_t max_pages, waot_error *error);
  void *data;
} waot_memory_provider;

/* Type-checks the imports (one per import, in order), makes what the module defines, evaluates initialisers, fills tables and memories in the spec's order (a trap there
 * leaves what was written before it). It does not run the start function: call waot_instance_start() next. NULL on failure with *error: LINK names import, expected and
 * found; TRAP has the status. As the spec wants, writes to shared tables and memories of a failed instantiation stay, and so do the functions put into them. */
WAOT_API waot_instance *waot_instance_new(waot_store *store, waot_artifact *artifact, const waot_extern *imports, size_t import_count,
                                          const waot_memory_provider *provider, waot_error *error);
/* Runs the start function, if there is one, metered. Returns a status. */
WAOT_API int waot_instance_start(waot_instance *instance);
/* The export with this number; kind and object. -1 when out of range. */
WAOT_API int waot_instance_export(waot_instance *instance, uint32_t i, waot_extern *out);
/* The export with this name; -1 when there is none. */
WAOT_API int waot_instance_export_named(waot_instance *instance, const char *name, waot_extern *out);
WAOT_API waot_store *waot_instance_store(const waot_instance *instance);

/* Calls a function under the store's fuel and interrupt flag. args holds the parameters and takes the results: it must have room for the larger count (and at least one).
 * Returns WAOT_STATUS_OK or why it ended; out of fuel overrides a trap and a normal return (then results are not written back meaningfully). Nests freely. */
WAOT_API int waot_call(waot_store *store, const waot_func *func, waot_value *args);

/* Walks every externref of the store that is a handle of the host: in tables, globals (own ones) and element segments, and in the objects of its heap, from which it first frees what cannot be
 * reached. The heap of linked stores is walked for one of them only. For the host's garbage collection between activations, of all stores. */
typedef void (*waot_root_fn)(void *data, uint64_t ref);
WAOT_API void waot_store_visit_externrefs(waot_store *store, waot_root_fn fn, void *data);
/* A frame of compiled code. */
typedef struct waot_frame {
  const waot_artifact *artifact;
  uint64_t address;    /* in the artifact's text, as its symbol table and DWARF have it; inside the instruction that runs, or that has called */
  uint32_t activation; /* counts from the newest, 0, on */
} waot_frame;
/* The frames of compiled code on the calling thread, innermost first, at most 64 of each activation. With `ended` non-zero, activation 0 is the last call, which waot_call has just said to have
 * ended by a trap, out of fuel, or interrupted; those that are open below it follow. Returns how many it wrote. On AArch64 only frames of the ended call, and
 * none of one that ended at the call of a host function. */
WAOT_API uint32_t waot_backtrace(int ended, waot_frame *frames, uint32_t max);
/* A place in the wasm module. */
typedef struct waot_place {
  uint32_t function; /* index in the module */
  uint32_t offset;   /* byte offset in the wasm file: of the operator if is_exact, else of the function's body */
  uint8_t is_exact;  /* not where the compiler merged code of several operators */
  uint8_t is_inlined; /* the compiler inlined the function into that of the next place */
} waot_place;
/* What a frame stands for, while its artifact is open: at most `max` places, innermost first; several where the compiler inlined wasm functions. Returns how many it wrote; none for code that
 * is no wasm function's. Names of functions and lines of sources are not to be had in C: `llvm-symbolizer --obj=prog.wasm` gives them for offsets from the start of the code section's contents. */
WAOT_API uint32_t waot_frame_places(const waot_frame *frame, waot_place *places, uint32_t max);
/* The SHA-256 that names an artifact, 32 bytes, and the file that it was opened from. */
WAOT_API const uint8_t *waot_artifact_hash(const waot_artifact *artifact);
WAOT_API const char *waot_artifact_path(const waot_artifact *artifact);
/* Number of activations open on the calling thread (0: no wasm frame below). */
WAOT_API uint32_t waot_thread_depth(void);

#ifdef __cplusplus
}
#endif
#endif /* WASM_AOT_H */
