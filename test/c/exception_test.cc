// exception_test.cc - C++ exceptions, and a thread's exit, pass from a host function through wasm to the caller of waot_call, and unlink the activations on their way.
#include <cstdio>
#include <cstdlib>
#include <pthread.h>
#include <stdexcept>
#include <string>

#include "../../runtime-c/include/wasm_aot.h"
#include "../../runtime-c/machine.h"

struct guest;
extern "C" {
void guest_open(const char *path);
guest *guest_new(waot_host_fn fn, void *data);
waot_store *guest_store(guest *g);
void guest_delete(guest *g);
int guest_call(guest *g, const char *name, int64_t *value);
int guest_thread_in_wasm(void);
}

#define CHECK_EQUAL(actual, expected) \
  do { \
    long long actual_ = (long long)(actual), expected_ = (long long)(expected); \
    if (actual_ != expected_) { \
      std::fprintf(stderr, "%s:%d: failed: %s is %lld, expected %lld\n", __FILE__, __LINE__, #actual, actual_, expected_); \
      std::exit(1); \
    } \
  } while (0)

namespace {

constexpr int STATUS_OK = 0, STATUS_UNREACHABLE = 1, STATUS_OUT_OF_FUEL = 64;

int destroyed;
struct Counted {
  ~Counted() { destroyed++; }
};

struct State {
  guest *self = nullptr;
  int depth = 0;
  int64_t charge = 0;
  bool leave_thread = false;
};

// Goes `depth` levels deeper through wasm, then throws, or ends the thread.
int host_throw(void *data, waot_value *) {
  State *state = static_cast<State *>(data);
  Counted counted;
  if (state->depth-- > 0) {
    int64_t value = 0;
    return guest_call(state->self, "guest_call_host", &value);
  }
  waot_store_charge(guest_store(state->self), state->charge);
  if (state->leave_thread) pthread_exit(nullptr);
  throw std::runtime_error("from the host");
}

// Throws through depth + 1 activations and checks what is left.
void throw_through(State &state, int depth, int64_t charge) {
  state.depth = depth;
  state.charge = charge;
  destroyed = 0;
  waot_store_set_fuel(guest_store(state.self), 1000);
  std::string caught;
  try {
    int64_t value = 0;
    guest_call(state.self, "guest_call_host", &value);
  } catch (const std::exception &error) {
    caught = error.what();
  }
  CHECK_EQUAL(caught == "from the host", 1);
  CHECK_EQUAL(destroyed, depth + 1);
  CHECK_EQUAL(waot_thread_depth(), 0);
  CHECK_EQUAL(guest_thread_in_wasm(), 0);
  CHECK_EQUAL(waot_store_consumed(guest_store(state.self)), 3 * (depth + 1) + charge);
}

// Catches in the middle: wasm -> host (catches) -> wasm -> host (throws).
int host_catch(void *data, waot_value *args) {
  State *state = static_cast<State *>(data);
  if (state->depth-- == 0) throw 42;
  try {
    int64_t value = 0;
    guest_call(state->self, "guest_call_host", &value);
  } catch (int thrown) {
    CHECK_EQUAL(waot_thread_depth(), 1);
    args[0].i64 = thrown;
    return 0;
  }
  return STATUS_UNREACHABLE;
}

void *leave_thread(void *) {
  State state;
  state.self = guest_new(host_throw, &state);
  state.depth = 3;
  state.leave_thread = true;
  int64_t value = 0;
  guest_call(state.self, "guest_call_host", &value);
  std::abort(); // not reached
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  guest_open(argv[1]);
  State state;
  state.self = guest_new(host_throw, &state);
  for (int round = 0; round < 1000; round++) throw_through(state, round % 10, round % 3);
  std::puts("ok exceptions");

  // The call itself still works, ends loops, and traps.
  waot_store_set_fuel(guest_store(state.self), 100000);
  int64_t value = 0;
  CHECK_EQUAL(guest_call(state.self, "guest_spin", &value), STATUS_OUT_OF_FUEL);
  waot_store_set_fuel(guest_store(state.self), 100000);
  value = 1;
  CHECK_EQUAL(guest_call(state.self, "guest_trap", &value), STATUS_UNREACHABLE);
  std::puts("ok calls after exceptions");

#if defined(__x86_64__)
  constexpr machine_fp_control flush_to_zero = 0x8040;
#else
  constexpr machine_fp_control flush_to_zero = 1 << 24;
#endif
  machine_fp_control before = machine_fp_get(), odd = before | flush_to_zero;
  machine_fp_set(odd);
  throw_through(state, 2, 0);
  machine_fp_control after = machine_fp_get();
  machine_fp_set(before);
  CHECK_EQUAL(after & MACHINE_FP_MASK, odd & MACHINE_FP_MASK);
  std::puts("ok floating-point environment after an exception");
  guest_delete(state.self);

  State middle;
  middle.self = guest_new(host_catch, &middle);
  middle.depth = 1;
  value = 0;
  CHECK_EQUAL(guest_call(middle.self, "guest_call_host", &value), STATUS_OK);
  CHECK_EQUAL(value, 43);
  guest_delete(middle.self);
  std::puts("ok caught between activations");

  destroyed = 0;
  for (int round = 0; round < 10; round++) {
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, nullptr, leave_thread, nullptr), 0);
    pthread_join(thread, nullptr);
  }
  CHECK_EQUAL(destroyed, 10 * 4);
  std::puts("ok pthread_exit in a host function");
  return 0;
}
