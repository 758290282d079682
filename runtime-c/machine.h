/*
 * machine.h - what differs between architectures in the runtime's C code: the registers of an interrupted context, the instruction that a trap is, the floating-point environment.
 * The rest is in enter_x64.S and enter_arm64.S.
 */
#ifndef WAOT_MACHINE_H
#define WAOT_MACHINE_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE before the first include: <ucontext.h> names the registers only then"
#endif
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

#include "code_map.h"

/* The registers of an interrupted context: where each system's signal frame has them. On macOS the trap instructions' codes say little (nothing on Arm), but kill and the like
 * are told from them; what the instruction is decides. */
#if defined(__APPLE__) && defined(__x86_64__)
#define MACHINE_PC(context) ((context)->uc_mcontext->__ss.__rip)
#define MACHINE_SP(context) ((context)->uc_mcontext->__ss.__rsp)
#define MACHINE_FUEL(context) ((context)->uc_mcontext->__ss.__rbp)
#define MACHINE_RESULT(context) ((context)->uc_mcontext->__ss.__rax)
#define MACHINE_TRAP_CODE(code) ((code) < SI_USER)
#elif defined(__APPLE__) && defined(__aarch64__)
#define MACHINE_PC(context) ((context)->uc_mcontext->__ss.__pc)
#define MACHINE_SP(context) ((context)->uc_mcontext->__ss.__sp)
#define MACHINE_LINK(context) ((context)->uc_mcontext->__ss.__lr)
#define MACHINE_FUEL(context) ((context)->uc_mcontext->__ss.__x[28])
#define MACHINE_RESULT(context) ((context)->uc_mcontext->__ss.__x[0])
#define MACHINE_TRAP_CODE(code) ((code) < SI_USER)
#elif defined(__x86_64__)
#define MACHINE_PC(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define MACHINE_SP(context) ((context)->uc_mcontext.gregs[REG_RSP])
#define MACHINE_FUEL(context) ((context)->uc_mcontext.gregs[REG_RBP])
#define MACHINE_RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#define MACHINE_TRAP_CODE(code) ((code) == ILL_ILLOPN || (code) == ILL_ILLOPC)
#elif defined(__aarch64__)
#define MACHINE_PC(context) ((context)->uc_mcontext.pc)
#define MACHINE_SP(context) ((context)->uc_mcontext.sp)
#define MACHINE_LINK(context) ((context)->uc_mcontext.regs[30])
#define MACHINE_FUEL(context) ((context)->uc_mcontext.regs[28])
#define MACHINE_RESULT(context) ((context)->uc_mcontext.regs[0])
#define MACHINE_TRAP_CODE(code) ((code) == TRAP_BRKPT)
#endif

/* A place in compiled code: in a frame that is interrupted, or that has called (then pc is the return address). */
struct waot_code_place {
  uintptr_t pc, sp;
  const ucontext_t *context; /* of an interrupted frame: its registers, of which one may have the return address; else NULL */
  int is_call;
};

static inline uintptr_t machine_pc(const ucontext_t *context) { return (uintptr_t)MACHINE_PC(context); }
static inline uintptr_t machine_sp(const ucontext_t *context) { return (uintptr_t)MACHINE_SP(context); }
/* The fuel register: consumed - limit, where the pc is in an artifact's text. */
static inline int64_t machine_fuel(const ucontext_t *context) { return (int64_t)MACHINE_FUEL(context); }
static inline void machine_charge(ucontext_t *context, uint64_t fuel) { MACHINE_FUEL(context) += (__typeof__(MACHINE_FUEL(context)))fuel; }
/* Makes the context go on at pc with this stack pointer and this value in the return register. */
static inline void machine_redirect(ucontext_t *context, const void *pc, void *sp, int result) {
  MACHINE_PC(context) = (__typeof__(MACHINE_PC(context)))(uintptr_t)pc;
  MACHINE_SP(context) = (__typeof__(MACHINE_SP(context)))(uintptr_t)sp;
  MACHINE_RESULT(context) = (uint32_t)result;
}
static inline int machine_is_trap_code(int si_code) { return MACHINE_TRAP_CODE(si_code); }
static inline struct waot_code_place machine_place(const ucontext_t *context) {
  return (struct waot_code_place){ .pc = machine_pc(context), .sp = machine_sp(context), .context = context, .is_call = 0 };
}

#if defined(__x86_64__)

#include <xmmintrin.h>

/* DWARF's numbers of the stack pointer and of the return address. */
#define MACHINE_DWARF_SP 7
#define MACHINE_DWARF_RETURN 16
/* The value of a register that can hold a return address on its way to a tail call, by DWARF's number; 0 for others. */
static inline uintptr_t machine_register(const ucontext_t *context, uint64_t number) {
#if defined(__APPLE__)
  const __typeof__(context->uc_mcontext->__ss) *s = &context->uc_mcontext->__ss;
  const uint64_t registers[] = { s->__rax, s->__rdx, s->__rcx, s->__rbx, s->__rsi, s->__rdi, 0, 0, s->__r8, s->__r9, s->__r10, s->__r11, s->__r12, s->__r13, s->__r14, s->__r15 };
  return number < sizeof registers / sizeof registers[0] ? (uintptr_t)registers[number] : 0;
#else
  static const uint8_t registers[] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
  return number < sizeof registers ? (uintptr_t)context->uc_mcontext.gregs[registers[number]] : 0;
#endif
}

static inline uintptr_t machine_stack_pointer(void) {
  uintptr_t sp;
  __asm__("mov %%rsp, %0" : "=r"(sp));
  return sp;
}


/* Where compiled code left for the host: the trampolines note the stack pointer of their entry, at which the return address lies. */
#define MACHINE_KNOWS_EXITS 1
static inline struct waot_code_place machine_exit_place(uintptr_t sp) {
  return (struct waot_code_place){ .pc = *(const uintptr_t *)sp, .sp = sp + sizeof(uintptr_t), .context = NULL, .is_call = 1 };
}
/* The trampolines end an activation by a trap at waot_refused, with the status in eax and the stack as at their entry, so that its frames can be noted. */
extern const char waot_refused[] __attribute__((visibility("hidden")));
static inline int machine_refused(const ucontext_t *context) { return machine_pc(context) == (uintptr_t)waot_refused ? (int)MACHINE_RESULT(context) : 0; }

/* The signal of llvm.ubsantrap. */
#define MACHINE_TRAP_SIGNAL SIGILL
/* The operand of llvm.ubsantrap as LLVM encodes it: `ud1l operand(%eax), %eax`, that is 67 0f b9 40 operand. -1 if pc points to anything else. */
static inline int machine_trap_operand(const uint8_t *pc) {
  enum { LENGTH = 5 };
  if (!waot_code_contains(pc + LENGTH - 1)) return -1;
  return pc[0] == 0x67 && pc[1] == 0x0f && pc[2] == 0xb9 && pc[3] == 0x40 ? pc[4] : -1;
}

/* A stack access of compiled code is at most this far below the stack pointer: the red zone of the System V ABI is 128 bytes; a push or a call writes 8. */
#define MACHINE_BELOW_SP 256

/* The floating-point environment as far as it changes what arithmetic does: of MXCSR rounding, flush-to-zero, denormals-are-zero, exception masks. */
typedef unsigned machine_fp_control;
#define MACHINE_FP_MASK 0xffc0u
#define MACHINE_FP_DEFAULT 0x1f80u
static inline machine_fp_control machine_fp_get(void) { return _mm_getcsr(); }
static inline void machine_fp_set(machine_fp_control control) { _mm_setcsr(control); }
/* After compiled code was left in the middle: dirty upper halves of vector registers would slow down the host's SSE code. */
static inline void machine_fp_clean(void) {
  if (__builtin_cpu_supports("avx")) __asm__ volatile("vzeroupper");
}

#elif defined(__aarch64__)

static inline uintptr_t machine_stack_pointer(void) {
  uintptr_t sp;
  __asm__("mov %0, sp" : "=r"(sp));
  return sp;
}

#define MACHINE_DWARF_SP 31
#define MACHINE_DWARF_RETURN 30
/* The value of a general register: the link register, or one from which a large frame is found while it is probed. */
static inline uintptr_t machine_register(const ucontext_t *context, uint64_t number) {
  if (number == MACHINE_DWARF_RETURN) return (uintptr_t)MACHINE_LINK(context);
#if defined(__APPLE__)
  return number < 29 ? (uintptr_t)context->uc_mcontext->__ss.__x[number] : 0;
#else
  return number < 29 ? (uintptr_t)context->uc_mcontext.regs[number] : 0;
#endif
}

/* Where compiled code left for the host: the trampolines note the address of their frame record, at the bottom of a frame of MACHINE_EXIT_FRAME bytes. */
#define MACHINE_KNOWS_EXITS 1
#define MACHINE_EXIT_FRAME 32 /* EXIT_FRAME of enter_arm64.S */
static inline struct waot_code_place machine_exit_place(uintptr_t sp) {
  return (struct waot_code_place){ .pc = ((const uintptr_t *)sp)[1], .sp = sp + MACHINE_EXIT_FRAME, .context = NULL, .is_call = 1 };
}
/* The trampolines end an activation by a trap at waot_refused, with the status in w0 and such a frame, so that its frames can be noted. */
extern const char waot_refused[] __attribute__((visibility("hidden")));
static inline int machine_refused(const ucontext_t *context) { return machine_pc(context) == (uintptr_t)waot_refused ? (int)MACHINE_RESULT(context) : 0; }

/* `brk #0x5500 | operand`: 1101'0100'001, 16 bits, 00000. */
#define MACHINE_TRAP_SIGNAL SIGTRAP
static inline int machine_trap_operand(const uint8_t *pc) {
  uint32_t instruction = *(const uint32_t *)pc; /* the pc is a multiple of 4 */
  return (instruction & 0xffe0001f) == 0xd4200000 && (instruction >> 13 & 0xff) == 0x55 ? (int)(instruction >> 5 & 0xff) : -1;
}

/* A prologue stores at up to 512 bytes below the stack pointer while it moves it (stp with write-back); LLVM probes what is above 1,024 (StackProbeMaxUnprobedStack). */
#define MACHINE_BELOW_SP 1024

/* FPCR: rounding, flush-to-zero, default NaNs, traps. All zero is the default; the bits without meaning read as zero. */
typedef uint64_t machine_fp_control;
#define MACHINE_FP_MASK UINT64_MAX
#define MACHINE_FP_DEFAULT 0
static inline machine_fp_control machine_fp_get(void) {
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  return control;
}
static inline void machine_fp_set(machine_fp_control control) { __asm__ volatile("msr fpcr, %0" : : "r"(control)); }
static inline void machine_fp_clean(void) {}

#else
#error "no such architecture"
#endif

#endif /* WAOT_MACHINE_H */
