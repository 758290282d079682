/*
 * enter_x64.S - the entry trampoline, the landing, the exit trampoline, and the trampolines of the builtins (x86-64, System V).
 *
 * RBP is the fuel register: while compiled code runs it holds consumed - limit, and compiled code does nothing with it but add. C code saves and restores it like
 * any callee-saved register, so it keeps its value across builtins.
 *
 * The CFI is exact at every instruction: whatever moves the stack or saves a register is followed by its directive. An unwinder therefore gets from any
 * instruction here, or in compiled code, to the caller of waot_call with all callee-saved registers right.
 */
#include "abi.h"
#include "assembly.h"

#if defined(__x86_64__)

/* Stack of waot_enter while wasm runs; addresses grow upwards:
 *
 *     ENTER_CFA        caller's stack
 *     ENTER_CFA - 8    return address into waot_call's caller, or into waot_call where the compiler did not tail-call
 *     ENTER_RBP        caller's rbp          \ a frame record, for walkers of the frame-pointer chain
 *     ...              caller's rbx, r12, r13, r14, r15
 *     +32              padding that makes rsp a multiple of 16
 *     0 (rsp)          struct waot_activation
 *     -8               return address into waot_enter: waot_landing is right behind the call
 */
#define ENTER_PAD 8
#define ENTER_SAVED (6 * 8)
#define ENTER_RBP (WAOT_ACTIVATION_SIZE + ENTER_PAD + ENTER_SAVED - 8)
#define ENTER_CFA (WAOT_ACTIVATION_SIZE + ENTER_PAD + ENTER_SAVED + 8)

#if !defined(__APPLE__)
  .hidden waot_thread_current
#endif
  hidden_elsewhere SYMBOL(waot_checker_asleep)
  hidden_elsewhere SYMBOL(waot_checker_wake)
  hidden_elsewhere SYMBOL(waot_tick_wait)
  hidden_elsewhere SYMBOL(waot_personality)
  hidden_elsewhere SYMBOL(waot_call_finish)

.macro push_saved reg
  pushq \reg
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset \reg, 0
.endm

.macro pop_saved reg
  popq \reg
  .cfi_adjust_cfa_offset -8
  .cfi_restore \reg
.endm

.macro push_scratch reg
  pushq \reg
  .cfi_adjust_cfa_offset 8
.endm

.macro pop_scratch reg
  popq \reg
  .cfi_adjust_cfa_offset -8
.endm

.macro move_stack bytes /* positive: allocate */
  subq $\bytes, %rsp
  .cfi_adjust_cfa_offset \bytes
.endm

/*
 * int waot_enter(struct waot_thread *rdi, struct waot_limits *rsi, const waot_func *rdx, waot_value *rcx)
 *
 * Links an activation, loads the fuel register, calls func->enter(func->vmctx, args, func->code), and ends at the landing, where every activation ends:
 * normally by the call's return, otherwise sent there by a handler or by a trampoline with sp = activation, eax = status, rbp = fuel. It calls, and never
 * tail-calls, so the frame is there for unwinders (waot_call, which has nothing left to do, tail-calls it); the personality unlinks the activation when an exception or a thread's exit
 * passes through.
 */
function SYMBOL(waot_enter)
  .cfi_personality PERSONALITY_ENCODING, SYMBOL(waot_personality)
  push_saved %rbp
  push_saved %rbx
  push_saved %r12
  push_saved %r13
  push_saved %r14
  push_saved %r15
  move_stack (WAOT_ACTIVATION_SIZE + ENTER_PAD)

  movq WAOT_THREAD_TOP(%rdi), %r13
  movq %r13, WAOT_ACTIVATION_PREV(%rsp)
  movq %rdi, WAOT_ACTIVATION_THREAD(%rsp)
  movq %rsi, WAOT_ACTIVATION_LIMITS(%rsp)
  movq %rsp, WAOT_THREAD_TOP(%rdi)
  movq %rdi, %rbx                            /* rbx, r12, r13: thread, limits and prev for the normal return; only there are they still valid */
  movq %rsi, %r12
  movq WAOT_LIMITS_FUEL(%rsi), %rbp          /* from here to the landing rbp is the fuel; the caller's is saved above, as the CFI says */
  movq %rsi, WAOT_THREAD_RUNNING(%rdi)       /* before the load of the flag; checker.c says why that needs no fence */
  cmpl $0, SYMBOL(waot_checker_asleep)(%rip)
  jne LOCAL(enter_wake)
LOCAL(enter_awake):
  movq WAOT_FUNC_VMCTX(%rdx), %rdi
  movq %rcx, %rsi
  movq WAOT_FUNC_ENTER(%rdx), %rax
  movq WAOT_FUNC_CODE(%rdx), %rdx
  call *%rax

  /* A normal return: as at the landing below, from registers, since what was stored a moment ago takes long to load. */
  movq %rbp, WAOT_LIMITS_FUEL(%r12)
  movq $0, WAOT_THREAD_RUNNING(%rbx)
  cmpl $0, WAOT_THREAD_TICK_PENDING(%rbx)
  jne LOCAL(enter_returned)
  testq %rbp, %rbp                           /* exhausted: the limit itself is not exceeded */
  jg LOCAL(enter_returned)
  movq %r13, WAOT_THREAD_TOP(%rbx)
  xorl %eax, %eax                            /* WAOT_STATUS_OK */
LOCAL(enter_leave):
  addq $(WAOT_ACTIVATION_SIZE + ENTER_PAD), %rsp
  .cfi_adjust_cfa_offset -(WAOT_ACTIVATION_SIZE + ENTER_PAD)
  .cfi_remember_state
  pop_saved %r15
  pop_saved %r14
  pop_saved %r13
  pop_saved %r12
  pop_saved %rbx
  pop_saved %rbp
  ret

  .cfi_restore_state                         /* as before the pops, with the activation on the stack */
  .cfi_adjust_cfa_offset (WAOT_ACTIVATION_SIZE + ENTER_PAD)
LOCAL(enter_returned):
  xorl %eax, %eax

inner SYMBOL(waot_landing), LOCAL(landing)
  /* The stack pointer, rax and rbp are all that is valid here. The direction flag is clear, the x87 stack empty and the control bits of MXCSR are as at
   * entry, for compiled code never changes them; upper halves of ymm registers may be dirty (waot_call_finish sees to that). */
  movq WAOT_ACTIVATION_LIMITS(%rsp), %rcx
  movq WAOT_ACTIVATION_THREAD(%rsp), %rbx
  movq %rbp, WAOT_LIMITS_FUEL(%rcx)
  movq $0, WAOT_THREAD_RUNNING(%rbx)         /* before the load of tick_pending, by the same barrier */
  cmpl $0, WAOT_THREAD_TICK_PENDING(%rbx)
  jne LOCAL(enter_tick)
LOCAL(enter_quiet):
  movq WAOT_ACTIVATION_LIMITS(%rsp), %rdi
  movl %eax, %esi
  call SYMBOL(waot_call_finish)                      /* still linked: what unwinds from there finds it */
  movq WAOT_ACTIVATION_PREV(%rsp), %rcx
  movq %rcx, WAOT_THREAD_TOP(%rbx)
  jmp LOCAL(enter_leave)

LOCAL(enter_wake):
  push_scratch %rdx                          /* func and args */
  push_scratch %rcx
  call SYMBOL(waot_checker_wake)
  pop_scratch %rcx
  pop_scratch %rdx
  testl %eax, %eax
  jz LOCAL(enter_awake)
  movl $WAOT_STATUS_INTERRUPTED, %eax        /* nobody would stop it: don't start */
  jmp SYMBOL(waot_landing)

LOCAL(enter_tick):
  movl %eax, %r12d                           /* the status */
  movq %rbx, %rdi
  call SYMBOL(waot_tick_wait)
  movl %r12d, %eax
  jmp LOCAL(enter_quiet)

  /* The trampolines below come here to end the activation r11 with the status in eax. In two steps, because no single CFI could describe a jump that
   * also moves the stack: at the first instruction the frame is found through r11. */
LOCAL(land):
  .cfi_def_cfa %r11, ENTER_CFA
  movq %r11, %rsp
  .cfi_def_cfa %rsp, ENTER_CFA
  jmp SYMBOL(waot_landing)
end_function SYMBOL(waot_enter)

/* The thread's record: see waot_thread_current in thread.h. */
.macro load_thread register
#if defined(__APPLE__)
  movq SYMBOL(waot_thread_slot)(%rip), \register
  movq %gs:(\register), \register
#else
  movq waot_thread_current@gottpoff(%rip), \register
  movq %fs:(\register), \register
#endif
.endm

/* Finds the thread (r10), the activation (r11) and its limits (rax), and refuses to leave wasm with exhausted fuel, too little stack or the interrupt flag set, in
 * that order: exhaustion overrides everything. Touches r10, r11, rax; the stack is as at the function's entry. */
.macro check_exit thread=%r10 /* named, because without parameters Mach-O's assembler takes $0 for one */
  load_thread \thread
  testq %rbp, %rbp
  jg LOCAL(refuse_fuel)
  cmpq WAOT_THREAD_HOST_STACK_LIMIT(%r10), %rsp
  jb LOCAL(refuse_stack)
  movq WAOT_THREAD_TOP(%r10), %r11
  movq WAOT_ACTIVATION_LIMITS(%r11), %rax
  cmpl $0, WAOT_LIMITS_INTERRUPT(%rax)
  jne LOCAL(refuse_interrupted)
.endm

/* Where check_exit goes: nothing is on the stack but the return address. It ends by a trap: the frames have to be noted before anything else uses the stack, of which
 * there may be too little left for a call. */
function SYMBOL(waot_refuse)
LOCAL(refuse_fuel):
  movl $WAOT_STATUS_OUT_OF_FUEL, %eax
  jmp LOCAL(refuse)
LOCAL(refuse_stack):
  movl $WAOT_STATUS_CALL_STACK_EXHAUSTED, %eax
  jmp LOCAL(refuse)
LOCAL(refuse_interrupted):
  movl $WAOT_STATUS_INTERRUPTED, %eax
LOCAL(refuse):
inner SYMBOL(waot_refused), LOCAL(refused)
  ud2                                        /* the handler notes the frames of the activation, and goes on at the landing with the status in eax */
end_function SYMBOL(waot_refuse)

/*
 * The way out of wasm, to code of the host that may take long, throw, call wasm again, charge or refuel. Stack during the call:
 *
 *     +32   compiled code's stack (CFA)
 *     +24   return address into compiled code      \ rbp points to this pair: a valid frame record, whose
 *     +16   address of that of waot_enter          / next one is waot_enter's, with the return address into the host which entered wasm
 *     +8    rbp of compiled code: the fuel. Not read again here (the host can change the fuel), but what an unwinder finds
 *     0     rbx of compiled code; rbx holds the activation
 *
 * `leave_wasm` and `return_to_wasm` enclose the call; the first keeps the six argument registers, the second rax. `labels` names the local labels.
 */
.macro leave_wasm labels
  check_exit
  movq %rsp, WAOT_ACTIVATION_EXIT_SP(%r11)   /* where backtraces of this activation begin */
  leaq ENTER_RBP(%r11), %r11
  push_scratch %r11
  push_saved %rbp
  push_saved %rbx
  leaq -ENTER_RBP(%r11), %rbx
  movq %rbp, WAOT_LIMITS_FUEL(%rax)          /* the host sees, and can change, the fuel */
  leaq 16(%rsp), %rbp                        /* the frame record */
  movq $0, WAOT_THREAD_RUNNING(%r10)         /* before the load of tick_pending; see waot_landing */
  cmpl $0, WAOT_THREAD_TICK_PENDING(%r10)
  jne \labels\()_tick
\labels\()_quiet:
.endm

.macro return_to_wasm labels
  movq WAOT_ACTIVATION_THREAD(%rbx), %r10
  movq WAOT_ACTIVATION_LIMITS(%rbx), %r11
  movq WAOT_LIMITS_FUEL(%r11), %rbp
  .cfi_restore %rbp                          /* rbp is compiled code's again */
  movq %r11, WAOT_THREAD_RUNNING(%r10)       /* before the load of the flag; see waot_enter */
  cmpl $0, SYMBOL(waot_checker_asleep)(%rip)
  jne \labels\()_wake
\labels\()_awake:
  testq %rbp, %rbp                           /* the host may have charged */
  jg \labels\()_exhausted
  cmpl $0, WAOT_LIMITS_INTERRUPT(%r11)
  jne \labels\()_interrupted
.endm

/* Ends a function that uses the two macros above, with the paths that are rarely taken. */
.macro finish_exit labels
  .cfi_remember_state
  pop_saved %rbx
  addq $16, %rsp
  .cfi_adjust_cfa_offset -16
  ret

  .cfi_restore_state
\labels\()_wake:
  push_scratch %rax                          /* the host's result */
  move_stack 8
  call SYMBOL(waot_checker_wake)
  movl %eax, %ecx
  move_stack -8
  pop_scratch %rax
  movq WAOT_ACTIVATION_LIMITS(%rbx), %r11
  testl %ecx, %ecx
  jz \labels\()_awake
\labels\()_interrupted:
  movl $WAOT_STATUS_INTERRUPTED, %eax
  jmp \labels\()_refused
\labels\()_exhausted:
  movl $WAOT_STATUS_OUT_OF_FUEL, %eax
\labels\()_refused:
  .cfi_remember_state
  pop_saved %rbx
  addq $16, %rsp
  .cfi_adjust_cfa_offset -16
  jmp SYMBOL(waot_refused)
  .cfi_restore_state
\labels\()_failed:
  movq %rbx, %r11
  jmp LOCAL(land)

  .cfi_rel_offset %rbp, 8                    /* back before the call: rbp is the frame record, compiled code's is on the stack */
\labels\()_tick:
  push_scratch %rdi
  push_scratch %rsi
  push_scratch %rdx
  push_scratch %rcx
  push_scratch %r8
  push_scratch %r9
  movq %r10, %rdi
  call SYMBOL(waot_tick_wait)
  pop_scratch %r9
  pop_scratch %r8
  pop_scratch %rcx
  pop_scratch %rdx
  pop_scratch %rsi
  pop_scratch %rdi
  jmp \labels\()_quiet
.endm

/* void waot_exit(struct waot_host *rdi, waot_value *rsi): the exit trampoline. Calls host->fn(host->data, args); returns if that returns 0. */
function SYMBOL(waot_exit)
  leave_wasm LOCAL(exit)
  movq WAOT_HOST_FN(%rdi), %rax
  movq WAOT_HOST_DATA(%rdi), %rdi
  call *%rax
  return_to_wasm LOCAL(exit)
  testl %eax, %eax
  jnz LOCAL(exit_failed)                          /* the host's own status */
  finish_exit LOCAL(exit)
end_function SYMBOL(waot_exit)

/* Builtins that can call the host, because a memory's owner (V8) may have to be asked for its length, or that can work long and stop in the middle, which the check at their return
 * finds: the whole way out, with the arguments passed through. */
.macro host_builtin entry, target, labels
  hidden_elsewhere \target
function \entry
  leave_wasm \labels
  call \target
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

/* The other builtins are the runtime's own code and never call the host: the fuel stays in rbp, `running` stays set, and a tick that finds the pc there does
 * nothing. They are still boundaries at which exhaustion, the stack and the interrupt flag are looked at. Arguments (rdi, rsi, rdx, rcx, r8, r9) pass
 * through. */
.macro builtin entry, target
  hidden_elsewhere \target
function \entry
  check_exit
  jmp \target
end_function \entry
.endm

#define BUILTIN(name) builtin SYMBOL(waot_builtin_enter_##name), SYMBOL(waot_builtin_##name)
BUILTIN(data_drop)
BUILTIN(elem_drop)
BUILTIN(extern_convert_any)

#endif /* __x86_64__ */
