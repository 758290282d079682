/* A tiny evaluator of expression trees, as a Lisp has one: cells in a heap that is marked and swept, functions called through a table of pointers. */
#include "kernel.h"

enum { CELLS = 4096, NUMBER = 0, PAIR = 1, ARGUMENT = 2, CALL = 3 };
struct cell { i32 kind, value; struct cell *first, *rest; i32 marked; };
static struct cell heap[CELLS], *free_list;

static void reset_heap(void) {
  free_list = 0;
  for (i32 i = 0; i < CELLS; i++) heap[i].rest = free_list, heap[i].marked = 0, free_list = &heap[i];
}

static NOINLINE struct cell *make(i32 kind, i32 value, struct cell *first, struct cell *rest) {
  struct cell *c = free_list;
  free_list = c->rest;
  c->kind = kind, c->value = value, c->first = first, c->rest = rest;
  return c;
}
static struct cell *number(i32 value) { return make(NUMBER, value, 0, 0); }
static struct cell *call(i32 function, struct cell *a, struct cell *b) { return make(CALL, function, a, make(PAIR, 0, b, 0)); }

static i32 add(i32 a, i32 b) { return (i32)((u32)a + (u32)b); }
static i32 subtract(i32 a, i32 b) { return (i32)((u32)a - (u32)b); }
static i32 multiply(i32 a, i32 b) { return (i32)((u32)a * (u32)b); }
static i32 less(i32 a, i32 b) { return a < b; }
static i32 larger(i32 a, i32 b) { return a > b ? a : b; }
static i32 exclusive(i32 a, i32 b) { return a ^ b; }
static i32 (*const functions[])(i32, i32) = {add, subtract, multiply, less, larger, exclusive};

static NOINLINE i32 evaluate(const struct cell *c, i32 argument) {
  switch (c->kind) {
    case NUMBER: return c->value;
    case ARGUMENT: return argument;
    case CALL: return functions[c->value](evaluate(c->first, argument), evaluate(c->rest->first, argument));
    default: return 0;
  }
}

static NOINLINE struct cell *grow(i32 depth, u32 *state) {
  u32 r = next_random(state);
  if (depth == 0) return r & 1 ? make(ARGUMENT, 0, 0, 0) : number((i32)(r >> 8 & 255));
  struct cell *left = grow(depth - 1, state);
  return call((i32)((r >> 4) % 6), left, grow(depth - 1 - (i32)(r & 1) * (depth > 1), state));
}

static NOINLINE void mark(struct cell *c) {
  while (c && !c->marked) {
    c->marked = 1;
    if (c->kind == CALL || c->kind == PAIR) mark(c->first);
    c = c->kind == CALL || c->kind == PAIR ? c->rest : 0;
  }
}

static NOINLINE i32 sweep(void) {
  i32 live = 0;
  free_list = 0;
  for (i32 i = 0; i < CELLS; i++) {
    if (heap[i].marked) heap[i].marked = 0, live++;
    else heap[i].rest = free_list, free_list = &heap[i];
  }
  return live;
}

KERNEL {
  u32 sum = 0, state = 1958;
  reset_heap();
  for (i32 round = 0; round < n; round++) {
    struct cell *tree = grow(8, &state);
    for (i32 argument = 0; argument < 60; argument++) sum = mix(sum, (u32)evaluate(tree, argument));
    mark(tree);
    sum = mix(sum, (u32)sweep());
    sum += (u32)sweep();
  }
  return (i32)sum;
}
