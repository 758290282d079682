/*
 * enter_arm64.S - the entry trampoline, the landing, the exit trampoline, and the trampolines of the builtins (AArch64, AAPCS64). The counterpart of enter_x64.S.
 *
 * X28 is the fuel register: while compiled code runs it holds consumed - limit, and compiled code does nothing with it but add. C code saves and restores it like
 * any callee-saved register, so it keeps its value across builtins.
 *
 * The CFI is exact at every instruction: whatever moves the stack or saves a register is followed by its directive. An unwinder therefore gets from any
 * instruction here, or in compiled code, to the caller of waot_call with all callee-saved registers right.
 *
 * X29 is a valid frame pointer throughout: compiled code reserves it, and changes it only to make a frame record of its own.
 */
#include "abi.h"
#include "assembly.h"

#if defined(__aarch64__)

/* Stack of waot_enter while wasm runs; addresses grow upwards:
 *
 *     ENTER_CFA        caller's stack
 *     ...              caller's d8 .. d15
 *     ...              caller's x19 .. x28
 *     ENTER_RECORD     caller's x29, return address into waot_call's caller, or into waot_call where the compiler did not tail-call: a frame record
 *     0 (sp)           struct waot_activation
 */
#define ENTER_SAVED (20 * 8)
#define ENTER_RECORD WAOT_ACTIVATION_SIZE
#define ENTER_CFA (WAOT_ACTIVATION_SIZE + ENTER_SAVED)

#if !defined(__APPLE__)
  .hidden waot_thread_current
#endif
  hidden_elsewhere SYMBOL(waot_checker_asleep)
  hidden_elsewhere SYMBOL(waot_checker_wake)
  hidden_elsewhere SYMBOL(waot_tick_wait)
  hidden_elsewhere SYMBOL(waot_personality)
  hidden_elsewhere SYMBOL(waot_call_finish)

/* Saves two registers at an offset from sp; and takes them back. */
.macro save_pair first, second, at
  stp \first, \second, [sp, #\at]
  .cfi_rel_offset \first, \at
  .cfi_rel_offset \second, \at + 8
.endm

.macro load_pair first, second, at
  ldp \first, \second, [sp, #\at]
  .cfi_restore \first
  .cfi_restore \second
.endm

.macro push_scratch first, second
  stp \first, \second, [sp, #-16]!
  .cfi_adjust_cfa_offset 16
.endm

.macro pop_scratch first, second
  ldp \first, \second, [sp], #16
  .cfi_adjust_cfa_offset -16
.endm

/* Whether the checker sleeps, into a 32-bit register; `address` is the 64-bit name of one to use for its address. */
.macro load_asleep value, address
#if defined(__APPLE__)
  adrp \address, SYMBOL(waot_checker_asleep)@PAGE
  ldr \value, [\address, SYMBOL(waot_checker_asleep)@PAGEOFF]
#else
  adrp \address, waot_checker_asleep
  ldr \value, [\address, #:lo12:waot_checker_asleep]
#endif
.endm

/*
 * int waot_enter(struct waot_thread *x0, struct waot_limits *x1, const waot_func *x2, waot_value *x3)
 *
 * Links an activation, loads the fuel register, calls func->enter(func->vmctx, args, func->code), and ends at the landing, where every activation ends:
 * normally by the call's return, otherwise sent there by a handler or by a trampoline with sp = activation, w0 = status, x28 = fuel. It calls, and never
 * tail-calls, so the frame is there for unwinders (waot_call, which has nothing left to do, tail-calls it); the personality unlinks the activation when an exception or a thread's exit
 * passes through.
 */
function SYMBOL(waot_enter)
  .cfi_personality PERSONALITY_ENCODING, SYMBOL(waot_personality)
  stp x29, x30, [sp, #-ENTER_SAVED]!
  .cfi_adjust_cfa_offset ENTER_SAVED
  .cfi_rel_offset x29, 0
  .cfi_rel_offset x30, 8
  mov x29, sp
  save_pair x19, x20, 16
  save_pair x21, x22, 32
  save_pair x23, x24, 48
  save_pair x25, x26, 64
  save_pair x27, x28, 80
  save_pair d8, d9, 96
  save_pair d10, d11, 112
  save_pair d12, d13, 128
  save_pair d14, d15, 144
  sub sp, sp, #WAOT_ACTIVATION_SIZE
  .cfi_adjust_cfa_offset WAOT_ACTIVATION_SIZE

  ldr x9, [x0, #WAOT_THREAD_TOP]
  str x9, [sp, #WAOT_ACTIVATION_PREV]
  str x0, [sp, #WAOT_ACTIVATION_THREAD]
  str x1, [sp, #WAOT_ACTIVATION_LIMITS]
  mov x9, sp
  str x9, [x0, #WAOT_THREAD_TOP]
  mov x19, x2                                /* func and args: in registers that the slow path keeps */
  mov x20, x3
  ldr x28, [x1, #WAOT_LIMITS_FUEL]           /* from here to the landing x28 is the fuel; the caller's is saved above, as the CFI says */
  str x1, [x0, #WAOT_THREAD_RUNNING]         /* before the load of the flag; checker.c says why that needs no fence */
  load_asleep w9, x9
  cbnz w9, LOCAL(enter_wake)
LOCAL(enter_awake):
  ldr x0, [x19, #WAOT_FUNC_VMCTX]
  mov x1, x20
  ldr x2, [x19, #WAOT_FUNC_CODE]
  ldr x9, [x19, #WAOT_FUNC_ENTER]
  blr x9
  mov w0, #WAOT_STATUS_OK                    /* a normal return */

inner SYMBOL(waot_landing), LOCAL(landing)
  /* The stack pointer, w0 and x28 are all that is valid here; FPCR is as at entry, for compiled code never changes it. */
  add x29, sp, #ENTER_RECORD
  ldr x9, [sp, #WAOT_ACTIVATION_LIMITS]
  ldr x19, [sp, #WAOT_ACTIVATION_THREAD]
  str x28, [x9, #WAOT_LIMITS_FUEL]
  str xzr, [x19, #WAOT_THREAD_RUNNING]       /* before the load of tick_pending, by the same barrier */
  ldr w9, [x19, #WAOT_THREAD_TICK_PENDING]
  cbnz w9, LOCAL(enter_tick)
LOCAL(enter_quiet):
  cbnz w0, LOCAL(enter_early)
  cmp x28, #0                                /* exhausted: the limit itself is not exceeded */
  b.gt LOCAL(enter_early)
LOCAL(enter_finished):
  ldr x9, [sp, #WAOT_ACTIVATION_PREV]
  str x9, [x19, #WAOT_THREAD_TOP]
  add sp, sp, #WAOT_ACTIVATION_SIZE
  .cfi_adjust_cfa_offset -WAOT_ACTIVATION_SIZE
  .cfi_remember_state
  load_pair d14, d15, 144
  load_pair d12, d13, 128
  load_pair d10, d11, 112
  load_pair d8, d9, 96
  load_pair x27, x28, 80
  load_pair x25, x26, 64
  load_pair x23, x24, 48
  load_pair x21, x22, 32
  load_pair x19, x20, 16
  ldp x29, x30, [sp], #ENTER_SAVED
  .cfi_adjust_cfa_offset -ENTER_SAVED
  .cfi_restore x29
  .cfi_restore x30
  ret

  .cfi_restore_state                         /* as before the loads, with the activation on the stack */
  .cfi_adjust_cfa_offset WAOT_ACTIVATION_SIZE
LOCAL(enter_wake):
  bl SYMBOL(waot_checker_wake)
  cbz w0, LOCAL(enter_awake)
  mov w0, #WAOT_STATUS_INTERRUPTED           /* nobody would stop it: don't start */
  b SYMBOL(waot_landing)

LOCAL(enter_early):
  mov w1, w0
  ldr x0, [sp, #WAOT_ACTIVATION_LIMITS]
  bl SYMBOL(waot_call_finish)                /* still linked: what unwinds from there finds it */
  b LOCAL(enter_finished)

LOCAL(enter_tick):
  mov w20, w0                                /* the status */
  mov x0, x19
  bl SYMBOL(waot_tick_wait)
  mov w0, w20
  b LOCAL(enter_quiet)

  /* The exit trampoline comes here to end the activation x9 with the status in w0. In two steps, because no single CFI could describe a jump that
   * also moves the stack: at the first instruction the frame is found through x9. */
LOCAL(land):
  .cfi_def_cfa x9, ENTER_CFA
  mov sp, x9
  .cfi_def_cfa sp, ENTER_CFA
  b SYMBOL(waot_landing)
end_function SYMBOL(waot_enter)

/* The thread's record: see waot_thread_current in thread.h. */
.macro load_thread register, scratch
#if defined(__APPLE__)
  mrs \register, tpidrro_el0
  and \register, \register, #~7
  adrp \scratch, SYMBOL(waot_thread_slot)@PAGE
  ldr \scratch, [\scratch, SYMBOL(waot_thread_slot)@PAGEOFF]
#else
  mrs \register, tpidr_el0
  adrp \scratch, :gottprel:waot_thread_current
  ldr \scratch, [\scratch, #:gottprel_lo12:waot_thread_current]
#endif
  ldr \register, [\register, \scratch]
.endm

/* Finds the thread (x10), the activation (x11) and its limits (x12), and refuses to leave wasm with exhausted fuel, too little stack or the interrupt flag set, in
 * that order: exhaustion overrides everything. Touches x9 to x12; the stack is as at the function's entry. */
.macro check_exit
  load_thread x10, x11
  cmp x28, #0
  b.gt LOCAL(refuse_fuel)
  ldr x11, [x10, #WAOT_THREAD_HOST_STACK_LIMIT]
  cmp sp, x11
  b.lo LOCAL(refuse_stack)
  ldr x11, [x10, #WAOT_THREAD_TOP]
  ldr x12, [x11, #WAOT_ACTIVATION_LIMITS]
  ldr w9, [x12, #WAOT_LIMITS_INTERRUPT]
  cbnz w9, LOCAL(refuse_interrupted)
.endm

#define EXIT_FRAME 32 /* MACHINE_EXIT_FRAME of machine.h */
#define EXIT_X28 16

/* Pushes the frame of the way out of wasm, with its record. */
.macro push_exit_frame
  stp x29, x30, [sp, #-EXIT_FRAME]!
  .cfi_adjust_cfa_offset EXIT_FRAME
  .cfi_rel_offset x29, 0
  .cfi_rel_offset x30, 8
.endm

/* Where check_exit goes: the frame is that of the function's entry. It ends by a trap: the frames have to be noted before anything else uses the stack, of which
 * there may be too little left for a call. */
function SYMBOL(waot_refuse)
LOCAL(refuse_fuel):
  mov w0, #WAOT_STATUS_OUT_OF_FUEL
  b LOCAL(refuse)
LOCAL(refuse_stack):
  mov w0, #WAOT_STATUS_CALL_STACK_EXHAUSTED
  b LOCAL(refuse)
LOCAL(refuse_interrupted):
  mov w0, #WAOT_STATUS_INTERRUPTED
LOCAL(refuse):
  push_exit_frame
inner SYMBOL(waot_refused), LOCAL(refused)
  brk #0                                     /* the handler notes the frames of the activation, and goes on at the landing with the status in w0 */
end_function SYMBOL(waot_refuse)

/*
 * The way out of wasm, to code of the host that may take long, throw, call wasm again, charge or refuel. Stack during the call:
 *
 *     +32   compiled code's stack (CFA)
 *     +24   x19 of compiled code; x19 holds the activation
 *     +16   x28 of compiled code: the fuel. Not read again here (the host can change the fuel), but what an unwinder finds
 *     +8    return address into compiled code      \ x29 points to this pair, a frame record; the next one is that of
 *     0     x29 of compiled code                   / compiled code, or of waot_enter
 *
 * `leave_wasm` and `return_to_wasm` enclose the call; the first keeps the argument registers x0 to x5, the second x0. `labels` names the local labels.
 */
.macro leave_wasm labels
  check_exit
  push_exit_frame
  save_pair x28, x19, EXIT_X28
  mov x29, sp
  str x29, [x11, #WAOT_ACTIVATION_EXIT_SP]   /* where backtraces of this activation begin */
  mov x19, x11
  str x28, [x12, #WAOT_LIMITS_FUEL]          /* the host sees, and can change, the fuel */
  str xzr, [x10, #WAOT_THREAD_RUNNING]       /* before the load of tick_pending; see waot_landing */
  ldr w9, [x10, #WAOT_THREAD_TICK_PENDING]
  cbnz w9, \labels\()_tick
\labels\()_quiet:
.endm

.macro return_to_wasm labels
  ldr x10, [x19, #WAOT_ACTIVATION_THREAD]
  ldr x11, [x19, #WAOT_ACTIVATION_LIMITS]
  ldr x28, [x11, #WAOT_LIMITS_FUEL]
  .cfi_restore x28                           /* x28 is compiled code's again */
  str x11, [x10, #WAOT_THREAD_RUNNING]       /* before the load of the flag; see waot_enter */
  load_asleep w9, x9
  cbnz w9, \labels\()_wake
\labels\()_awake:
  cmp x28, #0                                /* the host may have charged */
  b.gt \labels\()_exhausted
  ldr w9, [x11, #WAOT_LIMITS_INTERRUPT]
  cbnz w9, \labels\()_interrupted
.endm

/* Ends a function that uses the two macros above, with the paths that are rarely taken. */
.macro finish_exit labels
  .cfi_remember_state
  ldr x19, [sp, #EXIT_X28 + 8]
  .cfi_restore x19
  ldp x29, x30, [sp], #EXIT_FRAME
  .cfi_adjust_cfa_offset -EXIT_FRAME
  .cfi_restore x29
  .cfi_restore x30
  ret

  .cfi_restore_state
\labels\()_wake:
  push_scratch x0, x1                        /* the host's result */
  bl SYMBOL(waot_checker_wake)
  mov w9, w0
  pop_scratch x0, x1
  ldr x11, [x19, #WAOT_ACTIVATION_LIMITS]
  cbz w9, \labels\()_awake
\labels\()_interrupted:
  mov w0, #WAOT_STATUS_INTERRUPTED
  b \labels\()_refused
\labels\()_exhausted:
  mov w0, #WAOT_STATUS_OUT_OF_FUEL
\labels\()_refused:
  .cfi_remember_state
  ldr x19, [sp, #EXIT_X28 + 8]
  .cfi_restore x19
  b SYMBOL(waot_refused)
  .cfi_restore_state
\labels\()_failed:
  mov x9, x19
  b LOCAL(land)

  .cfi_rel_offset x28, EXIT_X28              /* back before the call: compiled code's x28 is on the stack */
\labels\()_tick:
  push_scratch x0, x1
  push_scratch x2, x3
  push_scratch x4, x5
  mov x0, x10
  bl SYMBOL(waot_tick_wait)
  pop_scratch x4, x5
  pop_scratch x2, x3
  pop_scratch x0, x1
  b \labels\()_quiet
.endm

/* void waot_exit(struct waot_host *x0, waot_value *x1): the exit trampoline. Calls host->fn(host->data, args); returns if that returns 0. */
function SYMBOL(waot_exit)
  leave_wasm LOCAL(exit)
  ldr x9, [x0, #WAOT_HOST_FN]
  ldr x0, [x0, #WAOT_HOST_DATA]
  blr x9
  return_to_wasm LOCAL(exit)
  cbnz w0, LOCAL(exit_failed)                     /* the host's own status */
  finish_exit LOCAL(exit)
end_function SYMBOL(waot_exit)

/* Builtins that can call the host, because a memory's owner (V8) may have to be asked for its length, or that can work long and stop in the middle, which the check at their return
 * finds: the whole way out, with the arguments passed through. */
.macro host_builtin entry, target, labels
  hidden_elsewhere \target
function \entry
  leave_wasm \labels
  bl \target
  return_to_wasm \labels
  finish_exit \labels
end_function \entry
.endm

#define HOST_BUILTIN(name) host_builtin SYMBOL(waot_builtin_enter_##name), SYMBOL(waot_builtin_##name), LOCAL(name)
HOST_BUILTIN(memory_size)
HOST_BUILTIN(memory_grow)
HOST_BUILTIN(memory_fill)
HOST_BUILTIN(memory_copy)
HOST_BUILTIN(memory_init)
HOST_BUILTIN(table_grow)
HOST_BUILTIN(table_fill)
HOST_BUILTIN(table_copy)
HOST_BUILTIN(table_init)
/* Those that allocate may collect garbage, which takes long. */
HOST_BUILTIN(struct_new)
HOST_BUILTIN(array_new)
HOST_BUILTIN(array_new_data)
HOST_BUILTIN(array_new_elem)
HOST_BUILTIN(array_fill)
HOST_BUILTIN(array_copy)
HOST_BUILTIN(array_init_data)
HOST_BUILTIN(array_init_elem)
HOST_BUILTIN(any_convert_extern)

/* The other builtins are the runtime's own code and never call the host: the fuel stays in x28, `running` stays set, and a tick that finds the pc there does
 * nothing. They are still boundaries at which exhaustion, the stack and the interrupt flag are looked at. Arguments (x0 to x5) pass through. */
.macro builtin entry, target
  hidden_elsewhere \target
function \entry
  check_exit
  b \target
end_function \entry
.endm

#define BUILTIN(name) builtin SYMBOL(waot_builtin_enter_##name), SYMBOL(waot_builtin_##name)
BUILTIN(data_drop)
BUILTIN(elem_drop)
BUILTIN(extern_convert_any)

#endif /* __aarch64__ */
