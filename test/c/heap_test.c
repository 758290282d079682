/* The garbage-collected heap through the runtime's own functions: what is kept, what is freed, limits, stores that share a heap, and random graphs against a model. */
#define _GNU_SOURCE 1
#include <alloca.h>
#include <pthread.h>
#include <ucontext.h>

#include "../../runtime-c/heap.h"
#include "fixture.h"

/* --- types: a pair of references and a number; arrays of references, of bytes, of v128; a pair with an externref --------- */

enum { PAIR, REFS, BYTES, VECTORS, MIXED, TYPES };
static const waot_type *types[TYPES];

struct pair {
  struct waot_object head;
  uint64_t left, right, number;
};
struct mixed {
  struct waot_object head;
  uint64_t any, host;
};
#define PTR(object) ((struct pair *)(void *)waot_ref_object(object))
#define ELEMENTS(type, array) ((type *)(void *)(waot_ref_object(array) + 1))
#define ADDRESS(array) (void *)(uintptr_t)(array)

static void make_types(void) {
  static const uint8_t anyrefs[] = {WAOT_VALTYPE_ANYREF, WAOT_VALTYPE_ANYREF, WAOT_VALTYPE_I64}, externs[] = {WAOT_VALTYPE_ANYREF, WAOT_VALTYPE_EXTERNREF};
  static const uint8_t bytes[] = {WAOT_PACKED_I8}, vectors[] = {WAOT_VALTYPE_V128}, mutables[] = {1, 1, 1};
  static const uint32_t offsets[] = {16, 24, 32};
#define FIELDS(kind_, count, codes, size_, refs_) \
  {.kind = kind_, .is_final = 1, .supertype = UINT32_MAX, .param_count = count, .valtypes = ADDRESS(codes), .size = size_, .ref_count = refs_, .mutables = ADDRESS(mutables), .offsets = ADDRESS(offsets), .ref_offsets = ADDRESS(offsets)}
  const struct waot_type_desc descs[TYPES] = {
    FIELDS(WAOT_TYPE_STRUCT, 3, anyrefs, 40, 2), FIELDS(WAOT_TYPE_ARRAY, 1, anyrefs, 8, 1), FIELDS(WAOT_TYPE_ARRAY, 1, bytes, 1, 0), FIELDS(WAOT_TYPE_ARRAY, 1, vectors, 16, 0),
    FIELDS(WAOT_TYPE_STRUCT, 2, externs, 32, 2),
  };
  if (waot_types_intern(descs, TYPES, types) != 0) die("types");
}

static uint64_t new_pair(waot_store *store, uint64_t left, uint64_t right, uint64_t number) {
  uint64_t ref = waot_struct_new(store, types[PAIR], false);
  if (ref == 0) die("heap exhausted");
  PTR(ref)->left = left;
  PTR(ref)->right = right;
  PTR(ref)->number = number;
  return ref;
}

static uint64_t objects(waot_store *store) {
  waot_heap_stats stats;
  waot_store_heap_stats(store, &stats);
  return stats.objects;
}

/* Overwrites what calls have left on the stack below. */
__attribute__((noinline)) static void clear_stack(void) {
  volatile char *space = alloca(1 << 16);
  for (int i = 0; i < 1 << 16; i++) space[i] = 0;
}

static uint64_t collected(waot_store *store) {
  clear_stack();
  if (waot_store_collect(store) != 0) die("no collection");
  return objects(store);
}

/* --- structures ----------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static uint64_t list_of(waot_store *store, uint64_t length) {
  uint64_t list = 0;
  for (uint64_t i = 0; i < length; i++) list = new_pair(store, list, 0, i);
  return list;
}

static bool is_list_of(uint64_t list, uint64_t length) {
  for (; length > 0; list = PTR(list)->left) {
    if (list == 0 || PTR(list)->head.type != types[PAIR] || PTR(list)->number != --length) return false;
  }
  return list == 0;
}

/* A tree in which each node's number is its place; built while its parts are in local variables only. */
__attribute__((noinline)) static uint64_t tree_of(waot_store *store, int depth, uint64_t place) {
  if (depth == 0) return 0;
  uint64_t left = tree_of(store, depth - 1, place * 2), right = tree_of(store, depth - 1, place * 2 + 1);
  return new_pair(store, left, right, place);
}

static bool is_tree_of(uint64_t tree, int depth, uint64_t place) {
  if (depth == 0) return tree == 0;
  return tree != 0 && PTR(tree)->number == place && is_tree_of(PTR(tree)->left, depth - 1, place * 2) && is_tree_of(PTR(tree)->right, depth - 1, place * 2 + 1);
}

__attribute__((noinline)) static void make_cycles(waot_store *store, int count) {
  for (int i = 0; i < count; i++) {
    uint64_t a = new_pair(store, 0, 0, 1), b = new_pair(store, a, a, 2);
    PTR(a)->left = b;
    PTR(a)->right = a;
  }
}

__attribute__((noinline)) static void drop_lists(waot_store *store, int count) {
  for (int i = 0; i < count; i++) list_of(store, 100);
}

static void structures(void) {
  waot_store *store = waot_store_new();
  uint64_t list = list_of(store, 200000);
  CHECK("a long list is kept by a local variable", collected(store) >= 200000 && is_list_of(list, 200000));
  drop_lists(store, 1000);
  CHECK("what is dropped is freed", collected(store) < 210000 && is_list_of(list, 200000));
  make_cycles(store, 50000);
  CHECK("cycles are freed", collected(store) < 201000);
  uint64_t tree = tree_of(store, 16, 1);
  make_cycles(store, 50000);
  CHECK("a tree is kept", collected(store) >= 200000 + 65535 && is_tree_of(tree, 16, 1) && is_list_of(list, 200000));
  waot_heap_stats stats;
  waot_store_heap_stats(store, &stats);
  CHECK("the heap is not much larger than what is in it", stats.live >= 265535 * 48 && stats.held < stats.live * 3);
  waot_store_delete(store);
}

__attribute__((noinline)) static uint64_t few(waot_store *store) {
  uint64_t array = waot_array_new(store, types[REFS], 300, false);
  for (int i = 0; i < 300; i++) {
    uint64_t pair = new_pair(store, 0, 0, (uint64_t)i);
    ELEMENTS(uint64_t, array)[i] = pair;
  }
  return array;
}

/* A collection before each allocation, which spoils what it frees. */
static void stress(void) {
  waot_store *store = waot_store_new();
  waot_heap_set_stress(1);
  uint64_t tree = tree_of(store, 9, 1), list = list_of(store, 500), array = few(store);
  bool is_right = is_tree_of(tree, 9, 1) && is_list_of(list, 500);
  for (int i = 0; i < 300; i++) is_right = is_right && PTR(ELEMENTS(uint64_t, array)[i])->number == (uint64_t)i;
  CHECK("with a collection before each allocation, all is there", is_right);
  make_cycles(store, 200);
  CHECK("and nothing more", collected(store) < 511 + 500 + 301 + 20);
  waot_heap_set_stress(0);
  waot_store_delete(store);
}

/* --- sizes ------------------------------------------------------------------------------------------------------------ */

static bool holds(uint64_t array, uint32_t length, uint8_t byte) {
  const uint8_t *at = ELEMENTS(uint8_t, array);
  for (uint32_t i = 0; i < length; i++) {
    if (at[i] != byte) return false;
  }
  return waot_ref_object(array)->length == length;
}

/* Arrays of bytes of many sizes, each filled with its own number; then half of them dropped, and their cells used again. */
static void sizes(void) {
  enum { COUNT = 160 };
  waot_store *store = waot_store_new();
  uint64_t all = waot_array_new(store, types[REFS], COUNT, false), *refs = ELEMENTS(uint64_t, all);
  uint32_t lengths[COUNT];
  bool is_right = true;
  for (uint32_t i = 0; i < COUNT; i++) lengths[i] = i < 100 ? i * 7 : i < 150 ? i * i * 8 : i * i * i;
  for (int round = 0; round < 4; round++) {
    for (uint32_t i = 0; i < COUNT; i++) {
      if (round > 0 && (i + (uint32_t)round) % 2 != 0) continue;
      uint64_t array = waot_array_new(store, types[BYTES], lengths[i], false);
      is_right = is_right && array % 16 == 0 && holds(array, lengths[i], 0);
      memset(ELEMENTS(uint8_t, array), (int)i + 1, lengths[i]);
      refs[i] = array;
    }
    is_right = is_right && collected(store) < COUNT + 20;
    for (uint32_t i = 0; i < COUNT; i++) is_right = is_right && holds(refs[i], lengths[i], (uint8_t)(i + 1));
  }
  CHECK("objects of all sizes keep their contents, new ones are of zeros", is_right);
  uint64_t vectors = waot_array_new(store, types[VECTORS], 3, false);
  CHECK("vectors are aligned", (uintptr_t)ELEMENTS(waot_value, vectors) % 16 == 0 && waot_ref_object(vectors)->length == 3);
  waot_store_delete(store);
}

/* The only trace of an object is an address inside it. */
static void inside(void) {
  waot_store *store = waot_store_new();
  static const uint32_t lengths[] = {40, 5000, 20000, 3000000};
  bool is_right = true;
  for (int i = 0; i < 4; i++) {
    volatile uint8_t *at = ELEMENTS(uint8_t, waot_array_new(store, types[BYTES], lengths[i], false)) + lengths[i] - 1;
    *at = 77;
    uint64_t before = collected(store);
    is_right = is_right && before >= 1 && *at == 77 && heap_find(store->heap, (uintptr_t)at).object != NULL;
  }
  CHECK("an address inside keeps an object", is_right);
  struct heap_place nothing = heap_find(store->heap, (uintptr_t)&store);
  CHECK("other addresses are of nothing", nothing.object == NULL && heap_find(store->heap, 0).object == NULL && heap_find(store->heap, UINTPTR_MAX).object == NULL);
  waot_store_delete(store);
}

/* A reference that is in one register only while a collection runs. */
static void registers(void) {
  waot_store *store = waot_store_new();
  list_of(store, 1);
  bool is_right = true;
  for (int i = 0; i < 3; i++) {
    uint64_t hidden = ~new_pair(store, 0, 0, 42);
    clear_stack();
#if defined(__x86_64__)
    uint64_t ref;
    __asm__ volatile("movq %1, %%rbx\n notq %%rbx\n movq %2, %%rdi\n call *%3\n movq %%rbx, %0" : "=&r"(ref) : "r"(hidden), "r"(store), "r"(waot_store_collect)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
#else
    uint64_t ref;
    __asm__ volatile("mvn x9, %1\n fmov d9, x9\n mov x9, xzr\n mov x0, %2\n blr %3\n fmov %0, d9" : "=&r"(ref) : "r"(hidden), "r"(store), "r"(waot_store_collect)
                     : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x30", "v9", "memory", "cc");
#endif
    is_right = is_right && ref == ~hidden && waot_heap_contains(store, ref) && PTR(ref)->number == 42;
  }
  CHECK("a register keeps an object", is_right);
  waot_store_delete(store);
}

/* --- roots ------------------------------------------------------------------------------------------------------------ */

static void visit(void *data, uint64_t handle) { *(uint64_t *)data += handle; }

/* In each place at once a list that nothing else refers to; references are kept as their complement in between. */
__attribute__((noinline)) static void fill_places(waot_store *store, waot_table *table, waot_table *hosts, waot_global *global, waot_root **root) {
  waot_value value = {.ref = list_of(store, 1000)};
  waot_table_set(table, 1, list_of(store, 1000));
  waot_table_set(hosts, 0, waot_extern_from_any(store, list_of(store, 1000)));
  waot_global_set(global, &value);
  *root = waot_root_new(store, list_of(store, 1000));
}

static void roots(void) {
  waot_store *store = waot_store_new();
  waot_value null = {.ref = 0}, value;
  waot_table *table = waot_table_new_typed(store, WAOT_VALTYPE_ANYREF, NULL, 2, 2, 0), *hosts = waot_table_new(store, WAOT_VALTYPE_EXTERNREF, 2, 2, 0);
  waot_global *global = waot_global_new_typed(store, WAOT_VALTYPE_REF_NULL_TYPE, types[PAIR], 1, &null);
  waot_root *root;
  uint64_t ref, extern_ref;
  fill_places(store, table, hosts, global, &root);
  uint64_t count = collected(store);
  waot_table_get(table, 1, &ref);
  waot_table_get(hosts, 0, &extern_ref);
  waot_global_get(global, &value);
  CHECK("tables, globals and roots keep what they refer to", count >= 4000 && count < 4020 && is_list_of(ref, 1000) && is_list_of(value.ref, 1000) && is_list_of(waot_root_ref(root), 1000));
  CHECK("so do externalised references", waot_any_from_extern(store, extern_ref) == (extern_ref & ~WAOT_EXTERNALISED) && is_list_of(waot_any_from_extern(store, extern_ref), 1000));
  ref = extern_ref = value.ref = 0;
  waot_table_set(table, 1, 0);
  waot_table_set(hosts, 0, 0);
  waot_global_set(global, &null);
  waot_root_delete(root);
  waot_root_new(store, new_pair(store, 0, 0, 5)); /* the store's to delete */
  CHECK("and free it", collected(store) < 1020);
  waot_store_delete(store);
}

static void hosts_values(void) {
  waot_store *store = waot_store_new();
  uint64_t mixed = waot_struct_new(store, types[MIXED], false);
  ((struct mixed *)(void *)waot_ref_object(mixed))->any = waot_any_from_extern(store, 1000);
  ((struct mixed *)(void *)waot_ref_object(mixed))->host = 20000;
  uint64_t any = waot_any_from_extern(store, 300000), seen = 0;
  CHECK("a host's handle goes into the any hierarchy and back", waot_any_kind(any) == WAOT_REF_HOST && waot_extern_from_any(store, any) == 300000);
  waot_store_visit_externrefs(store, visit, &seen);
  CHECK("the host is told of the handles in objects", seen == 321000 && waot_any_kind(any) == WAOT_REF_HOST);
  CHECK("null stays null", waot_any_from_extern(store, 0) == 0 && waot_extern_from_any(store, 0) == 0 && waot_any_kind(0) == WAOT_REF_NULL);
  bool is_right = true;
  for (int32_t i = -2; i <= 2; i++) {
    uint64_t i31 = waot_any_from_i31(i), there = waot_extern_from_any(store, i31);
    is_right = is_right && waot_any_kind(i31) == WAOT_REF_I31 && waot_any_i31(i31) == i && waot_any_from_extern(store, there) == i31 && i31 >> 32 == 0;
  }
  CHECK("31-bit integers keep their sign", is_right && waot_any_i31(waot_any_from_i31(0x7fffffff)) == -1);
  uint64_t forged = WAOT_EXTERNALISED | 0x1230, boxed = waot_any_from_extern(store, forged);
  CHECK("a handle that looks like an object is one of the host's", waot_any_kind(boxed) == WAOT_REF_HOST && waot_extern_from_any(store, boxed) == forged);
  CHECK("types of references", waot_ref_is(any, WAOT_VALTYPE_ANYREF, NULL) && !waot_ref_is(any, WAOT_VALTYPE_EQREF, NULL) && waot_ref_is(mixed, WAOT_VALTYPE_REF_TYPE, types[MIXED]) &&
                                 !waot_ref_is(mixed, WAOT_VALTYPE_REF_TYPE, types[PAIR]) && waot_ref_is(mixed, WAOT_VALTYPE_STRUCTREF, NULL) && !waot_ref_is(mixed, WAOT_VALTYPE_ARRAYREF, NULL) &&
                                 waot_ref_is(waot_any_from_i31(3), WAOT_VALTYPE_I31REF, NULL) && !waot_ref_is(waot_any_from_i31(3), WAOT_VALTYPE_STRUCTREF, NULL) &&
                                 waot_ref_is(0, WAOT_VALTYPE_NULLREF, NULL) && !waot_ref_is(0, WAOT_VALTYPE_REF_ANY, NULL));
  waot_store_delete(store);
}

/* --- running out ------------------------------------------------------------------------------------------------------ */

/* Allocates lists of 100, which the table keeps, until the heap is exhausted; then drops them. Returns how many objects there were. */
__attribute__((noinline)) static uint64_t fill_up(waot_store *store, waot_table *table) {
  uint64_t count = 0;
  for (uint64_t list = 0, next; (next = waot_struct_new(store, types[PAIR], false)) != 0; count++) {
    PTR(next)->left = count % 100 == 0 ? 0 : list;
    list = next;
    waot_table_set(table, count / 100, list);
  }
  for (uint64_t i = 0; i < waot_table_length(table); i++) waot_table_set(table, i, 0);
  return count;
}

static void limits(void) {
  waot_store *store = waot_store_new();
  waot_heap_stats stats;
  waot_table *table = waot_table_new_typed(store, WAOT_VALTYPE_ANYREF, NULL, 1000, 1000, 0);
  waot_store_set_heap_limit(store, 3 << 20);
  uint64_t first = fill_up(store, table);
  waot_store_heap_stats(store, &stats);
  CHECK("the limit holds", stats.limit == 3 << 20 && stats.held <= stats.limit && first * 48 > stats.limit * 9 / 10);
  uint64_t second = fill_up(store, table);
  CHECK("what is dropped makes room", second > first * 9 / 10);
  CHECK("an object above the limit", waot_array_new(store, types[BYTES], 4 << 20, false) == 0 && waot_array_new(store, types[VECTORS], UINT32_MAX, false) == 0 && waot_array_new(store, types[BYTES], UINT64_C(1) << 32, false) == 0);
  CHECK("one below it", waot_array_new(store, types[BYTES], 1 << 19, false) != 0);
  waot_store_set_heap_limit(store, 0);
  waot_store_delete(store);
  store = waot_store_new();
  waot_store_set_heap_limit(store, 0);
  CHECK("no heap at all", waot_struct_new(store, types[PAIR], false) == 0 && waot_store_heap_limit(store) == 0);
  waot_store_set_heap_limit(store, 1);
  CHECK("a limit is a whole number of MiB", waot_struct_new(store, types[PAIR], false) != 0 && waot_store_heap_limit(store) == 1 << 20);
  waot_store_delete(store);
}

/* Wide and deep, with a list of work to do that has no room. */
static void overflow(void) {
  waot_store *store = waot_store_new();
  bool is_right = true;
  uint64_t wide = waot_array_new(store, types[REFS], 5000, false), tree = tree_of(store, 12, 1);
  for (int i = 0; i < 5000; i++) {
    uint64_t list = list_of(store, 3);
    ELEMENTS(uint64_t, wide)[i] = list;
  }
  for (size_t room = 1; room < 4; room++) {
    waot_heap_work_max = room;
    make_cycles(store, 1000);
    uint64_t count = collected(store);
    is_right = is_right && count >= 20001 + 4095 - 5000 && count < 20100 && is_tree_of(tree, 12, 1);
    for (int i = 0; i < 5000; i++) is_right = is_right && is_list_of(ELEMENTS(uint64_t, wide)[i], 3);
  }
  waot_heap_work_max = 0;
  CHECK("a collection needs no memory", is_right);
  waot_store_delete(store);
}

/* --- several stores, other stacks ------------------------------------------------------------------------------------- */

__attribute__((noinline)) static void put_list(waot_store *store, waot_table *table, uint64_t i) { waot_table_set(table, i, list_of(store, 1000)); }

static void linked_stores(void) {
  waot_store *a = waot_store_new(), *b = waot_store_new(), *c = waot_store_new();
  waot_table *table = waot_table_new_typed(b, WAOT_VALTYPE_ANYREF, NULL, 3, 3, 0);
  uint64_t ref;
  put_list(b, table, 0);
  CHECK("stores are linked", waot_store_link(a, b) == 0 && waot_store_link(b, c) == 0 && waot_store_link(c, a) == 0 && a->heap == b->heap && a->heap == c->heap);
  put_list(a, table, 1);
  put_list(c, table, 2);
  clear_stack();
  CHECK("one keeps the objects of another", collected(a) >= 3000 && objects(b) == objects(a));
  waot_store_delete(c);
  waot_store_delete(a);
  bool is_right = collected(b) >= 3000;
  for (uint64_t i = 0; i < 3; i++) {
    waot_table_get(table, i, &ref);
    is_right = is_right && is_list_of(ref, 1000);
  }
  CHECK("also when that is gone", is_right);
  waot_store_delete(b);
}

static void *on_thread(void *data) {
  waot_store *store = data;
  uint64_t list = list_of(store, 1000);
  int before = waot_store_collect(store);
  waot_error error;
  if (waot_init(NULL, &error) != 0) die(error.message);
  uint64_t *out = calloc(2, sizeof *out);
  out[0] = before == -1 && waot_store_collect(store) == 0 && is_list_of(list, 1000);
  return out;
}

static ucontext_t here, other;
static waot_store *other_store;
static bool other_result;
static void on_other_stack(void) {
  uint64_t list = list_of(other_store, 300000); /* beyond the first threshold */
  other_result = waot_store_collect(other_store) == -1 && is_list_of(list, 300000);
  swapcontext(&other, &here);
}

static void stacks(void) {
  waot_store *store = waot_store_new();
  pthread_t thread;
  void *result;
  if (pthread_create(&thread, NULL, on_thread, store) != 0 || pthread_join(thread, &result) != 0) die("thread");
  CHECK("a store on another thread: nothing is freed before its stack is known", *(uint64_t *)result == 1);
  free(result);
  other_store = store;
  void *stack = malloc(1 << 17);
  getcontext(&other);
  other.uc_stack.ss_sp = stack;
  other.uc_stack.ss_size = 1 << 17;
  makecontext(&other, on_other_stack, 0);
  swapcontext(&here, &other);
  CHECK("nor on a stack of the program's own", other_result);
  free(stack);
  waot_store_delete(store);
}

/* --- random graphs ---------------------------------------------------------------------------------------------------- */

enum { NODES = 3000, SLOTS = 40 };
static struct { uint64_t ref; int left, right; } model[NODES]; /* references as their complement, so that they keep nothing */
static int slots[SLOTS];
static bool seen[NODES];

static uint64_t random_number(void) {
  static uint64_t state = 88172645463325252;
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

/* Whether a node and all below it are as the model has them. */
static bool is_as_modelled(int node) {
  while (node >= 0 && !seen[node]) {
    struct pair *pair = PTR(~model[node].ref);
    int left = model[node].left, right = model[node].right;
    seen[node] = true;
    if (pair->head.type != types[PAIR] || pair->number != (uint64_t)node) return false;
    if (pair->left != (left < 0 ? 0 : ~model[left].ref) || pair->right != (right < 0 ? 0 : ~model[right].ref) || !is_as_modelled(left)) return false;
    node = right;
  }
  return true;
}

__attribute__((noinline)) static void random_step(waot_store *store, waot_table *table, int node) {
  int at = (int)(random_number() % SLOTS), left = slots[random_number() % SLOTS], right = slots[random_number() % SLOTS];
  uint64_t ref = new_pair(store, left < 0 ? 0 : ~model[left].ref, right < 0 ? 0 : ~model[right].ref, (uint64_t)node);
  model[node].ref = ~ref;
  model[node].left = left;
  model[node].right = right;
  slots[at] = node;
  waot_table_set(table, (uint64_t)at, ref);
  if (node % 3 == 0 && left >= 0) { /* a cycle, and something else let go */
    model[left].left = node;
    PTR(~model[left].ref)->left = ref;
  }
  if (node % 5 == 0) {
    slots[(at + 1) % SLOTS] = -1;
    waot_table_set(table, (uint64_t)(at + 1) % SLOTS, 0);
  }
}

static void random_graphs(void) {
  bool is_right = true;
  uint64_t most = 0;
  for (int round = 0; round < 4; round++) {
    waot_store *store = waot_store_new();
    waot_table *table = waot_table_new_typed(store, WAOT_VALTYPE_ANYREF, NULL, SLOTS, SLOTS, 0);
    waot_heap_set_stress(round % 2);
    waot_heap_work_max = round < 2 ? 0 : 2;
    for (int i = 0; i < SLOTS; i++) slots[i] = -1;
    for (int node = 0; node < NODES && is_right; node++) {
      random_step(store, table, node);
      if (node % 100 != 99) continue;
      uint64_t left_alive = collected(store), reachable = 0;
      memset(seen, 0, sizeof seen);
      for (int i = 0; i < SLOTS; i++) is_right = is_right && is_as_modelled(slots[i]);
      for (int i = 0; i < NODES; i++) reachable += seen[i];
      is_right = is_right && left_alive >= reachable;
      if (left_alive - reachable > most) most = left_alive - reachable;
    }
    waot_heap_set_stress(0);
    waot_heap_work_max = 0;
    waot_store_delete(store);
  }
  CHECK("random graphs are what the model says", is_right);
  CHECK("and little else is kept", most < 1000);
}

int main(void) {
  waot_error error;
  if (waot_init(NULL, &error) != 0) die(error.message);
  make_types();
  structures();
  stress();
  sizes();
  inside();
  registers();
  roots();
  hosts_values();
  limits();
  overflow();
  linked_stores();
  stacks();
  random_graphs();
  return failures != 0;
}
