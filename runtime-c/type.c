/* type.c - the types of functions, structs and arrays, interned for the whole process, so that compiled code compares pointers. What matches what is in type_match.c. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * A hash table with chains, of recursion groups: types that may refer to each other, and are equal to others only all together (WebAssembly 3.0, "Rolling and Unrolling");
 * mostly of one type. Groups come in an order in which each refers to earlier ones, so those are interned already, and a reference out of the group is compared as a
 * pointer, one inside by its place. Types are never freed: a funcref may outlive the artifact that brought the type, and there are few distinct ones.
 *
 * The layout of objects is the compiler's. It is compared like the rest, so that types are one only if compiled code of all modules agrees on where the fields are.
 */
struct group {
  uint64_t hash;
  struct group *next;
  uint32_t count;
  struct waot_type types[];
};

/* A group to be interned: types [first, first + count) of an artifact, of whose earlier types `interned` has the pointers. */
struct candidate {
  const struct waot_type_desc *descs;
  const waot_type *const *interned;
  uint32_t first, count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct group **buckets;
static size_t bucket_count, group_count;

static size_t value_count(const struct waot_type_desc *desc) { return (size_t)desc->param_count + desc->result_count; }

/* Whether a code is that of references to what is of a type, which stands beside it. */
static bool names_type(uint32_t valtype) { return (valtype | WAOT_VALTYPE_NULLABLE) == WAOT_VALTYPE_REF_NULL_TYPE; }

/* FNV-1a */
static uint64_t mix(uint64_t hash, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) hash = (hash ^ (value >> 8 * i & 0xff)) * UINT64_C(0x100000001b3);
  return hash;
}

/* The type with an index of the artifact that a candidate refers to: its place in the group, from 0, or -1 with *type. */
static int64_t resolve(const struct candidate *c, uint32_t index, const waot_type **type) {
  *type = index < c->first ? c->interned[index] : NULL;
  return index < c->first ? -1 : (int64_t)(index - c->first);
}

/* The index of the type that a value refers to; for types that names_type says it of. */
static uint32_t heap_of(const struct waot_type_desc *desc, size_t value) { return ((const uint32_t *)desc->heaps)[value]; }

static uint64_t mix_index(uint64_t hash, const struct candidate *c, uint32_t index) {
  const waot_type *type;
  int64_t place = resolve(c, index, &type);
  return place < 0 ? mix(hash, (uintptr_t)type, 8) : mix(hash, (uint64_t)place, 4);
}

/* Whether an index means what a type of an interned group refers to. */
static bool is_same_index(const struct candidate *c, uint32_t index, const struct group *group, const waot_type *known) {
  const waot_type *type;
  int64_t place = resolve(c, index, &type);
  bool inside = known >= group->types && known < group->types + group->count;
  return inside == (place >= 0) && known == (inside ? group->types + place : type);
}

static uint64_t hash_group(const struct candidate *c) {
  uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), c->count, 4);
  for (const struct waot_type_desc *desc = c->descs + c->first, *end = desc + c->count; desc < end; desc++) {
    hash = mix(mix(hash, desc->param_count, 4), desc->result_count, 4);
    hash = mix(mix(hash, desc->kind, 1), desc->is_final, 1);
    if (desc->supertype != WAOT_NO_SUPERTYPE) hash = mix_index(hash, c, desc->supertype);
    for (size_t i = 0; i < value_count(desc); i++) {
      uint8_t code = ((const uint8_t *)desc->valtypes)[i];
      hash = mix(hash, code, 1);
      if (names_type(code)) hash = mix_index(hash, c, heap_of(desc, i));
    }
  }
  return hash;
}

static bool is_same(const void *a, const void *b, size_t size) { return size == 0 || memcmp(a, b, size) == 0; }

/* Whether fields, or elements, are the same: in mutability, and in where they are. */
static bool is_same_layout(const struct waot_type_desc *desc, const struct waot_type *known) {
  size_t count = value_count(desc);
  if (desc->kind == WAOT_TYPE_FUNC) return true;
  return known->size == desc->size && known->ref_count == desc->ref_count && is_same(known->mutables, desc->mutables, count) &&
         is_same(known->offsets, desc->offsets, count * sizeof(uint32_t)) && is_same(known->ref_offsets, desc->ref_offsets, desc->ref_count * sizeof(uint32_t));
}

static bool is_same_type(const struct candidate *c, const struct waot_type_desc *desc, const struct group *group, const struct waot_type *known) {
  size_t count = value_count(desc);
  if (known->kind != desc->kind || known->is_final != desc->is_final || (known->depth > 0) != (desc->supertype != WAOT_NO_SUPERTYPE)) return false;
  if (known->depth > 0 && !is_same_index(c, desc->supertype, group, known->supers[known->depth - 1])) return false;
  if (known->param_count != desc->param_count || known->result_count != desc->result_count || !is_same(known->valtypes, desc->valtypes, count)) return false;
  for (size_t i = 0; i < count; i++) {
    if (names_type(known->valtypes[i]) && !is_same_index(c, heap_of(desc, i), group, known->refs[i])) return false;
  }
  return is_same_layout(desc, known);
}

static bool is_same_group(const struct candidate *c, uint64_t hash, const struct group *group) {
  if (group->hash != hash || group->count != c->count) return false;
  for (uint32_t i = 0; i < c->count; i++) {
    if (!is_same_type(c, c->descs + c->first + i, group, &group->types[i])) return false;
  }
  return true;
}

/* Makes room for one more group; without memory for a larger array the chains grow longer instead, unless there is no array at all. */
static int reserve(void) {
  if (bucket_count > 0 && group_count < bucket_count) return 0;
  size_t count = bucket_count > 0 ? bucket_count * 2 : 64;
  struct group **larger = calloc(count, sizeof *larger);
  if (larger == NULL) return bucket_count > 0 ? 0 : -1;
  for (size_t i = 0; i < bucket_count; i++) {
    for (struct group *group = buckets[i], *next; group != NULL; group = next) {
      next = group->next;
      group->next = larger[group->hash % count];
      larger[group->hash % count] = group;
    }
  }
  free(buckets);
  buckets = larger;
  bucket_count = count;
  return 0;
}

/* What the arrays of a group's types take, in its own memory behind the types: pointers first, then 4-byte numbers, then bytes. */
struct room { size_t pointers, numbers, bytes; };

/* The next free place of each; as `room`. */
struct places {
  const waot_type **pointers;
  uint32_t *numbers;
  uint8_t *bytes;
};

/* The declared supertype of a candidate's type, which comes before it; NULL without one. */
static const waot_type *super_of(const struct candidate *c, const struct waot_type_desc *desc, const struct group *group) {
  const waot_type *type;
  if (desc->supertype == WAOT_NO_SUPERTYPE) return NULL;
  int64_t place = resolve(c, desc->supertype, &type);
  return place >= 0 ? &group->types[place] : type;
}

static uint32_t *take_numbers(struct places *at, const void *from, size_t count) {
  uint32_t *taken = at->numbers;
  if (count > 0) memcpy(taken, from, count * sizeof *taken);
  at->numbers += count;
  return taken;
}

static uint8_t *take_bytes(struct places *at, const void *from, size_t count) {
  uint8_t *taken = at->bytes;
  if (count > 0) memcpy(taken, from, count);
  at->bytes += count;
  return taken;
}

/* Fills one type of a new group, all but its display. */
static void fill_type(const struct candidate *c, const struct waot_type_desc *desc, const struct group *group, struct waot_type *type, struct places *at) {
  size_t count = value_count(desc);
  *type = (struct waot_type){.param_count = desc->param_count, .result_count = desc->result_count, .kind = desc->kind, .is_final = desc->is_final, .size = desc->size, .ref_count = desc->ref_count};
  type->valtypes = take_bytes(at, desc->valtypes, count);
  if (desc->kind != WAOT_TYPE_FUNC) {
    type->mutables = take_bytes(at, desc->mutables, count);
    type->offsets = take_numbers(at, desc->offsets, count);
    type->ref_offsets = take_numbers(at, desc->ref_offsets, desc->ref_count);
  }
  if (desc->heaps == NULL) return;
  type->refs = at->pointers;
  for (size_t i = 0; i < count; i++) {
    const waot_type *other = NULL;
    if (names_type(type->valtypes[i])) {
      int64_t place = resolve(c, heap_of(desc, i), &other);
      if (place >= 0) other = group->types + place;
    }
    *at->pointers++ = other;
  }
}

/* The display of a type: its supertypes from the root down, and itself. That of its supertype is there already. */
static void fill_display(const waot_type *super, struct waot_type *type, struct places *at) {
  type->depth = super == NULL ? 0 : super->depth + 1;
  type->supers = at->pointers;
  for (uint32_t i = 0; i < type->depth; i++) *at->pointers++ = super->supers[i];
  *at->pointers++ = type;
}

/* What the arrays of a candidate take, with depths[i] the depth of its type i. */
static struct room measure(const struct candidate *c, const uint32_t *depths) {
  struct room room = {0, 0, 0};
  for (uint32_t i = 0; i < c->count; i++) {
    const struct waot_type_desc *desc = c->descs + c->first + i;
    size_t count = value_count(desc);
    room.pointers += (size_t)depths[i] + 1 + (desc->heaps != NULL ? count : 0);
    room.bytes += count;
    if (desc->kind == WAOT_TYPE_FUNC) continue;
    room.bytes += count;
    room.numbers += count + desc->ref_count;
  }
  return room;
}

/* A new group with a copy of the candidate's types. NULL when out of memory. */
static struct group *copy_group(const struct candidate *c, uint64_t hash) {
  uint32_t *depths = malloc(c->count * sizeof *depths);
  if (depths == NULL) return NULL;
  for (uint32_t i = 0; i < c->count; i++) {
    uint32_t super = c->descs[c->first + i].supertype;
    depths[i] = super == WAOT_NO_SUPERTYPE ? 0 : super < c->first ? c->interned[super]->depth + 1 : depths[super - c->first] + 1;
  }
  struct room room = measure(c, depths);
  free(depths);
  size_t head = sizeof(struct group) + c->count * sizeof(struct waot_type);
  struct group *group = malloc(head + room.pointers * sizeof(waot_type *) + room.numbers * sizeof(uint32_t) + room.bytes);
  if (group == NULL) return NULL;
  struct places at = {.pointers = (const waot_type **)(void *)((char *)group + head)};
  at.numbers = (uint32_t *)(void *)(at.pointers + room.pointers);
  at.bytes = (uint8_t *)(at.numbers + room.numbers);
  group->hash = hash;
  group->count = c->count;
  for (uint32_t i = 0; i < c->count; i++) {
    const struct waot_type_desc *desc = c->descs + c->first + i;
    fill_type(c, desc, group, &group->types[i], &at);
    fill_display(super_of(c, desc, group), &group->types[i], &at);
  }
  return group;
}

static const struct group *intern_locked(const struct candidate *c) {
  uint64_t hash = hash_group(c);
  if (reserve() != 0) return NULL;
  struct group **bucket = &buckets[hash % bucket_count];
  for (struct group *group = *bucket; group != NULL; group = group->next) {
    if (is_same_group(c, hash, group)) return group;
  }
  struct group *group = copy_group(c, hash);
  if (group == NULL) return NULL;
  group->next = *bucket;
  *bucket = group;
  group_count++;
  return group;
}

/* Whether the collector can trust where a struct's, or an array's, references are. */
static bool is_sane_layout(const struct waot_type_desc *desc) {
  size_t count = value_count(desc);
  if (desc->kind == WAOT_TYPE_ARRAY && (count != 1 || desc->size == 0 || desc->size > WAOT_VALUE_SIZE || (desc->ref_count != 0 && desc->size != sizeof(uint64_t)))) return false;
  if (desc->kind == WAOT_TYPE_STRUCT && (desc->size < sizeof(struct waot_object) || desc->size > WAOT_MAX_STRUCT_SIZE)) return false;
  if (desc->ref_count > count || (count > 0 && (desc->mutables == NULL || desc->offsets == NULL)) || (desc->ref_count > 0 && desc->ref_offsets == NULL)) return false;
  uint32_t end = desc->kind == WAOT_TYPE_ARRAY ? (uint32_t)sizeof(struct waot_object) + desc->size : desc->size;
  for (uint32_t i = 0; i < desc->ref_count; i++) {
    uint32_t offset = ((const uint32_t *)desc->ref_offsets)[i];
    if (offset < sizeof(struct waot_object) || offset % sizeof(uint64_t) != 0 || offset > end - sizeof(uint64_t)) return false;
  }
  return true;
}

/* Whether a group lies within the artifact's types and refers to nothing behind itself, and supertypes come first and are of the same kind. */
static bool is_sane_group(const struct candidate *c, uint32_t count) {
  if (c->count > count - c->first) return false;
  for (uint32_t index = c->first; index < c->first + c->count; index++) {
    const struct waot_type_desc *desc = &c->descs[index];
    if (desc->kind > WAOT_TYPE_ARRAY || desc->is_final > 1) return false;
    if (desc->supertype != WAOT_NO_SUPERTYPE && (desc->supertype >= index || c->descs[desc->supertype].kind != desc->kind || c->descs[desc->supertype].is_final)) return false;
    if (desc->kind != WAOT_TYPE_FUNC && (desc->result_count != 0 || !is_sane_layout(desc))) return false;
    for (size_t i = 0; i < value_count(desc); i++) {
      if (names_type(((const uint8_t *)desc->valtypes)[i]) && (desc->heaps == NULL || heap_of(desc, i) >= c->first + c->count)) return false;
    }
  }
  return true;
}

int waot_types_intern(const struct waot_type_desc *descs, uint32_t count, const waot_type **out) {
  for (uint32_t first = 0; first < count;) {
    struct candidate c = {descs, out, first, descs[first].followers + 1};
    if (c.count == 0 || !is_sane_group(&c, count)) return -1;
    pthread_mutex_lock(&lock);
    const struct group *group = intern_locked(&c);
    pthread_mutex_unlock(&lock);
    if (group == NULL) return -1;
    for (uint32_t i = 0; i < c.count; i++) out[first + i] = &group->types[i];
    first += c.count;
  }
  return 0;
}

const waot_type *waot_type_intern(uint32_t param_count, uint32_t result_count, const uint8_t *valtypes) {
  struct waot_type_desc desc = {
    .param_count = param_count, .result_count = result_count, .valtypes = (void *)(uintptr_t)valtypes, .is_final = 1, .supertype = WAOT_NO_SUPERTYPE,
  };
  const waot_type *type = NULL;
  return waot_types_intern(&desc, 1, &type) == 0 ? type : NULL;
}

const waot_type *waot_type_ref(const waot_type *type, uint32_t value) { return type->refs == NULL ? NULL : type->refs[value]; }

void waot_type_fork_prepare(void) { pthread_mutex_lock(&lock); }
void waot_type_fork_parent(void) { pthread_mutex_unlock(&lock); }
void waot_type_fork_child(void) { pthread_mutex_init(&lock, NULL); }
