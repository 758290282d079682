/* link.c - type-checking imports (spec 2.0, 3.4.10 matching and 4.5.4 step 3), and saying in words what did not fit. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Text of bounded length: what does not fit is cut, with "..." to say so. */
struct text {
  char *at, *end; /* at points to the terminator; end - 4 is the last place where it may be */
};

static void add(struct text *text, const char *piece) {
  size_t room = (size_t)(text->end - text->at) - 4, length = strlen(piece);
  if (length <= room) {
    memcpy(text->at, piece, length + 1);
    text->at += length;
  } else {
    memcpy(text->at, "...", 4);
    text->end = text->at + 4; /* no room for anything more: at stays, so this can be repeated */
  }
}

static void add_limits(struct text *text, uint64_t min, uint64_t max) {
  char piece[64];
  if (max == UINT64_MAX) snprintf(piece, sizeof piece, "{min %" PRIu64 "}", min);
  else snprintf(piece, sizeof piece, "{min %" PRIu64 ", max %" PRIu64 "}", min, max);
  add(text, piece);
}

static const char *valtype_name(uint32_t valtype) {
  switch (valtype) {
    case WAOT_VALTYPE_I32: return "i32";
    case WAOT_VALTYPE_I64: return "i64";
    case WAOT_VALTYPE_F32: return "f32";
    case WAOT_VALTYPE_F64: return "f64";
    case WAOT_VALTYPE_V128: return "v128";
    case WAOT_VALTYPE_FUNCREF: return "funcref";
    case WAOT_VALTYPE_EXTERNREF: return "externref";
    case WAOT_VALTYPE_NULLFUNCREF: return "nullfuncref";
    case WAOT_VALTYPE_NULLEXTERNREF: return "nullexternref";
    case WAOT_VALTYPE_ANYREF: return "anyref";
    case WAOT_VALTYPE_EQREF: return "eqref";
    case WAOT_VALTYPE_I31REF: return "i31ref";
    case WAOT_VALTYPE_STRUCTREF: return "structref";
    case WAOT_VALTYPE_ARRAYREF: return "arrayref";
    case WAOT_VALTYPE_NULLREF: return "nullref";
    case WAOT_VALTYPE_REF_ANY: return "(ref any)";
    case WAOT_VALTYPE_REF_EQ: return "(ref eq)";
    case WAOT_VALTYPE_REF_I31: return "(ref i31)";
    case WAOT_VALTYPE_REF_STRUCT: return "(ref struct)";
    case WAOT_VALTYPE_REF_ARRAY: return "(ref array)";
    case WAOT_VALTYPE_REF_NONE: return "(ref none)";
    case WAOT_PACKED_I8: return "i8";
    case WAOT_PACKED_I16: return "i16";
    case WAOT_VALTYPE_REF_FUNC: return "(ref func)";
    case WAOT_VALTYPE_REF_EXTERN: return "(ref extern)";
    case WAOT_VALTYPE_REF_NOFUNC: return "(ref nofunc)";
    case WAOT_VALTYPE_REF_NOEXTERN: return "(ref noextern)";
    case WAOT_VALTYPE_REF_NULL_TYPE: return "ref null";
    case WAOT_VALTYPE_REF_TYPE: return "ref";
    default: return "unknown type";
  }
}

static void add_func(struct text *text, const waot_type *type, int depth);

/* `i32`, `(ref null func (i32) -> i32)`. Types can refer to themselves: only so many levels are written out. */
static void add_valtype(struct text *text, uint32_t valtype, const waot_type *ref, int depth) {
  if (ref == NULL) {
    add(text, valtype_name(valtype));
    return;
  }
  add(text, "(");
  add(text, valtype_name(valtype));
  add(text, " ");
  if (ref->kind != WAOT_TYPE_FUNC) add(text, ref->kind == WAOT_TYPE_STRUCT ? "struct ..." : "array ...");
  else if (depth < 2) add_func(text, ref, depth + 1);
  else add(text, "...");
  add(text, ")");
}

/* `count` of the values of a type, from `from` on. */
static void add_types(struct text *text, const waot_type *type, uint32_t from, uint32_t count, bool parentheses, int depth) {
  if (parentheses) add(text, "(");
  for (uint32_t i = from; i < from + count; i++) {
    if (i > from) add(text, ", ");
    add_valtype(text, type->valtypes[i], waot_type_ref(type, i), depth);
  }
  if (parentheses) add(text, ")");
}

static void add_func(struct text *text, const waot_type *type, int depth) {
  add(text, "func ");
  add_types(text, type, 0, type->param_count, true, depth);
  add(text, " -> ");
  add_types(text, type, type->param_count, type->result_count, type->result_count != 1, depth);
}

/* `func (i32, i64) -> f32`, `memory {min 1, max 2}`, `table funcref {min 0}`, `global mut i32`. */
static void add_type(struct text *text, const waot_import_type *type) {
  switch (type->kind) {
    case WAOT_EXTERN_FUNC:
      add_func(text, type->type, 0);
      break;
    case WAOT_EXTERN_TABLE:
      add(text, "table ");
      add_valtype(text, type->valtype, type->ref, 0);
      add(text, " ");
      add_limits(text, type->min, type->max);
      break;
    case WAOT_EXTERN_MEMORY:
      add(text, "memory ");
      add_limits(text, type->min, type->max);
      break;
    case WAOT_EXTERN_GLOBAL:
      add(text, type->mutable_ ? "global mut " : "global ");
      add_valtype(text, type->valtype, type->ref, 0);
      break;
    default:
      add(text, "something of no known kind");
  }
}

/* A name in quotes; control characters, quotes and backslashes as \xx. Long names are cut between characters. */
static void quote_name(char out[80], const char *name, uint64_t length) {
  char *at = out;
  *at++ = '"';
  for (uint64_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)name[i];
    if (at - out > 70 || (at - out > 66 && (byte & 0xc0) != 0x80)) {
      at = stpcpy(at, "...");
      break;
    }
    if (byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\') at += sprintf(at, "\\%02x", byte);
    else *at++ = (char)byte;
  }
  strcpy(at, "\"");
}

/* The type of an object that the host gives for an import, with the current size as the minimum. */
static waot_import_type found_type(const waot_extern *given) {
  waot_import_type type = {.kind = given->kind};
  switch (given->kind) {
    case WAOT_EXTERN_FUNC:
      type.type = given->func->type;
      break;
    case WAOT_EXTERN_TABLE:
      type.valtype = waot_table_valtype(given->table);
      type.ref = waot_table_ref(given->table);
      type.min = waot_table_length(given->table);
      type.max = waot_table_max(given->table);
      break;
    case WAOT_EXTERN_MEMORY:
      type.min = waot_memory_length(given->memory) / WAOT_PAGE_SIZE;
      type.max = waot_memory_max(given->memory);
      break;
    case WAOT_EXTERN_GLOBAL:
      type.valtype = given->global->valtype;
      type.ref = given->global->ref;
      type.mutable_ = given->global->is_mutable;
      break;
    default: break;
  }
  return type;
}

/* Spec 2.0, 3.4.10: a maximum, where one is expected, must be there and not be larger. */
static bool limits_match(const waot_import_type *found, const waot_import_type *expected) {
  return found->min >= expected->min && (expected->max == UINT64_MAX || found->max <= expected->max);
}

static bool matches(const waot_import_type *found, const waot_import_type *expected) {
  if (found->kind != expected->kind) return false;
  switch (found->kind) {
    case WAOT_EXTERN_FUNC: return waot_type_is_subtype(found->type, expected->type);
    case WAOT_EXTERN_TABLE: return found->valtype == expected->valtype && found->ref == expected->ref && limits_match(found, expected);
    case WAOT_EXTERN_MEMORY: return limits_match(found, expected);
    case WAOT_EXTERN_GLOBAL:
      if (found->mutable_ != expected->mutable_) return false;
      /* What can only be read may be of a narrower type; what can be written must be of the very type. */
      if (found->mutable_) return found->valtype == expected->valtype && found->ref == expected->ref;
      return waot_valtype_matches(found->valtype, found->ref, expected->valtype, expected->ref);
    default: return false;
  }
}

static int mismatch(uint32_t i, const waot_import_type *expected, const waot_import_type *found, waot_error *error) {
  char module[80], name[80], wanted[140], got[140];
  quote_name(module, expected->module, expected->module_length);
  quote_name(name, expected->name, expected->name_length);
  struct text text = {wanted, wanted + sizeof wanted};
  add_type(&text, expected);
  if (found == NULL) return waot_error_set(error, WAOT_ERROR_LINK, 0, "import %" PRIu32 " %s %s is missing: expected %s", i, module, name, wanted);
  text = (struct text){got, got + sizeof got};
  add_type(&text, found);
  return waot_error_set(error, WAOT_ERROR_LINK, 0, "import %" PRIu32 " %s %s: expected %s, found %s", i, module, name, wanted, got);
}

int waot_link_check(const waot_artifact *artifact, const waot_extern *imports, size_t import_count, waot_error *error) {
  uint32_t count = artifact->desc->import_count;
  if (import_count > count || (imports == NULL && import_count > 0)) {
    return waot_error_set(error, WAOT_ERROR_ARGUMENT, 0, "%zu imports are given, the module has %" PRIu32, import_count, count);
  }
  for (uint32_t i = 0; i < count; i++) {
    waot_import_type expected;
    waot_artifact_import(artifact, i, &expected);
    if (i >= import_count || imports[i].any == NULL) return mismatch(i, &expected, NULL, error);
    waot_import_type found = found_type(&imports[i]);
    if (!matches(&found, &expected)) return mismatch(i, &expected, &found, error);
  }
  return 0;
}
