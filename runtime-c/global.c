/* global.c - globals. */
#include <stdlib.h>

#include "internal.h"

waot_global *waot_global_new_typed(waot_store *store, uint32_t valtype, const waot_type *ref, int mutable_, const waot_value *value) {
  if (!waot_valtype_is_reference(valtype)) switch (valtype) {
    case WAOT_VALTYPE_I32: case WAOT_VALTYPE_I64: case WAOT_VALTYPE_F32: case WAOT_VALTYPE_F64:
    case WAOT_VALTYPE_V128: break;
    default: return NULL;
  }
  waot_global *global = aligned_alloc(_Alignof(waot_global), sizeof *global);
  if (global == NULL) return NULL;
  *global = (waot_global){.own = *value, .value = &global->own, .valtype = valtype, .is_mutable = mutable_ != 0, .ref = ref, .store = store, .next = store->globals};
  store->globals = global;
  return global;
}

waot_global *waot_global_new(waot_store *store, uint32_t valtype, int mutable_, const waot_value *value) {
  if (waot_valtype_is_reference(valtype) && valtype != WAOT_VALTYPE_FUNCREF && valtype != WAOT_VALTYPE_EXTERNREF) return NULL;
  return waot_global_new_typed(store, valtype, NULL, mutable_, value);
}

const waot_type *waot_global_ref(const waot_global *global) { return global->ref; }
uint32_t waot_global_valtype(const waot_global *global) { return global->valtype; }
int waot_global_mutable(const waot_global *global) { return (int)global->is_mutable; }
void waot_global_get(const waot_global *global, waot_value *out) { *out = *global->value; }

int waot_global_set(waot_global *global, const waot_value *value) {
  if (!global->is_mutable) return -1;
  *global->value = *value;
  return 0;
}
