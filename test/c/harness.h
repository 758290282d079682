/*
 * harness.h - what the C tests of the runtime share: checks, and a guest made of guest.ll by hand, without a compiler or an artifact.
 *
 * A test program is run as `program guest.so [case...]`; it runs its cases (or the named ones), prints a line for each, and exits with 1 at the first failed check.
 */
#ifndef WAOT_TEST_HARNESS_H
#define WAOT_TEST_HARNESS_H

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../runtime-c/code_map.h"
#include "../../runtime-c/internal.h"
#include "../../runtime-c/thread.h"
#include "emulated.h"

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      exit(1); \
    } \
  } while (0)
#define CHECK_EQUAL(actual, expected) \
  do { \
    long long actual_ = (long long)(actual), expected_ = (long long)(expected); \
    if (actual_ != expected_) { \
      fprintf(stderr, "%s:%d: failed: %s is %lld, expected %lld\n", __FILE__, __LINE__, #actual, actual_, expected_); \
      exit(1); \
    } \
  } while (0)

struct test_case {
  const char *name;
  void (*run)(void);
};

/* What guest.ll knows of a vmctx. */
struct guest_vmctx {
  struct waot_vmctx head;
  struct waot_vm_memory memory;  /* at 64 */
  struct waot_vm_import import;  /* at 80 */
};
_Static_assert(offsetof(struct guest_vmctx, memory) == 64 && offsetof(struct guest_vmctx, import) == 80, "guest.ll");

/* One store with one instance of the guest. */
struct guest {
  waot_store *store;
  waot_memory *memory;
  struct waot_memory *memories[1];
  struct waot_table_object *tables[1]; /* ten elements */
  uint64_t data_lengths[1], elem_lengths[1]; /* of a segment of 16 bytes, and of one of four nulls */
  uint64_t *elem_values[1];
  const waot_type *types[1];           /* an array of bytes */
  struct waot_artifact artifact;       /* has nothing but the types */
  struct waot_instance instance;
  struct guest_vmctx vmctx;
  struct waot_host host;
  struct waot_func func; /* filled anew by guest_call */
};

extern void *guest_library;

/* Loads the guest and registers its text, as opening an artifact does. */
void guest_open(const char *path);
/* Also starts the runtime, with the period in the environment variable WAOT_TEST_TICK_US if there is one. The store has unlimited fuel; the memory one page
 * of at most ten. fn is the imported host function. */
void guest_init(struct guest *g, waot_host_fn fn, void *data);
void guest_free(struct guest *g);
/* For C++, which cannot read the runtime's internal headers: the same on the heap. */
struct guest *guest_new(waot_host_fn fn, void *data);
waot_store *guest_store(struct guest *g);
void guest_delete(struct guest *g);
/* Non-zero when the thread's record says that wasm runs on it. */
int guest_thread_in_wasm(void);
/* Calls a function of guest.ll; the result replaces *value. */
int guest_call(struct guest *g, const char *name, int64_t *value);
/* The same with a limit of `fuel`; checks status and consumed fuel. */
void guest_expect(struct guest *g, const char *name, int64_t argument, int64_t fuel, int status, int64_t consumed);
double now_ns(void);
/* Whether the environment variable WAOT_TEST_SKIP, names separated by semicolons, names this case. */
bool is_skipped(const char *name);
/* Runs the named cases, or all but those whose names are in the environment variable WAOT_TEST_SKIP, separated by semicolons; returns main's result. */
int run_cases(int argc, char **argv, const struct test_case *cases, size_t count);

#endif /* WAOT_TEST_HARNESS_H */
