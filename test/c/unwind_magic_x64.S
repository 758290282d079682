/*
 * unwind_magic_x64.S - for unwind_test.c: a caller whose callee-saved registers are known.
 *
 * int call_with_magic(int (*rdi)(void *, const void *, void *), void *rsi, const void *rdx, void *rcx, long step r8)
 * calls rdi(rsi, rdx, rcx) with rbx, rbp, r12..r15 set to MAGIC + the register's DWARF number; with step != 0 the trap flag is set for the call. Returns the
 * callee's result, or -1 when a register came back changed.
 */
#define MAGIC 0x5a5a0000

  .text
  .globl call_with_magic
  .globl call_with_magic_end
  .type call_with_magic, @function

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
.macro set_trap_flag clear, set
  pushfq
  .cfi_adjust_cfa_offset 8
  andq $\clear, (%rsp)
  orq $\set, (%rsp)
  popfq
  .cfi_adjust_cfa_offset -8
.endm

call_with_magic:
  .cfi_startproc
  push_saved %rbx
  push_saved %rbp
  push_saved %r12
  push_saved %r13
  push_saved %r14
  push_saved %r15
  pushq %r8
  .cfi_adjust_cfa_offset 8
  movq %rdi, %rax
  movq %rsi, %rdi
  movq %rdx, %rsi
  movq %rcx, %rdx
  movq $(MAGIC + 3), %rbx
  movq $(MAGIC + 6), %rbp
  movq $(MAGIC + 12), %r12
  movq $(MAGIC + 13), %r13
  movq $(MAGIC + 14), %r14
  movq $(MAGIC + 15), %r15
  testq %r8, %r8
  jz 1f
  set_trap_flag -1, 0x100
1:
  call *%rax
  cmpq $0, (%rsp)
  je 2f
  set_trap_flag ~0x100, 0
2:
  cmpq $(MAGIC + 3), %rbx
  jne 3f
  cmpq $(MAGIC + 6), %rbp
  jne 3f
  cmpq $(MAGIC + 12), %r12
  jne 3f
  cmpq $(MAGIC + 13), %r13
  jne 3f
  cmpq $(MAGIC + 14), %r14
  jne 3f
  cmpq $(MAGIC + 15), %r15
  je 4f
3:
  movl $-1, %eax
4:
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  pop_saved %r15
  pop_saved %r14
  pop_saved %r13
  pop_saved %r12
  pop_saved %rbp
  pop_saved %rbx
  ret
call_with_magic_end:
  .cfi_endproc
  .size call_with_magic, . - call_with_magic

  .section .note.GNU-stack, "", @progbits
