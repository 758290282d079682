/* type.c - function types, interned for the whole process, so that an indirect call compares two pointers. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* A hash table with chains. Types are never freed: a funcref may outlive the artifact that brought the type, and there are few distinct ones. */
struct node {
  struct waot_type type;
  uint64_t hash;
  struct node *next;
  uint8_t valtypes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node **buckets;
static size_t bucket_count, node_count;

/* FNV-1a over the parameter count and the codes. */
static uint64_t hash_type(uint32_t param_count, const uint8_t *valtypes, size_t count) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (int i = 0; i < 4; i++) hash = (hash ^ (param_count >> 8 * i & 0xff)) * UINT64_C(0x100000001b3);
  for (size_t i = 0; i < count; i++) hash = (hash ^ valtypes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

/* Makes room for one more node; without memory for a larger array the chains grow longer instead, unless there is no array at all. */
static int reserve(void) {
  if (bucket_count > 0 && node_count < bucket_count) return 0;
  size_t count = bucket_count > 0 ? bucket_count * 2 : 64;
  struct node **larger = calloc(count, sizeof *larger);
  if (larger == NULL) return bucket_count > 0 ? 0 : -1;
  for (size_t i = 0; i < bucket_count; i++) {
    for (struct node *node = buckets[i], *next; node != NULL; node = next) {
      next = node->next;
      node->next = larger[node->hash % count];
      larger[node->hash % count] = node;
    }
  }
  free(buckets);
  buckets = larger;
  bucket_count = count;
  return 0;
}

static const waot_type *intern_locked(uint32_t param_count, uint32_t result_count, const uint8_t *valtypes) {
  size_t count = (size_t)param_count + result_count;
  uint64_t hash = hash_type(param_count, valtypes, count);
  if (reserve() != 0) return NULL;
  struct node **bucket = &buckets[hash % bucket_count];
  for (struct node *node = *bucket; node != NULL; node = node->next) {
    if (node->hash == hash && node->type.param_count == param_count && node->type.result_count == result_count &&
        (count == 0 || memcmp(node->valtypes, valtypes, count) == 0)) {
      return &node->type;
    }
  }
  struct node *node = malloc(sizeof *node + count);
  if (node == NULL) return NULL;
  if (count > 0) memcpy(node->valtypes, valtypes, count);
  node->type = (struct waot_type){param_count, result_count, node->valtypes};
  node->hash = hash;
  node->next = *bucket;
  *bucket = node;
  node_count++;
  return &node->type;
}

const waot_type *waot_type_intern(uint32_t param_count, uint32_t result_count, const uint8_t *valtypes) {
  pthread_mutex_lock(&lock);
  const waot_type *type = intern_locked(param_count, result_count, valtypes);
  pthread_mutex_unlock(&lock);
  return type;
}
