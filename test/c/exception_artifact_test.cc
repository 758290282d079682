// exception_artifact_test.cc - C++ exceptions through code of the compiler's own: `program artifact.so export...` calls each export (no parameters, at most 16 results). The imported function named "throw"
// throws, at first directly and then from deeper activations; the C++ caller must catch it, with its registers as they were, and the store must have been charged as if the host function had failed.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <string>

#include "../../runtime-c/include/wasm_aot.h"

#define CHECK_EQUAL(actual, expected) \
  do { \
    long long actual_ = (long long)(actual), expected_ = (long long)(expected); \
    if (actual_ != expected_) { \
      std::fprintf(stderr, "%s:%d: %s: failed: %s is %lld, expected %lld\n", __FILE__, __LINE__, current, #actual, actual_, expected_); \
      std::exit(1); \
    } \
  } while (0)

namespace {

constexpr int MOST_IMPORTS = 8;
constexpr int64_t FUEL = int64_t(1) << 40;

const char *current = "";
int destroyed;
struct Counted {
  ~Counted() { destroyed++; }
};

enum class Way { returns, fails, throws, leaves_thread };

struct Host {
  Way way = Way::returns;
  int depth = 0; // activations that "throw" opens before it does what it is to do
  waot_artifact *artifact = nullptr;
  waot_store *store = nullptr;
  waot_instance *instance = nullptr;
  waot_import_type types[MOST_IMPORTS];
};
Host host;

int call_export(const char *name, waot_value *values) {
  waot_extern export_;
  CHECK_EQUAL(waot_instance_export_named(host.instance, name, &export_), 0);
  return waot_call(host.store, export_.func, values);
}

int host_function(void *data, waot_value *args) {
  const auto *import = static_cast<const waot_import_type *>(data);
  std::memset(args, 0, (import->type->result_count ? import->type->result_count : 1) * sizeof *args);
  if (import->name_length != 5 || std::memcmp(import->name, "throw", 5) != 0 || host.way == Way::returns) return WAOT_STATUS_OK;
  Counted counted;
  if (host.depth-- > 0) {
    waot_value values[16];
    return call_export(current, values);
  }
  if (host.way == Way::throws) throw std::runtime_error("from the host");
  if (host.way == Way::leaves_thread) pthread_exit(nullptr);
  return WAOT_STATUS_HOST_ERROR;
}

void instantiate() {
  waot_extern imports[MOST_IMPORTS];
  waot_error error;
  host.store = waot_store_new();
  const uint32_t count = waot_artifact_import_count(host.artifact);
  CHECK_EQUAL(count <= MOST_IMPORTS, 1);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t type = 0;
    CHECK_EQUAL(waot_artifact_import(host.artifact, i, &host.types[i]), 0);
    while (waot_artifact_type(host.artifact, type) != host.types[i].type) type++;
    imports[i] = waot_extern();
    imports[i].kind = WAOT_EXTERN_FUNC;
    imports[i].func = waot_func_new(host.store, host.artifact, type, host_function, &host.types[i]);
  }
  host.instance = waot_instance_new(host.store, host.artifact, imports, count, nullptr, &error);
  CHECK_EQUAL(host.instance != nullptr, 1);
}

// Calls `current`; returns the status, or -1 after an exception. `consumed`: what it has been charged.
// Numbers that the caller keeps in registers which the callee must save: an unwinder that restores one wrongly changes them.
__attribute__((noinline)) int run(Way way, int depth, int64_t *consumed, volatile const long *seed) {
  const long a = seed[0] * 3, b = seed[1] * 5, c = seed[2] * 7, d = seed[3] * 11, e = seed[4] * 13, f = seed[5] * 17;
  host.way = way;
  host.depth = depth;
  waot_store_set_fuel(host.store, FUEL);
  destroyed = 0;
  int status = -1;
  try {
    waot_value values[16];
    status = call_export(current, values);
  } catch (const std::runtime_error &error) {
    CHECK_EQUAL(std::string(error.what()) == "from the host", 1);
  }
  CHECK_EQUAL(a * 1 + b * 2 + c * 4 + d * 8 + e * 16 + f * 32, seed[0] * 3 + seed[1] * 10 + seed[2] * 28 + seed[3] * 88 + seed[4] * 208 + seed[5] * 544);
  CHECK_EQUAL(waot_thread_depth(), 0);
  *consumed = waot_store_consumed(host.store);
  CHECK_EQUAL(*consumed > 0 && *consumed < FUEL, 1);
  return status;
}

void try_export() {
  static volatile const long seed[6] = {1000003, 2000003, 3000017, 4000037, 5000011, 6000011};
  instantiate(); // once: an emulator takes its time to reserve a memory
  for (int depth = 0; depth < 4; depth++) {
    int64_t failed = 0, thrown = 0, again = 0;
    CHECK_EQUAL(run(Way::fails, depth, &failed, seed), WAOT_STATUS_HOST_ERROR);
    for (int round = 0; round < 4; round++) {
      CHECK_EQUAL(run(Way::throws, depth, &thrown, seed), -1);
      CHECK_EQUAL(destroyed, depth + 1);
      CHECK_EQUAL(thrown, failed);
    }
    CHECK_EQUAL(run(Way::returns, 0, &again, seed), WAOT_STATUS_OK);
  }
  waot_store_delete(host.store);
}

// The end of a thread is an exception too, of libc's own.
void *leave_thread(void *) {
  Counted counted;
  waot_value values[16];
  instantiate();
  waot_store_set_fuel(host.store, FUEL);
  host.way = Way::leaves_thread;
  host.depth = 2;
  destroyed = 0;
  call_export(current, values);
  std::abort(); // not reached
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  waot_error error;
  host.artifact = waot_artifact_open(argv[1], &error);
  if (host.artifact == nullptr) {
    std::fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  for (int i = 2; i < argc; i++) {
    current = argv[i];
    try_export();
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, nullptr, leave_thread, nullptr), 0);
    pthread_join(thread, nullptr);
    CHECK_EQUAL(destroyed, 2 + 1 + 1);
    waot_store_delete(host.store);
  }
  waot_artifact_close(host.artifact);
  std::printf("ok %d functions\n", argc - 2);
  return 0;
}
