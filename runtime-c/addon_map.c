/* addon_map.c - a hash map from pointers to pointers: open addressing, linear probing. */
#include <stdlib.h>

#include "addon.h"

static const char deleted_marker;
#define ADDON_MAP_DELETED ((const void *)&deleted_marker)

static size_t slot_of(const addon_map *map, const void *key) {
  uint64_t h = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);
  return (size_t)(h >> 32) & (map->capacity - 1);
}

/* The slot that holds key, or capacity when absent. The table always has free slots, so the loop ends. */
static size_t find(const addon_map *map, const void *key) {
  if (map->capacity == 0) return 0;
  for (size_t i = slot_of(map, key); map->keys[i] != NULL; i = (i + 1) & (map->capacity - 1)) {
    if (map->keys[i] == key) return i;
  }
  return map->capacity;
}

void *addon_map_get(const addon_map *map, const void *key) {
  size_t i = find(map, key);
  return i < map->capacity ? map->values[i] : NULL;
}

static void insert(addon_map *map, const void *key, void *value) {
  size_t i = slot_of(map, key);
  while (map->keys[i] != NULL) i = (i + 1) & (map->capacity - 1);
  map->keys[i] = key;
  map->values[i] = value;
  map->used++;
  map->count++;
}

static bool rehash(addon_map *map) {
  addon_map next = {0};
  next.capacity = 64;
  while (next.capacity < map->count * 4) next.capacity *= 2;
  next.keys = calloc(next.capacity, sizeof *next.keys);
  next.values = calloc(next.capacity, sizeof *next.values);
  if (next.keys == NULL || next.values == NULL) {
    addon_map_free(&next);
    return false;
  }
  for (size_t i = 0; i < map->capacity; i++) {
    if (map->keys[i] != NULL && map->keys[i] != ADDON_MAP_DELETED) insert(&next, map->keys[i], map->values[i]);
  }
  addon_map_free(map);
  *map = next;
  return true;
}

bool addon_map_set(addon_map *map, const void *key, void *value) {
  size_t i = find(map, key);
  if (i < map->capacity) {
    map->values[i] = value;
    return true;
  }
  if (map->used + 1 > map->capacity / 2 && !rehash(map)) return false;
  insert(map, key, value);
  return true;
}

void addon_map_remove(addon_map *map, const void *key) {
  size_t i = find(map, key);
  if (i >= map->capacity) return;
  map->keys[i] = ADDON_MAP_DELETED;
  map->values[i] = NULL;
  map->count--;
}

void addon_map_free(addon_map *map) {
  free(map->keys);
  free(map->values);
  *map = (addon_map){0};
}
