/*
 * assembly.h - what differs between ELF and Mach-O in the trampolines: names, sections, visibility, and how the thread's record is found. Macros of the C preprocessor
 * where a name is made, of the assembler for the rest.
 */
#ifndef WAOT_ASSEMBLY_H
#define WAOT_ASSEMBLY_H

/* DWARF pointer encodings: a place relative to itself in 4 bytes, which needs no relocation at load time; and that of a pointer to what is meant. */
#define PCREL_SDATA4 0x1b
#define INDIRECT_PCREL_SDATA4 0x9b

#if defined(__APPLE__)

#define SYMBOL(name) _##name
#define LOCAL(name) L##name /* a label that is no symbol */
/* The linker makes the pointer that Mach-O has no direct relocation to do without. */
#define PERSONALITY_ENCODING INDIRECT_PCREL_SDATA4

.macro hide name
  .private_extern \name
.endm
/* A symbol in the middle of a function. Mach-O's assembler wants frame descriptions to lie between symbols, so there it is another name of a label. */
.macro inner name, label
\label:
  .globl \name
  .private_extern \name
  .set \name, \label
.endm
/* A symbol of another file: what is not defined here needs no declaration. */
.macro hidden_elsewhere name
.endm
.macro function_type name
.endm
.macro function_size name
.endm

#else

#define SYMBOL(name) name
#define LOCAL(name) .L##name
#define PERSONALITY_ENCODING PCREL_SDATA4

.macro hide name
  .hidden \name
.endm
.macro inner name, label
  .globl \name
  .hidden \name
\name:
.endm
.macro hidden_elsewhere name
  .hidden \name
.endm
.macro function_type name
#if defined(__aarch64__)
  .type \name, %function
#else
  .type \name, @function
#endif
.endm
.macro function_size name
  .size \name, . - \name
.endm

  .section .note.GNU-stack, "", %progbits

#endif

  .text

.macro function name
  .globl \name
  hide \name
  function_type \name
  .p2align 4
\name:
  .cfi_startproc
.endm

.macro end_function name
  .cfi_endproc
  function_size \name
.endm

#endif /* WAOT_ASSEMBLY_H */
