/*
 * object.c - making structs and arrays, working on whole arrays, and references that change between the any and the extern hierarchy. References that compiled code gives are not null where the
 * operator traps for null; of their types validation is the judge. (A null array is refused all the same, as too short: that a mistake ends in a trap, not in a fault here, costs nothing.)
 */
#include <string.h>

#include "bulk.h"
#include "heap.h"

static waot_instance *instance_of(void *vmctx) { return ((struct waot_vmctx *)vmctx)->instance; }
static const waot_type *type_at(void *vmctx, uint32_t index) { return instance_of(vmctx)->artifact->types[index]; }
static const waot_type *type_of(const struct waot_object *object) { return object->type; }
static uint8_t *element_at(struct waot_object *array, uint64_t i) { return (uint8_t *)array + type_of(array)->offsets[0] + i * type_of(array)->size; }

/* --- structs and arrays ----------------------------------------------------------------------------------------------- */

uint64_t waot_struct_new(waot_store *store, const waot_type *type, bool may_stop) {
  return (uintptr_t)waot_heap_allocate(store, type, type->size, 0, may_stop);
}

uint64_t waot_array_new(waot_store *store, const waot_type *type, uint64_t length, bool may_stop) {
  if (length > UINT32_MAX) return 0;
  return (uintptr_t)waot_heap_allocate(store, type, type->offsets[0] + length * type->size, (uint32_t)length, may_stop);
}

void waot_field_store(void *at, uint32_t valtype, const waot_value *value) {
  switch (valtype) {
    case WAOT_PACKED_I8: memcpy(at, value, 1); break;
    case WAOT_PACKED_I16: memcpy(at, value, 2); break;
    case WAOT_VALTYPE_I32: case WAOT_VALTYPE_F32: memcpy(at, value, 4); break;
    case WAOT_VALTYPE_V128: memcpy(at, value, 16); break;
    default: memcpy(at, value, 8); break;
  }
}

uint64_t waot_builtin_struct_new(void *vmctx, uint32_t type) { return waot_struct_new(instance_of(vmctx)->store, type_at(vmctx, type), true); }
uint64_t waot_builtin_array_new(void *vmctx, uint32_t type, uint64_t length) { return waot_array_new(instance_of(vmctx)->store, type_at(vmctx, type), length, true); }

/* --- arrays and segments ---------------------------------------------------------------------------------------------- */

/* Whether [from, from + count elements) lies in a data segment. `count` is below 2^32. */
static bool data_fits(const waot_instance *instance, uint32_t segment, uint64_t from, uint64_t count, const waot_type *type) {
  return waot_bulk_fits(instance->data_lengths[segment], from, count * type->size);
}

static void copy_data(const waot_instance *instance, uint32_t segment, uint64_t from, struct waot_object *array, uint64_t to, uint64_t count) {
  const struct waot_data_desc *data = (const struct waot_data_desc *)instance->desc->datas + segment;
  if (count > 0) waot_bulk_copy(element_at(array, to), (const uint8_t *)data->bytes + from, count * type_of(array)->size);
}

static void copy_elements(const waot_instance *instance, uint32_t segment, uint64_t from, struct waot_object *array, uint64_t to, uint64_t count) {
  uint64_t *at = (uint64_t *)(void *)element_at(array, to);
  for (uint64_t i = 0; i < count; i++) {
    at[i] = waot_elem_ref(instance, segment, from + i);
    if (waot_bulk_is_stopped_after(sizeof *at)) return;
  }
}

uint64_t waot_builtin_array_new_data(void *vmctx, uint32_t type, uint32_t segment, uint64_t from, uint64_t length) {
  const waot_instance *instance = instance_of(vmctx);
  if (!data_fits(instance, segment, from, length, type_at(vmctx, type))) return 1;
  uint64_t ref = waot_array_new(instance->store, type_at(vmctx, type), length, true);
  if (ref != 0) copy_data(instance, segment, from, waot_ref_object(ref), 0, length);
  return ref;
}

uint64_t waot_builtin_array_new_elem(void *vmctx, uint32_t type, uint32_t segment, uint64_t from, uint64_t length) {
  const waot_instance *instance = instance_of(vmctx);
  if (!waot_bulk_fits(instance->elem_lengths[segment], from, length)) return 1;
  uint64_t ref = waot_array_new(instance->store, type_at(vmctx, type), length, true);
  if (ref != 0) copy_elements(instance, segment, from, waot_ref_object(ref), 0, length);
  return ref;
}

int32_t waot_builtin_array_init_data(void *vmctx, uint32_t segment, uint64_t array, uint64_t to, uint64_t from, uint64_t count) {
  struct waot_object *object = waot_ref_object(array);
  if (object == NULL || !waot_bulk_fits(object->length, to, count)) return 1;
  if (!data_fits(instance_of(vmctx), segment, from, count, type_of(object))) return 2;
  copy_data(instance_of(vmctx), segment, from, object, to, count);
  return 0;
}

int32_t waot_builtin_array_init_elem(void *vmctx, uint32_t segment, uint64_t array, uint64_t to, uint64_t from, uint64_t count) {
  struct waot_object *object = waot_ref_object(array);
  if (object == NULL || !waot_bulk_fits(object->length, to, count)) return 1;
  if (!waot_bulk_fits(instance_of(vmctx)->elem_lengths[segment], from, count)) return 2;
  copy_elements(instance_of(vmctx), segment, from, object, to, count);
  return 0;
}

/* --- arrays alone ----------------------------------------------------------------------------------------------------- */

int32_t waot_builtin_array_fill(void *vmctx, uint64_t array, uint64_t start, uint64_t count, uint64_t low, uint64_t high) {
  struct waot_object *object = waot_ref_object(array);
  (void)vmctx;
  if (object == NULL || !waot_bulk_fits(object->length, start, count)) return 1;
  const uint64_t value[2] = {low, high};
  uint64_t size = type_of(object)->size;
  uint8_t *at = element_at(object, start);
  if (size == 1) {
    waot_bulk_fill(at, (int)(low & 0xff), count);
    return 0;
  }
  for (uint64_t i = 0; i < count; i++, at += size) {
    memcpy(at, value, size);
    if (waot_bulk_is_stopped_after(size)) break;
  }
  return 0;
}

int32_t waot_builtin_array_copy(void *vmctx, uint64_t to_array, uint64_t to, uint64_t from_array, uint64_t from, uint64_t count) {
  struct waot_object *target = waot_ref_object(to_array), *source = waot_ref_object(from_array);
  (void)vmctx;
  if (target == NULL || source == NULL || !waot_bulk_fits(target->length, to, count) || !waot_bulk_fits(source->length, from, count)) return 1;
  if (count > 0) waot_bulk_copy(element_at(target, to), element_at(source, from), count * type_of(target)->size);
  return 0;
}

/* --- between the hierarchies ------------------------------------------------------------------------------------------ */

static const waot_type *const box_supers[] = {&waot_box_type};
const waot_type waot_box_type = {.supers = box_supers, .kind = WAOT_TYPE_BOX, .is_final = 1, .size = HEAP_BOX_SIZE};

/* What an externref stands for that is one of the any hierarchy; 0 for a handle of the host's. The bit alone is not trusted: it is the host's to give. */
static uint64_t internal(const waot_store *store, uint64_t externref) {
  uint64_t any = externref & ~WAOT_EXTERNALISED;
  if (any == externref) return 0;
  bool is_i31 = any <= UINT32_MAX && waot_ref_is_i31(any);
  return is_i31 || waot_heap_contains(store, any) ? any : 0;
}

static uint64_t any_from_extern(waot_store *store, uint64_t externref, bool may_stop) {
  uint64_t any = externref == 0 ? 0 : internal(store, externref);
  if (any != 0 || externref == 0) return any;
  struct waot_object *box = waot_heap_allocate(store, &waot_box_type, HEAP_BOX_SIZE, 0, may_stop);
  if (box != NULL) *waot_box_handle(box) = externref;
  return (uintptr_t)box;
}

uint64_t waot_any_from_extern(waot_store *store, uint64_t externref) { return any_from_extern(store, externref, false); }

uint64_t waot_extern_from_any(waot_store *store, uint64_t any) {
  (void)store;
  if (any == 0) return 0;
  return waot_any_kind(any) == WAOT_REF_HOST ? *waot_box_handle(waot_ref_object(any)) : any | WAOT_EXTERNALISED;
}

uint64_t waot_builtin_any_convert_extern(void *vmctx, uint64_t externref) { return any_from_extern(instance_of(vmctx)->store, externref, true); }
uint64_t waot_builtin_extern_convert_any(void *vmctx, uint64_t any) { return waot_extern_from_any(instance_of(vmctx)->store, any); }

waot_ref_kind waot_any_kind(uint64_t any) {
  if (any == 0) return WAOT_REF_NULL;
  if (waot_ref_is_i31(any)) return WAOT_REF_I31;
  return type_of(waot_ref_object(any))->kind == WAOT_TYPE_BOX ? WAOT_REF_HOST : WAOT_REF_OBJECT;
}

int32_t waot_any_i31(uint64_t any) { return (int32_t)(uint32_t)any >> 1; }
uint64_t waot_any_from_i31(int32_t value) { return (uint32_t)value << 1 | 1; }
const waot_type *waot_any_type(uint64_t any) { return type_of(waot_ref_object(any)); }
