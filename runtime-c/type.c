/* type.c - function types, interned for the whole process, so that an indirect call compares two pointers. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/*
 * A hash table with chains, of recursion groups: types that may refer to each other, and are equal to others only all together (WebAssembly 3.0, "Rolling and Unrolling");
 * mostly of one type. Groups come in an order in which each refers to earlier ones, so those are interned already, and a reference out of the group is compared as a
 * pointer, one inside by its place. Types are never freed: a funcref may outlive the artifact that brought the type, and there are few distinct ones.
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

/* Whether a code is that of references to functions of a type, which stands beside it. */
static bool names_type(uint32_t valtype) { return (valtype | WAOT_VALTYPE_NULLABLE) == WAOT_VALTYPE_REF_NULL_TYPE; }

/* FNV-1a */
static uint64_t mix(uint64_t hash, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) hash = (hash ^ (value >> 8 * i & 0xff)) * UINT64_C(0x100000001b3);
  return hash;
}

/* The type that a value of a candidate's type refers to: its place in the group, from 0, or -1 with *type. */
static int64_t resolve(const struct candidate *c, const struct waot_type_desc *desc, size_t value, const waot_type **type) {
  uint32_t heap = ((const uint32_t *)desc->heaps)[value];
  *type = heap < c->first ? c->interned[heap] : NULL;
  return heap < c->first ? -1 : (int64_t)(heap - c->first);
}

static uint64_t hash_group(const struct candidate *c) {
  uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), c->count, 4);
  for (const struct waot_type_desc *desc = c->descs + c->first, *end = desc + c->count; desc < end; desc++) {
    hash = mix(mix(hash, desc->param_count, 4), desc->result_count, 4);
    for (size_t i = 0; i < value_count(desc); i++) {
      uint8_t code = ((const uint8_t *)desc->valtypes)[i];
      const waot_type *type;
      hash = mix(hash, code, 1);
      if (!names_type(code)) continue;
      int64_t place = resolve(c, desc, i, &type);
      hash = place < 0 ? mix(hash, (uintptr_t)type, 8) : mix(hash, (uint64_t)place, 4);
    }
  }
  return hash;
}

static bool is_same_type(const struct candidate *c, const struct waot_type_desc *desc, const struct group *group, const struct waot_type *known) {
  size_t count = value_count(desc);
  if (known->param_count != desc->param_count || known->result_count != desc->result_count || (count > 0 && memcmp(known->valtypes, desc->valtypes, count) != 0)) return false;
  for (size_t i = 0; i < count; i++) {
    const waot_type *type;
    if (!names_type(known->valtypes[i])) continue;
    int64_t place = resolve(c, desc, i, &type);
    bool inside = known->refs[i] >= group->types && known->refs[i] < group->types + group->count;
    if (inside != (place >= 0) || known->refs[i] != (inside ? group->types + place : type)) return false;
  }
  return true;
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

/* Fills one type of a new group; its codes and references follow the group in memory at *codes and *refs, which it moves on. */
static void fill_type(const struct candidate *c, const struct waot_type_desc *desc, const struct group *group, struct waot_type *type, uint8_t **codes, const waot_type ***refs) {
  size_t count = value_count(desc);
  *type = (struct waot_type){desc->param_count, desc->result_count, *codes, NULL};
  if (count > 0) memcpy(*codes, desc->valtypes, count);
  *codes += count;
  if (desc->heaps == NULL) return;
  type->refs = *refs;
  for (size_t i = 0; i < count; i++) {
    const waot_type *other = NULL;
    if (names_type(type->valtypes[i])) {
      int64_t place = resolve(c, desc, i, &other);
      if (place >= 0) other = group->types + place;
    }
    *(*refs)++ = other;
  }
}

/* A new group with a copy of the candidate's types. NULL when out of memory. */
static struct group *copy_group(const struct candidate *c, uint64_t hash) {
  size_t codes = 0, refs = 0;
  for (const struct waot_type_desc *desc = c->descs + c->first, *end = desc + c->count; desc < end; desc++) {
    codes += value_count(desc);
    if (desc->heaps != NULL) refs += value_count(desc);
  }
  size_t head = sizeof(struct group) + c->count * sizeof(struct waot_type);
  struct group *group = malloc(head + refs * sizeof(waot_type *) + codes);
  if (group == NULL) return NULL;
  const waot_type **ref_at = (const waot_type **)(void *)((char *)group + head);
  uint8_t *code_at = (uint8_t *)(ref_at + refs);
  group->hash = hash;
  group->count = c->count;
  for (uint32_t i = 0; i < c->count; i++) fill_type(c, c->descs + c->first + i, group, &group->types[i], &code_at, &ref_at);
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

/* Whether a group lies within the artifact's types and refers to nothing behind itself. */
static bool is_sane_group(const struct candidate *c, uint32_t count) {
  if (c->count > count - c->first) return false;
  for (const struct waot_type_desc *desc = c->descs + c->first, *end = desc + c->count; desc < end; desc++) {
    for (size_t i = 0; i < value_count(desc); i++) {
      if (names_type(((const uint8_t *)desc->valtypes)[i]) && (desc->heaps == NULL || ((const uint32_t *)desc->heaps)[i] >= c->first + c->count)) return false;
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
  struct waot_type_desc desc = {.param_count = param_count, .result_count = result_count, .valtypes = (void *)(uintptr_t)valtypes};
  const waot_type *type = NULL;
  return waot_types_intern(&desc, 1, &type) == 0 ? type : NULL;
}

const waot_type *waot_type_ref(const waot_type *type, uint32_t value) { return type->refs == NULL ? NULL : type->refs[value]; }

bool waot_valtype_is_reference(uint32_t valtype) {
  switch (valtype | WAOT_VALTYPE_NULLABLE) {
    case WAOT_VALTYPE_FUNCREF: case WAOT_VALTYPE_EXTERNREF: case WAOT_VALTYPE_NULLFUNCREF: case WAOT_VALTYPE_NULLEXTERNREF: case WAOT_VALTYPE_REF_NULL_TYPE: return true;
    default: return false;
  }
}

bool waot_valtype_matches(uint32_t found, const waot_type *found_ref, uint32_t wanted, const waot_type *wanted_ref) {
  if (found == wanted) return found_ref == wanted_ref;
  if (!waot_valtype_is_reference(found) || !waot_valtype_is_reference(wanted) || (found & WAOT_VALTYPE_NULLABLE) > (wanted & WAOT_VALTYPE_NULLABLE)) return false;
  uint32_t from = found | WAOT_VALTYPE_NULLABLE, to = wanted | WAOT_VALTYPE_NULLABLE;
  if (from == to) return found_ref == wanted_ref;
  switch (to) {
    case WAOT_VALTYPE_FUNCREF: return from == WAOT_VALTYPE_NULLFUNCREF || from == WAOT_VALTYPE_REF_NULL_TYPE;
    case WAOT_VALTYPE_EXTERNREF: return from == WAOT_VALTYPE_NULLEXTERNREF;
    case WAOT_VALTYPE_REF_NULL_TYPE: return from == WAOT_VALTYPE_NULLFUNCREF;
    default: return false;
  }
}

void waot_type_fork_prepare(void) { pthread_mutex_lock(&lock); }
void waot_type_fork_parent(void) { pthread_mutex_unlock(&lock); }
void waot_type_fork_child(void) { pthread_mutex_init(&lock, NULL); }
