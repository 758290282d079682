/* Interning of function types by recursion group, and matching of reference types: equal types have equal addresses, whatever artifact they come from. */
#include <stdio.h>
#include <string.h>

#include "../../runtime-c/internal.h"

static int failures;

#define CHECK(name, condition) \
  do { \
    bool holds_ = (condition); \
    printf("%s %s\n", holds_ ? "ok" : "not ok", name); \
    failures += !holds_; \
  } while (0)

/* Types of one parameter: a reference, with or without null, to the type with an index. */
static const uint8_t ref[] = {WAOT_VALTYPE_REF_TYPE}, ref_null[] = {WAOT_VALTYPE_REF_NULL_TYPE}, i32[] = {WAOT_VALTYPE_I32};
static const uint32_t indices[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
#define FINAL .is_final = 1, .supertype = UINT32_MAX
#define TO(codes, index) {FINAL, .param_count = 1, .valtypes = (void *)(uintptr_t)(codes), .heaps = (void *)(uintptr_t)&indices[index]}
#define GROUP_OF_TWO(codes, index) {FINAL, .param_count = 1, .valtypes = (void *)(uintptr_t)(codes), .heaps = (void *)(uintptr_t)&indices[index], .followers = 1}
#define PLAIN {FINAL, .param_count = 1, .valtypes = (void *)(uintptr_t)i32}

static void intern_groups(void) {
  /* 0 and 1 plain and equal; 2, 3 refer to them; 4, 5 to themselves; 6 to 4, as 4 does. */
  const struct waot_type_desc types[] = {PLAIN, PLAIN, TO(ref, 0), TO(ref, 1), TO(ref, 4), TO(ref, 5), TO(ref, 4), TO(ref_null, 0)};
  const waot_type *out[8];
  CHECK("types are interned", waot_types_intern(types, 8, out) == 0);
  CHECK("equal plain types are one", out[0] == out[1] && out[0] == waot_type_intern(1, 0, i32));
  CHECK("references to equal types are equal", out[2] == out[3] && out[2] != out[0] && out[7] != out[2]);
  CHECK("a type that refers to itself is another one's equal by that", out[4] == out[5]);
  CHECK("a type that refers to it from outside is not", out[6] != out[4] && waot_type_ref(out[6], 0) == out[4]);
  CHECK("what is referred to is known", waot_type_ref(out[2], 0) == out[0] && waot_type_ref(out[4], 0) == out[4] && waot_type_ref(out[0], 0) == NULL);

  /* Two that refer to each other are one group; its members are not those of the same group in another order, or alone. */
  const struct waot_type_desc pairs[] = {GROUP_OF_TWO(ref, 1), TO(ref_null, 0), GROUP_OF_TWO(ref, 3), TO(ref_null, 2), GROUP_OF_TWO(ref_null, 5), TO(ref, 4), TO(ref, 5)};
  const waot_type *pair[7];
  CHECK("groups are interned", waot_types_intern(pairs, 7, pair) == 0);
  CHECK("equal groups are one", pair[0] == pair[2] && pair[1] == pair[3] && pair[0] != pair[1]);
  CHECK("the other way round is another group", pair[4] != pair[0] && pair[4] != pair[1] && pair[5] != pair[0]);
  CHECK("alone is another type", pair[6] != pair[0] && pair[6] != pair[4]);
  const waot_type *again[7];
  CHECK("the same types of another artifact are the same", waot_types_intern(pairs, 7, again) == 0 && memcmp(pair, again, sizeof pair) == 0);
}

static void refuse_damage(void) {
  const waot_type *out[2];
  const struct waot_type_desc behind[] = {TO(ref, 1), PLAIN}, none[] = {{FINAL, .param_count = 1, .valtypes = (void *)(uintptr_t)ref}}, longer[] = {GROUP_OF_TWO(ref, 0)};
  const struct waot_type_desc endless[] = {{FINAL, .followers = UINT32_MAX}};
  CHECK("a reference behind the group is refused", waot_types_intern(behind, 2, out) != 0);
  CHECK("a reference to nothing is refused", waot_types_intern(none, 1, out) != 0);
  CHECK("a group beyond the types is refused", waot_types_intern(longer, 1, out) != 0 && waot_types_intern(endless, 1, out) != 0);
}

/* Growth of the table keeps what is in it. */
static void intern_many(void) {
  enum { COUNT = 500 };
  static const waot_type *first[COUNT];
  static uint8_t codes[COUNT];
  bool same = true;
  for (int i = 0; i < COUNT; i++) codes[i] = WAOT_VALTYPE_I64;
  for (uint32_t i = 0; i < COUNT; i++) first[i] = waot_type_intern(i, 0, codes);
  for (uint32_t i = 0; i < COUNT; i++) same = same && first[i] != NULL && first[i] == waot_type_intern(i, 0, codes) && first[i]->param_count == i;
  CHECK("many types stay what they are", same);
}

static void match(void) {
  const waot_type *a = waot_type_intern(1, 0, i32), *b = waot_type_intern(0, 1, i32);
  static const uint32_t func[] = {WAOT_VALTYPE_FUNCREF, WAOT_VALTYPE_REF_FUNC}, any_null[] = {WAOT_VALTYPE_NULLFUNCREF, WAOT_VALTYPE_REF_NOFUNC};
  for (int strict = 0; strict < 2; strict++) {
    uint32_t typed = strict ? WAOT_VALTYPE_REF_TYPE : WAOT_VALTYPE_REF_NULL_TYPE;
    CHECK("a typed reference is one to a function", waot_valtype_matches(typed, a, func[strict], NULL) && !waot_valtype_matches(func[strict], NULL, typed, a));
    CHECK("the bottom is a reference to any type", waot_valtype_matches(any_null[strict], NULL, typed, a) && !waot_valtype_matches(typed, a, any_null[strict], NULL));
    CHECK("types differ", waot_valtype_matches(typed, a, typed, a) && !waot_valtype_matches(typed, a, typed, b));
  }
  CHECK("without null is with null, not the other way round",
        waot_valtype_matches(WAOT_VALTYPE_REF_TYPE, a, WAOT_VALTYPE_REF_NULL_TYPE, a) && !waot_valtype_matches(WAOT_VALTYPE_REF_NULL_TYPE, a, WAOT_VALTYPE_REF_TYPE, a));
  CHECK("null is of every nullable type only", waot_valtype_matches(WAOT_VALTYPE_NULLEXTERNREF, NULL, WAOT_VALTYPE_EXTERNREF, NULL) &&
                                                   !waot_valtype_matches(WAOT_VALTYPE_NULLEXTERNREF, NULL, WAOT_VALTYPE_REF_EXTERN, NULL));
  CHECK("functions and host values are apart", !waot_valtype_matches(WAOT_VALTYPE_FUNCREF, NULL, WAOT_VALTYPE_EXTERNREF, NULL) && !waot_valtype_matches(WAOT_VALTYPE_NULLEXTERNREF, NULL, WAOT_VALTYPE_FUNCREF, NULL));
  CHECK("numbers match themselves", waot_valtype_matches(WAOT_VALTYPE_I32, NULL, WAOT_VALTYPE_I32, NULL) && !waot_valtype_matches(WAOT_VALTYPE_I32, NULL, WAOT_VALTYPE_I64, NULL) &&
                                        !waot_valtype_matches(WAOT_VALTYPE_I32, NULL, WAOT_VALTYPE_FUNCREF, NULL));
}

/* Structs with `count` fields of an anyref each; arrays of one. */
static const uint8_t anyrefs[] = {WAOT_VALTYPE_ANYREF, WAOT_VALTYPE_ANYREF}, mutables[] = {1, 1}, constants[] = {0, 0};
static const uint32_t offsets[] = {16, 24}, beyond[] = {16, 32}, odd[] = {16, 20};
#define OBJECTS(kind_, count, super, final, size_, mutables_, refs) \
  {.kind = kind_, .is_final = final, .supertype = super, .param_count = count, .valtypes = (void *)(uintptr_t)anyrefs, .size = size_, .ref_count = count, \
   .mutables = (void *)(uintptr_t)(mutables_), .offsets = (void *)(uintptr_t)offsets, .ref_offsets = (void *)(uintptr_t)(refs)}
#define STRUCT(count, super, final) OBJECTS(WAOT_TYPE_STRUCT, count, super, final, 16 + 8 * (count), mutables, offsets)
#define NONE UINT32_MAX

static void subtypes(void) {
  /* 0 above 1 above 2; 3 as 1, but final; 4 as 1 in a module of its own; 5 and 6 arrays that differ in mutability */
  const struct waot_type_desc types[] = {STRUCT(0, NONE, 0), STRUCT(1, 0, 0), STRUCT(2, 1, 1), STRUCT(1, 0, 1), STRUCT(1, 0, 0),
                                         OBJECTS(WAOT_TYPE_ARRAY, 1, NONE, 1, 8, mutables, offsets), OBJECTS(WAOT_TYPE_ARRAY, 1, NONE, 1, 8, constants, offsets)};
  const waot_type *t[7];
  CHECK("structs and arrays are interned", waot_types_intern(types, 7, t) == 0);
  CHECK("equal ones are one, finality and mutability count", t[1] == t[4] && t[1] != t[3] && t[5] != t[6]);
  CHECK("a type knows its supertypes", t[2]->depth == 2 && t[2]->supers[0] == t[0] && t[2]->supers[1] == t[1] && t[2]->supers[2] == t[2] && t[0]->depth == 0 && t[0]->supers[0] == t[0]);
  CHECK("subtypes", waot_type_is_subtype(t[2], t[0]) && waot_type_is_subtype(t[2], t[2]) && !waot_type_is_subtype(t[0], t[2]) && !waot_type_is_subtype(t[2], t[3]) && !waot_type_is_subtype(t[5], t[0]));
  const uint32_t ref_type = WAOT_VALTYPE_REF_TYPE;
  CHECK("a struct is one of its supertypes', a structref, an eqref, an anyref", waot_valtype_matches(ref_type, t[2], ref_type, t[0]) && waot_valtype_matches(ref_type, t[2], WAOT_VALTYPE_STRUCTREF, NULL) &&
                                                                                 waot_valtype_matches(ref_type, t[2], WAOT_VALTYPE_REF_EQ, NULL) && waot_valtype_matches(ref_type, t[2], WAOT_VALTYPE_ANYREF, NULL));
  CHECK("and nothing else", !waot_valtype_matches(ref_type, t[0], ref_type, t[2]) && !waot_valtype_matches(ref_type, t[2], WAOT_VALTYPE_ARRAYREF, NULL) && !waot_valtype_matches(ref_type, t[2], WAOT_VALTYPE_I31REF, NULL) &&
                               !waot_valtype_matches(ref_type, t[2], WAOT_VALTYPE_FUNCREF, NULL) && !waot_valtype_matches(ref_type, t[2], WAOT_VALTYPE_EXTERNREF, NULL) && !waot_valtype_matches(WAOT_VALTYPE_ANYREF, NULL, ref_type, t[0]));
  CHECK("the bottom of the hierarchy", waot_valtype_matches(WAOT_VALTYPE_NULLREF, NULL, WAOT_VALTYPE_REF_NULL_TYPE, t[5]) && waot_valtype_matches(WAOT_VALTYPE_NULLREF, NULL, WAOT_VALTYPE_I31REF, NULL) &&
                                          !waot_valtype_matches(WAOT_VALTYPE_NULLREF, NULL, WAOT_VALTYPE_FUNCREF, NULL) && !waot_valtype_matches(WAOT_VALTYPE_NULLFUNCREF, NULL, WAOT_VALTYPE_REF_NULL_TYPE, t[5]));
  CHECK("what is collected", waot_valtype_is_collected(ref_type, t[2]) && waot_valtype_is_collected(WAOT_VALTYPE_EXTERNREF, NULL) && !waot_valtype_is_collected(ref_type, waot_type_intern(1, 0, i32)) &&
                                !waot_valtype_is_collected(WAOT_VALTYPE_FUNCREF, NULL) && !waot_valtype_is_collected(WAOT_VALTYPE_I64, NULL));
}

/* What the collector would stumble over, and supertypes that are none. */
static void refuse_objects(void) {
  const struct waot_type_desc damaged[][2] = {
    {STRUCT(0, NONE, 0), STRUCT(1, 1, 0)}, {STRUCT(0, NONE, 1), STRUCT(1, 0, 0)}, {STRUCT(0, NONE, 0), OBJECTS(WAOT_TYPE_ARRAY, 1, 0, 1, 8, mutables, offsets)},
    {STRUCT(0, NONE, 0), OBJECTS(WAOT_TYPE_STRUCT, 2, 0, 0, 32, mutables, beyond)}, {STRUCT(0, NONE, 0), OBJECTS(WAOT_TYPE_STRUCT, 2, 0, 0, 32, mutables, odd)},
    {STRUCT(0, NONE, 0), OBJECTS(WAOT_TYPE_STRUCT, 2, 0, 0, 24, mutables, offsets)}, {STRUCT(0, NONE, 0), OBJECTS(WAOT_TYPE_ARRAY, 1, NONE, 1, 4, mutables, offsets)},
    {STRUCT(0, NONE, 0), OBJECTS(WAOT_TYPE_BOX, 1, NONE, 1, 32, mutables, offsets)}, {STRUCT(0, NONE, 0), OBJECTS(WAOT_TYPE_STRUCT, 1, NONE, 1, 24, NULL, offsets)},
  };
  const waot_type *out[2];
  bool refused = true;
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) refused = refused && waot_types_intern(damaged[i], 2, out) != 0;
  CHECK("damaged structs and arrays are refused", refused);
}

static void add_reference(void *data, uint64_t reference) { *(uint64_t *)data += reference; }

/* Tables and globals of typed references that the host makes. */
static void host_objects(void) {
  const waot_type *a = waot_type_intern(1, 0, i32);
  waot_store *store = waot_store_new();
  waot_value null = {.ref = 0};
  waot_table *table = waot_table_new_typed(store, WAOT_VALTYPE_REF_NULL_TYPE, a, 1, 2, 0);
  waot_global *global = waot_global_new_typed(store, WAOT_VALTYPE_NULLFUNCREF, NULL, 0, &null);
  CHECK("a table says what it holds", table != NULL && waot_table_valtype(table) == WAOT_VALTYPE_REF_NULL_TYPE && waot_table_ref(table) == a);
  CHECK("a global as well", global != NULL && waot_global_valtype(global) == WAOT_VALTYPE_NULLFUNCREF && waot_global_ref(global) == NULL);
  CHECK("what is no reference type is refused", waot_table_new_typed(store, WAOT_VALTYPE_I32, NULL, 1, 2, 0) == NULL && waot_global_new_typed(store, 0x55, NULL, 0, &null) == NULL);
  CHECK("the plain functions take the plain types", waot_table_new(store, WAOT_VALTYPE_REF_FUNC, 1, 2, 0) == NULL && waot_global_new(store, WAOT_VALTYPE_REF_FUNC, 0, &null) == NULL);
  uint64_t seen = 0;
  waot_table_new_typed(store, WAOT_VALTYPE_REF_EXTERN, NULL, 1, 1, 77);
  waot_store_visit_externrefs(store, add_reference, &seen);
  CHECK("references to host values are roots whether or not null is of their type", seen == 77);
  waot_store_delete(store);
}

int main(void) {
  intern_groups();
  refuse_damage();
  intern_many();
  match();
  subtypes();
  refuse_objects();
  host_objects();
  return failures != 0;
}
