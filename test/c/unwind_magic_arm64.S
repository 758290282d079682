/*
 * unwind_magic_arm64.S - for unwind_brk_test.c: a caller whose callee-saved registers are known.
 *
 * int call_with_magic(int (*x0)(void *, const void *, void *), void *x1, const void *x2, void *x3)
 * calls x0(x1, x2, x3) with x19..x28 set to MAGIC + the register's DWARF number, and d8..d15 likewise (v8 is 72). Returns the callee's result, or -1 when a register came back changed.
 */
#define MAGIC 0x5a5a
#define FRAME 160

  .text
  .globl call_with_magic
  .globl call_with_magic_end
  .type call_with_magic, %function

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
.macro make reg, number
  mov \reg, #\number
  movk \reg, #MAGIC, lsl #16
.endm
.macro check reg, number
  make x9, \number
  cmp x9, \reg
  b.ne 3f
.endm

call_with_magic:
  .cfi_startproc
  stp x29, x30, [sp, #-FRAME]!
  .cfi_adjust_cfa_offset FRAME
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
  mov x9, x0
  mov x0, x1
  mov x1, x2
  mov x2, x3
  .irp number, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
  make x\number, \number
  .endr
  .irp number, 8, 9, 10, 11, 12, 13, 14, 15
  make x10, (64 + \number)
  fmov d\number, x10
  .endr
  blr x9
  .irp number, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
  check x\number, \number
  .endr
  .irp number, 8, 9, 10, 11, 12, 13, 14, 15
  fmov x10, d\number
  check x10, (64 + \number)
  .endr
  b 4f
3:
  mov w0, #-1
4:
  load_pair d14, d15, 144
  load_pair d12, d13, 128
  load_pair d10, d11, 112
  load_pair d8, d9, 96
  load_pair x27, x28, 80
  load_pair x25, x26, 64
  load_pair x23, x24, 48
  load_pair x21, x22, 32
  load_pair x19, x20, 16
  ldp x29, x30, [sp], #FRAME
  .cfi_adjust_cfa_offset -FRAME
  .cfi_restore x29
  .cfi_restore x30
  ret
call_with_magic_end:
  .cfi_endproc
  .size call_with_magic, . - call_with_magic

  .section .note.GNU-stack, "", %progbits
