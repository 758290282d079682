/* A bytecode interpreter: a stack machine that runs two nested loops with a bit of arithmetic; one indirect jump an instruction. */
#include "kernel.h"

enum { PUSH, LOAD, STORE, ADD, SUB, MUL, XOR, SHR, LESS, JUMP, JUMP_IF_ZERO, DUP, SWAP, DROP, GET, PUT, HALT };
static u8 code[256];
static i32 stack[64], local[16], array[256];
static i32 at;

static void emit(u8 op) { code[at++] = op; }
static void emit2(u8 op, u8 operand) { emit(op), emit(operand); }

/* for (i = 0; i < limit; i++) for (j = 0; j < 100; j++) { x = x * 31 + array[j & 255]; array[j] = x ^ x >> 3; } */
static void assemble(void) {
  at = 0;
  emit2(PUSH, 0), emit2(STORE, 0);
  i32 outer = at;
  emit2(LOAD, 0), emit2(LOAD, 3), emit(LESS);
  i32 leave_outer = at + 1;
  emit2(JUMP_IF_ZERO, 0);
  emit2(PUSH, 0), emit2(STORE, 1);
  i32 inner = at;
  emit2(LOAD, 1), emit2(PUSH, 100), emit(LESS);
  i32 leave_inner = at + 1;
  emit2(JUMP_IF_ZERO, 0);
  emit2(LOAD, 2), emit2(PUSH, 31), emit(MUL), emit2(LOAD, 1), emit(GET), emit(ADD), emit2(STORE, 2);
  emit2(LOAD, 2), emit(DUP), emit2(PUSH, 3), emit(SHR), emit(XOR), emit2(LOAD, 1), emit(PUT);
  emit2(LOAD, 1), emit2(PUSH, 1), emit(ADD), emit2(STORE, 1), emit2(JUMP, (u8)inner);
  code[leave_inner] = (u8)at;
  emit2(PUSH, 0), emit2(PUSH, 1), emit(SUB), emit2(LOAD, 0), emit(SWAP), emit(SUB), emit(DUP), emit2(STORE, 0), emit(DROP), emit2(JUMP, (u8)outer);
  code[leave_outer] = (u8)at;
  emit(HALT);
}

static NOINLINE void interpret(void) {
  const u8 *pc = code;
  i32 *sp = stack;
  for (;;) {
    switch (*pc++) {
      case PUSH: *sp++ = *pc++; break;
      case LOAD: *sp++ = local[*pc++]; break;
      case STORE: local[*pc++] = *--sp; break;
      case ADD: sp--, sp[-1] = (i32)((u32)sp[-1] + (u32)sp[0]); break;
      case SUB: sp--, sp[-1] = (i32)((u32)sp[-1] - (u32)sp[0]); break;
      case MUL: sp--, sp[-1] = (i32)((u32)sp[-1] * (u32)sp[0]); break;
      case XOR: sp--, sp[-1] ^= sp[0]; break;
      case SHR: sp--, sp[-1] = (i32)((u32)sp[-1] >> sp[0]); break;
      case LESS: sp--, sp[-1] = sp[-1] < sp[0]; break;
      case JUMP: pc = code + *pc; break;
      case JUMP_IF_ZERO: pc = *--sp ? pc + 1 : code + *pc; break;
      case DUP: sp[0] = sp[-1], sp++; break;
      case SWAP: { i32 top = sp[-1]; sp[-1] = sp[-2], sp[-2] = top; break; }
      case DROP: sp--; break;
      case GET: sp[-1] = array[sp[-1] & 255]; break;
      case PUT: sp -= 2, array[sp[1] & 255] = sp[0]; break;
      default: return;
    }
  }
}

KERNEL {
  assemble();
  for (i32 i = 0; i < 256; i++) array[i] = i * 7;
  for (i32 i = 0; i < 16; i++) local[i] = 0;
  local[2] = 1;
  local[3] = n * 100;
  interpret();
  u32 sum = (u32)local[2];
  for (i32 i = 0; i < 256; i++) sum = mix(sum, (u32)array[i]);
  return (i32)mix(sum, (u32)local[0]);
}
