/* call.c - the way from C into wasm and back: waot_call, what an exception does to an activation, and the table of builtins. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "backtrace.h"
#include "internal.h"
#include "machine.h"
#include "thread.h"

#include <unwind.h>

#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

static void restore_fp_control(const machine_fp_control *saved) { machine_fp_set(*saved); }

/* For callers with a floating-point environment of their own (-ffast-math start-up code, fesetround, feenableexcept): wasm runs in the default one. */
static __attribute__((noinline)) int enter_with_default_fp(struct waot_thread *thread, struct waot_limits *limits, const waot_func *func, waot_value *args) {
  __attribute__((cleanup(restore_fp_control))) machine_fp_control saved = machine_fp_get(); /* also when an exception passes */
  machine_fp_set(MACHINE_FP_DEFAULT);
  return waot_enter(thread, limits, func, args);
}

/*
 * The fuel law: exhaustion overrides whatever else ended the call, and the consumed fuel is then the limit. It lasts: limits.fuel stays above zero until somebody refuels, so that an
 * outer activation of the store ends so too, even when its host function keeps quiet about this one and nothing costs after that. How far past the limit the
 * code ran depends on timing, so it is only reported.
 */
__attribute__((noinline)) int waot_call_finish(struct waot_limits *limits, int status) {
  struct waot_store *store = (struct waot_store *)limits; /* its first member */
  struct waot_thread_record *thread = (struct waot_thread_record *)waot_thread_current;
  if (status == WAOT_STATUS_OK && limits->fuel <= 0) return status; /* a tick was under way */
  waot_trace_settle(thread);
  machine_fp_clean();
  if (limits->fuel <= 0) return status;
  if (!store->exhausted) store->overshoot = limits->fuel;
  store->exhausted = true;
  waot_pace_refuel(&thread->pace, limits, limits->fuel, 1);
  limits->fuel = 1;
  return WAOT_STATUS_OUT_OF_FUEL;
}

/* A host function whose type no entry adapter exists for: there is no wasm to enter. */
static __attribute__((noinline)) int call_host(struct waot_limits *limits, const waot_func *func, waot_value *args) {
  const struct waot_host *host = func->vmctx;
  int status = ((waot_host_fn)host->fn)(host->data, args);
  return status != WAOT_STATUS_OK || limits->fuel > 0 ? waot_call_finish(limits, status) : status;
}

/* The first call on a thread: finds its stack. */
static __attribute__((noinline)) int attach_and_call(waot_store *store, const waot_func *func, waot_value *args) {
  return waot_thread_attach() ? waot_call(store, func, args) : WAOT_STATUS_CALL_STACK_EXHAUSTED; /* no stack that wasm could use safely */
}

int waot_call(waot_store *store, const waot_func *func, waot_value *args) {
  struct waot_limits *limits = &store->limits;
  struct waot_thread_record *thread = (struct waot_thread_record *)waot_thread_current;
  if (UNLIKELY(!thread)) return attach_and_call(store, func, args);
  machine_fp_control fp = machine_fp_get(); /* early: it takes long to arrive, and on AMD's Zen 3 nothing else is begun for some 15 cycles, a third of the whole call, wherever it stands */
  if (UNLIKELY(limits->fuel > 0)) return waot_call_finish(limits, WAOT_STATUS_OUT_OF_FUEL);
  if (UNLIKELY(__atomic_load_n(&limits->interrupt, __ATOMIC_RELAXED))) return waot_call_finish(limits, WAOT_STATUS_INTERRUPTED);
  /* Too deep, or (then the difference is larger than the stack) on a stack that isn't the thread's. */
  if (UNLIKELY(machine_stack_pointer() - thread->entry_limit >= thread->entry_room)) return waot_call_finish(limits, WAOT_STATUS_CALL_STACK_EXHAUSTED);
  if (UNLIKELY(!func->enter)) return call_host(limits, func, args);
  if (UNLIKELY((fp & MACHINE_FP_MASK) != MACHINE_FP_DEFAULT)) return enter_with_default_fp(&thread->head, limits, func, args);
  return waot_enter(&thread->head, limits, func, args);
}

uint32_t waot_thread_depth(void) {
  uint32_t depth = 0;
  if (!waot_thread_current) return 0;
  for (const struct waot_activation *a = waot_thread_current->top; a; a = a->prev) depth++;
  return depth;
}

/*
 * The personality routine of waot_enter: an exception of the host, or the forced unwinding of pthread_exit, passes through; frames are unwound innermost
 * first, so the activation of this one is the newest. The fuel in its limits is right: the exit trampoline wrote it, and the host may have changed it since.
 */
_Unwind_Reason_Code waot_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class class, struct _Unwind_Exception *exception,
                                     struct _Unwind_Context *context) {
  (void)version, (void)class, (void)exception, (void)context;
  if (actions & _UA_CLEANUP_PHASE) {
    struct waot_thread *thread = waot_thread_current;
    const struct waot_activation *ended = thread->top;
    thread->running = NULL;
    thread->top = ended->prev;
  }
  return _URC_CONTINUE_UNWIND;
}

#define BUILTIN(name) extern __typeof__(*((struct waot_builtins *)0)->name) waot_builtin_enter_##name;
BUILTIN(memory_size)
BUILTIN(memory_grow)
BUILTIN(memory_fill)
BUILTIN(memory_copy)
BUILTIN(memory_init)
BUILTIN(data_drop)
BUILTIN(table_grow)
BUILTIN(table_fill)
BUILTIN(table_copy)
BUILTIN(table_init)
BUILTIN(elem_drop)
BUILTIN(struct_new)
BUILTIN(array_new)
BUILTIN(array_new_data)
BUILTIN(array_new_elem)
BUILTIN(array_fill)
BUILTIN(array_copy)
BUILTIN(array_init_data)
BUILTIN(array_init_elem)
BUILTIN(any_convert_extern)
BUILTIN(extern_convert_any)

const struct waot_builtins waot_builtin_table = {
  .memory_size = waot_builtin_enter_memory_size,
  .memory_grow = waot_builtin_enter_memory_grow,
  .memory_fill = waot_builtin_enter_memory_fill,
  .memory_copy = waot_builtin_enter_memory_copy,
  .memory_init = waot_builtin_enter_memory_init,
  .data_drop = waot_builtin_enter_data_drop,
  .table_grow = waot_builtin_enter_table_grow,
  .table_fill = waot_builtin_enter_table_fill,
  .table_copy = waot_builtin_enter_table_copy,
  .table_init = waot_builtin_enter_table_init,
  .elem_drop = waot_builtin_enter_elem_drop,
  .struct_new = waot_builtin_enter_struct_new,
  .array_new = waot_builtin_enter_array_new,
  .array_new_data = waot_builtin_enter_array_new_data,
  .array_new_elem = waot_builtin_enter_array_new_elem,
  .array_fill = waot_builtin_enter_array_fill,
  .array_copy = waot_builtin_enter_array_copy,
  .array_init_data = waot_builtin_enter_array_init_data,
  .array_init_elem = waot_builtin_enter_array_init_elem,
  .any_convert_extern = waot_builtin_enter_any_convert_extern,
  .extern_convert_any = waot_builtin_enter_extern_convert_any,
};
