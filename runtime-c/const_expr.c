/* const_expr.c - constant expressions: the values of globals, the elements of tables and segments, offsets. */
#include <stdlib.h>
#include <string.h>

#include "heap.h"

/* Values on the stack of an expression that need no memory of their own. */
#define INLINE_HEIGHT 16

/* An expression under way: values [0, height) of the stack. */
struct evaluator {
  const waot_instance *instance;
  waot_value *stack;
  struct waot_evaluation roots;
};

static const waot_type *type_of(const struct evaluator *e, const struct waot_const_expr *step) { return e->instance->artifact->types[step->index]; }

static void push_ref(struct evaluator *e, uint64_t ref) {
  e->stack[e->roots.height] = (waot_value){.v128 = {0}};
  e->stack[e->roots.height++].ref = ref;
}

static waot_value *pop(struct evaluator *e) { return &e->stack[--e->roots.height]; }

/* add, sub, mul of 32 or 64 bits. */
static void calculate(struct evaluator *e, const struct waot_const_expr *step) {
  uint64_t b = (uint64_t)pop(e)->i64, a = (uint64_t)pop(e)->i64;
  uint64_t result = step->kind == WAOT_CONST_ADD ? a + b : step->kind == WAOT_CONST_SUB ? a - b : a * b;
  push_ref(e, step->index == 32 ? (uint32_t)result : result);
}

/* struct.new: the values of the fields are on the stack, the last one on top. */
static bool make_struct(struct evaluator *e, const struct waot_const_expr *step) {
  const waot_type *type = type_of(e, step);
  uint64_t ref = waot_struct_new(e->instance->store, type, false);
  if (ref == 0) return false;
  if (step->kind == WAOT_CONST_STRUCT_NEW) {
    for (uint32_t field = type->param_count; field-- > 0;) waot_field_store((char *)waot_ref_object(ref) + type->offsets[field], type->valtypes[field], pop(e));
  }
  push_ref(e, ref);
  return true;
}

/* array.new, _default and _fixed: a value and a length, a length, or as many values as the step says. */
static bool make_array(struct evaluator *e, const struct waot_const_expr *step) {
  const waot_type *type = type_of(e, step);
  uint64_t length = step->kind == WAOT_CONST_ARRAY_NEW_FIXED ? step->bits_lo : (uint32_t)pop(e)->i32;
  uint64_t ref = waot_array_new(e->instance->store, type, length, false);
  if (ref == 0) return false;
  char *elements = (char *)waot_ref_object(ref) + type->offsets[0];
  if (step->kind == WAOT_CONST_ARRAY_NEW_FIXED) {
    for (uint64_t i = length; i-- > 0;) waot_field_store(elements + i * type->size, type->valtypes[0], pop(e));
  } else if (step->kind == WAOT_CONST_ARRAY_NEW) {
    const waot_value *value = pop(e);
    for (uint64_t i = 0; i < length; i++) waot_field_store(elements + i * type->size, type->valtypes[0], value);
  }
  push_ref(e, ref);
  return true;
}

/* any.convert_extern and extern.convert_any. */
static bool convert(struct evaluator *e, const struct waot_const_expr *step) {
  uint64_t from = e->stack[e->roots.height - 1].ref; /* stays a root */
  uint64_t to = step->kind == WAOT_CONST_ANY_CONVERT_EXTERN ? waot_any_from_extern(e->instance->store, from) : waot_extern_from_any(e->instance->store, from);
  (void)pop(e);
  push_ref(e, to);
  return to != 0 || from == 0;
}

/* Does one step. False when the heap is exhausted. */
static bool do_step(struct evaluator *e, const struct waot_const_expr *step) {
  switch (step->kind) {
    case WAOT_CONST_ADD: case WAOT_CONST_SUB: case WAOT_CONST_MUL: calculate(e, step); return true;
    case WAOT_CONST_REF_I31: push_ref(e, waot_any_from_i31(pop(e)->i32)); return true;
    case WAOT_CONST_STRUCT_NEW: case WAOT_CONST_STRUCT_NEW_DEFAULT: return make_struct(e, step);
    case WAOT_CONST_ARRAY_NEW: case WAOT_CONST_ARRAY_NEW_DEFAULT: case WAOT_CONST_ARRAY_NEW_FIXED: return make_array(e, step);
    case WAOT_CONST_ANY_CONVERT_EXTERN: case WAOT_CONST_EXTERN_CONVERT_ANY: return convert(e, step);
    default:
      e->stack[e->roots.height++] = waot_const_value(e->instance, step);
      return true;
  }
}

/* An extended expression: steps in postfix order. There are as many values as steps at most. */
static bool evaluate_steps(const waot_instance *instance, const struct waot_const_expr *expr, waot_value *out) {
  const struct waot_const_expr *steps = (const void *)(uintptr_t)expr->bits_lo;
  waot_value few[INLINE_HEIGHT], *many = NULL;
  waot_store *store = instance->store;
  if (expr->index > INLINE_HEIGHT && (many = aligned_alloc(_Alignof(waot_value), expr->index * sizeof *many)) == NULL) return false;
  struct evaluator e = {instance, many == NULL ? few : many, {many == NULL ? few : many, 0, store->evaluations}};
  store->evaluations = &e.roots;
  bool done = true;
  for (uint32_t i = 0; done && i < expr->index; i++) done = do_step(&e, &steps[i]);
  store->evaluations = e.roots.next;
  if (done) *out = e.stack[0];
  free(many);
  return done;
}

waot_value waot_const_value(const waot_instance *instance, const struct waot_const_expr *expr) {
  waot_value value = {.v128 = {0}};
  switch (expr->kind) {
    case WAOT_CONST_VALUE:
      memcpy(value.v128, &expr->bits_lo, 8);
      memcpy(value.v128 + 8, &expr->bits_hi, 8);
      break;
    case WAOT_CONST_REF_FUNC: value.ref = (uintptr_t)instance->funcrefs[expr->index]; break;
    case WAOT_CONST_GLOBAL_GET: value = *instance->globals[expr->index]->value; break;
    default: break; /* null */
  }
  return value;
}

bool waot_const_eval(const waot_instance *instance, const struct waot_const_expr *expr, waot_value *out) {
  if (expr->kind == WAOT_CONST_EXTENDED) return evaluate_steps(instance, expr, out);
  *out = waot_const_value(instance, expr);
  return true;
}
