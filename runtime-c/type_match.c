/* type_match.c - what is a subtype of what (WebAssembly 3.0, "Matching"), and of what type a reference is. */
#include "heap.h"
#include "internal.h"

bool waot_type_is_subtype(const waot_type *type, const waot_type *super) { return type == super || (type->depth > super->depth && type->supers[super->depth] == super); }

bool waot_valtype_is_reference(uint32_t valtype) {
  switch (valtype | WAOT_VALTYPE_NULLABLE) {
    case WAOT_VALTYPE_FUNCREF: case WAOT_VALTYPE_NULLFUNCREF: case WAOT_VALTYPE_EXTERNREF: case WAOT_VALTYPE_NULLEXTERNREF:
    case WAOT_VALTYPE_ANYREF: case WAOT_VALTYPE_EQREF: case WAOT_VALTYPE_I31REF: case WAOT_VALTYPE_STRUCTREF: case WAOT_VALTYPE_ARRAYREF: case WAOT_VALTYPE_NULLREF:
    case WAOT_VALTYPE_REF_NULL_TYPE: return true;
    default: return false;
  }
}

bool waot_valtype_is_collected(uint32_t valtype, const waot_type *ref) {
  switch (valtype | WAOT_VALTYPE_NULLABLE) {
    case WAOT_VALTYPE_FUNCREF: case WAOT_VALTYPE_NULLFUNCREF: return false;
    case WAOT_VALTYPE_REF_NULL_TYPE: return ref->kind != WAOT_TYPE_FUNC;
    default: return waot_valtype_is_reference(valtype);
  }
}

/* The abstract heap types above `code`, itself among them, are these; as bits. A code is one with NULLABLE. */
enum { FUNC = 1, EXTERN = 2, ANY = 4, EQ = 8, I31 = 16, STRUCT = 32, ARRAY = 64, NOFUNC = 128, NOEXTERN = 256, NONE = 512 };

static unsigned bit_of(uint32_t code) {
  switch (code) {
    case WAOT_VALTYPE_FUNCREF: return FUNC;
    case WAOT_VALTYPE_EXTERNREF: return EXTERN;
    case WAOT_VALTYPE_ANYREF: return ANY;
    case WAOT_VALTYPE_EQREF: return EQ;
    case WAOT_VALTYPE_I31REF: return I31;
    case WAOT_VALTYPE_STRUCTREF: return STRUCT;
    case WAOT_VALTYPE_ARRAYREF: return ARRAY;
    case WAOT_VALTYPE_NULLFUNCREF: return NOFUNC;
    case WAOT_VALTYPE_NULLEXTERNREF: return NOEXTERN;
    case WAOT_VALTYPE_NULLREF: return NONE;
    default: return 0;
  }
}

/* Those of an abstract heap type. */
static unsigned supers_of(unsigned bit) {
  switch (bit) {
    case EQ: return EQ | ANY;
    case I31: return I31 | EQ | ANY;
    case STRUCT: return STRUCT | EQ | ANY;
    case ARRAY: return ARRAY | EQ | ANY;
    case NONE: return NONE | I31 | STRUCT | ARRAY | EQ | ANY;
    case NOFUNC: return NOFUNC | FUNC;
    case NOEXTERN: return NOEXTERN | EXTERN;
    default: return bit;
  }
}

/* The abstract heap type right above those of a kind, and the one below all of them. */
static unsigned top_of(const waot_type *type) { return type->kind == WAOT_TYPE_STRUCT ? STRUCT : type->kind == WAOT_TYPE_ARRAY ? ARRAY : type->kind == WAOT_TYPE_FUNC ? FUNC : ANY; }
static unsigned bottom_of(const waot_type *type) { return type->kind == WAOT_TYPE_FUNC ? NOFUNC : NONE; }

/* Whether a reference to what is of a type is one of an abstract type, or of another. */
static bool type_matches(const waot_type *found, uint32_t wanted, const waot_type *wanted_ref) {
  if (wanted == WAOT_VALTYPE_REF_NULL_TYPE) return waot_type_is_subtype(found, wanted_ref);
  return (supers_of(top_of(found)) & bit_of(wanted)) != 0;
}

bool waot_valtype_matches(uint32_t found, const waot_type *found_ref, uint32_t wanted, const waot_type *wanted_ref) {
  if (!waot_valtype_is_reference(found) || !waot_valtype_is_reference(wanted)) return found == wanted;
  if ((found & WAOT_VALTYPE_NULLABLE) > (wanted & WAOT_VALTYPE_NULLABLE)) return false;
  uint32_t from = found | WAOT_VALTYPE_NULLABLE, to = wanted | WAOT_VALTYPE_NULLABLE;
  if (from == WAOT_VALTYPE_REF_NULL_TYPE) return type_matches(found_ref, to, wanted_ref);
  if (to == WAOT_VALTYPE_REF_NULL_TYPE) return bit_of(from) == bottom_of(wanted_ref);
  return (supers_of(bit_of(from)) & bit_of(to)) != 0;
}

int waot_ref_is(uint64_t ref, uint32_t valtype, const waot_type *type) {
  uint32_t wanted = valtype | WAOT_VALTYPE_NULLABLE;
  if (ref == 0) return (valtype & WAOT_VALTYPE_NULLABLE) != 0;
  switch (wanted) {
    case WAOT_VALTYPE_EXTERNREF: case WAOT_VALTYPE_FUNCREF: case WAOT_VALTYPE_ANYREF: return true;
    case WAOT_VALTYPE_NULLFUNCREF: case WAOT_VALTYPE_NULLEXTERNREF: case WAOT_VALTYPE_NULLREF: return false;
    case WAOT_VALTYPE_REF_NULL_TYPE:
      if (type->kind == WAOT_TYPE_FUNC) return waot_type_is_subtype(((const struct waot_func *)(uintptr_t)ref)->type, type);
      break;
    default: break;
  }
  if (waot_ref_is_i31(ref)) return wanted == WAOT_VALTYPE_I31REF || wanted == WAOT_VALTYPE_EQREF;
  return type_matches(waot_ref_object(ref)->type, wanted, type);
}
