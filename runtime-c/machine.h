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

#if defined(__x86_64__)

#include <xmmintrin.h>

static inline uintptr_t machine_pc(const ucontext_t *context) { return (uintptr_t)context->uc_mcontext.gregs[REG_RIP]; }
static inline uintptr_t machine_sp(const ucontext_t *context) { return (uintptr_t)context->uc_mcontext.gregs[REG_RSP]; }
/* The fuel register: consumed - limit, where the pc is in an artifact's text. */
static inline int64_t machine_fuel(const ucontext_t *context) { return context->uc_mcontext.gregs[REG_RBP]; }
/* Makes the context go on at pc with this stack pointer and this value in the return register. */
static inline void machine_redirect(ucontext_t *context, const void *pc, void *sp, int result) {
  greg_t *regs = context->uc_mcontext.gregs;
  regs[REG_RIP] = (greg_t)(uintptr_t)pc;
  regs[REG_RSP] = (greg_t)(uintptr_t)sp;
  regs[REG_RAX] = result;
}

/* The signal of llvm.ubsantrap, and the codes with which the kernel sends it for one. */
#define MACHINE_TRAP_SIGNAL SIGILL
static inline int machine_is_trap_code(int si_code) { return si_code == ILL_ILLOPN || si_code == ILL_ILLOPC; }
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

static inline uintptr_t machine_pc(const ucontext_t *context) { return context->uc_mcontext.pc; }
static inline uintptr_t machine_sp(const ucontext_t *context) { return context->uc_mcontext.sp; }
static inline int64_t machine_fuel(const ucontext_t *context) { return (int64_t)context->uc_mcontext.regs[28]; }
static inline void machine_redirect(ucontext_t *context, const void *pc, void *sp, int result) {
  context->uc_mcontext.pc = (uintptr_t)pc;
  context->uc_mcontext.sp = (uintptr_t)sp;
  context->uc_mcontext.regs[0] = (uint32_t)result;
}

/* `brk #0x5500 | operand`: 1101'0100'001, 16 bits, 00000. */
#define MACHINE_TRAP_SIGNAL SIGTRAP
static inline int machine_is_trap_code(int si_code) { return si_code == TRAP_BRKPT; }
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
