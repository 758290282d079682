/* addon_interrupt.c - stopping wasm from outside: flags, deadlines, identities of stores, the end of the environment; and the signals that all of it rests on. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>

#include "addon.h"

/* storeInterrupt(store, why: set of WAOT_INTERRUPT_*, on: boolean) */
napi_value addon_store_interrupt(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  uint32_t why = 0;
  bool on = true;
  if (!addon_args(env, info, 3, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  if (s == NULL) return NULL;
  napi_get_value_uint32(env, argv[1], &why);
  napi_get_value_bool(env, argv[2], &on);
  if (on) waot_store_interrupt_for(s->store, why);
  else waot_store_clear_interrupt_for(s->store, why & ~WAOT_INTERRUPT_ENDING);
  return addon_undefined(env);
}

/* storeInterrupts(store): the set in force */
napi_value addon_store_interrupts(napi_env env, napi_callback_info info) {
  napi_value argv[1], result = NULL;
  if (!addon_args(env, info, 1, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  if (s != NULL) napi_create_uint32(env, waot_store_interrupts(s->store), &result);
  return result;
}

/* storeDeadline(store, ns: bigint or undefined): the deadline before, which a bigint replaces; ns of CLOCK_MONOTONIC (process.hrtime), 0n for none */
napi_value addon_store_deadline(napi_env env, napi_callback_info info) {
  napi_value argv[2], result = NULL;
  int64_t ns = 0;
  bool lossless = false;
  if (!addon_args(env, info, 2, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  if (s == NULL) return NULL;
  napi_create_bigint_int64(env, waot_store_deadline(s->store), &result);
  if (napi_get_value_bigint_int64(env, argv[1], &ns, &lossless) == napi_ok) waot_store_set_deadline(s->store, ns);
  return result;
}

/* storeId(store): bigint, never that of another store of the process */
napi_value addon_store_id(napi_env env, napi_callback_info info) {
  napi_value argv[1], result = NULL;
  if (!addon_args(env, info, 1, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  if (s != NULL) napi_create_bigint_uint64(env, waot_store_id(s->store), &result);
  return result;
}

/* interruptById(id: bigint, why): whether that store, of any thread, still lives */
napi_value addon_interrupt_by_id(napi_env env, napi_callback_info info) {
  napi_value argv[2], result = NULL;
  uint64_t id = 0;
  uint32_t why = 0;
  bool lossless = false;
  if (!addon_args(env, info, 2, argv)) return NULL;
  if (napi_get_value_bigint_uint64(env, argv[0], &id, &lossless) != napi_ok || !lossless) id = 0; /* which no store has */
  napi_get_value_uint32(env, argv[1], &why);
  napi_get_boolean(env, waot_interrupt_by_id(id, why) == 0, &result);
  return result;
}

/* configure(tickUs: number, tickSignal: number): 0 for the default; throws when the runtime runs already with other values */
napi_value addon_configure(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  waot_config config = {0, 0};
  waot_error error;
  if (!addon_args(env, info, 2, argv)) return NULL;
  napi_get_value_uint32(env, argv[0], &config.tick_us);
  napi_get_value_int32(env, argv[1], &config.tick_signal);
  if (waot_init(&config, &error) != 0) return addon_throw_error(addon_env_of(env), &error);
  return addon_undefined(env);
}

/* handlersCheck(): puts our signal handlers first; the tick signal if somebody has put a handler over ours since the last time, else 0 */
napi_value addon_handlers_check(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value result = NULL;
  waot_handlers_check();
  napi_create_int32(env, waot_signal_clash(), &result);
  return result;
}

/*
 * Whether the environment is being ended: by worker.terminate(), or by process.exit() of the main thread, which then waits for this one. Asked by ticks that find the thread in
 * compiled code (waot_thread_set_poll), so not in the middle of V8. Node says so by refusing what could run JavaScript, before it looks at the arguments; these are
 * missing, so that nothing else can come of it.
 */
static int is_ending(void *data) {
  napi_env env = ((addon_env *)data)->env;
  bool pending = true;
  if (napi_is_exception_pending(env, &pending) != napi_ok || pending) return 0;
  return napi_has_own_property(env, NULL, NULL, NULL) != napi_invalid_arg;
}

/*
 * V8 finds the traps of its own WebAssembly by SIGSEGV too, and loses them when a program calls process.on('SIGSEGV'): libuv's handler only makes a note, and the fault happens
 * again for ever. Ours is there in any case, so it asks V8 first (v8::TryHandleWebAssemblyTrapPosix, by its C++ name).
 */
#define V8_TRY_HANDLE "_ZN2v829TryHandleWebAssemblyTrapPosixEiP9siginfo_tPv"
static bool (*v8_try_handle)(int signal, void *info, void *context);
static int v8_filter(int signal, void *info, void *context) { return v8_try_handle(signal, info, context); }

void addon_ask_v8_first(void) {
  v8_try_handle = (bool (*)(int, void *, void *))dlsym(RTLD_DEFAULT, V8_TRY_HANDLE);
  if (v8_try_handle != NULL) waot_set_fault_filter(v8_filter); /* else as Node does it by itself */
}

void addon_watch_ending(addon_env *e) { waot_thread_set_poll(is_ending, e); }
void addon_unwatch_ending(void) { waot_thread_set_poll(NULL, NULL); }
