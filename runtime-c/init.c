/* init.c - waot_init, fork, versions and messages. */
#include "code_map.h"
#include "interrupt.h"
#include "thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TICK_US 1000
#define LEAST_TICK_US 50
#define MOST_TICK_US 1000000

#define VERSION "0.1.0" /* that of package.json */
#define TEXT_OF(number) #number
#define TEXT(macro) TEXT_OF(macro)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool initialised;
static waot_config active;

/* All locks of the runtime, in the order in which a thread takes those that it holds together: none is held by a thread that the child does not have. */
static void fork_prepare(void) {
  pthread_mutex_lock(&lock);
  waot_artifact_fork_prepare();
  waot_type_fork_prepare();
  waot_heap_fork_prepare();
  waot_checker_fork_prepare();
  waot_code_map_fork_prepare();
  waot_interrupt_fork_prepare();
  waot_signals_fork_prepare();
}

static void fork_parent(void) {
  waot_signals_fork_parent();
  waot_interrupt_fork_parent();
  waot_code_map_fork_parent();
  waot_checker_fork_parent();
  waot_heap_fork_parent();
  waot_type_fork_parent();
  waot_artifact_fork_parent();
  pthread_mutex_unlock(&lock);
}

static void fork_child(void) {
  waot_interrupt_fork_child();
  waot_code_map_fork_child();
  waot_checker_fork_child();
  waot_handlers_fork_child(); /* signals.c, too */
  waot_heap_fork_child();
  waot_type_fork_child();
  waot_artifact_fork_child();
  pthread_mutex_init(&lock, NULL);
}

/* How a signal is called relative to the first real-time one, for messages; empty where there are none. */
static struct signal_name { char text[24]; } relative_name(int signal) {
  struct signal_name name = { "" };
#if defined(SIGRTMIN)
  snprintf(name.text, sizeof name.text, " (SIGRTMIN%+d)", signal - SIGRTMIN);
#else
  (void)signal;
#endif
  return name;
}

/* Under the lock. What succeeded before a failure stays, harmlessly; a second attempt finds it done. */
static int start(const waot_config *config, waot_error *error) {
  static bool fork_handled;
  if (waot_threads_init() != 0) return waot_error_set(error, WAOT_ERROR_MEMORY, 0, "no thread-local key is left for the thread records");
  if (!fork_handled && pthread_atfork(fork_prepare, fork_parent, fork_child) != 0) {
    return waot_error_set(error, WAOT_ERROR_MEMORY, 0, "out of memory for the fork handlers");
  }
  fork_handled = true;
  /* Before the checker, which sends that signal only to threads in wasm; and there are none yet. */
  int refused = waot_handlers_install(config->tick_signal);
  if (refused) {
    return waot_error_set(error, WAOT_ERROR_SIGNAL, 0,
                          "the tick signal %d%s already has a handler in this process: choose another one, by tick_signal or the environment variable WASM_AOT_TICK_SIGNAL", refused, relative_name(refused).text);
  }
  int failed = waot_checker_start(config->tick_us);
  if (failed) return waot_error_set(error, WAOT_ERROR_MEMORY, 0, "cannot start the checker thread: %s", strerror(failed));
  return 0;
}

/* The number in an environment variable; "SIGRTMIN+n" and "SIGRTMAX-n" where a signal is wanted. `none` when it is unset or empty, -1 when it is nothing of the kind. */
static long from_environment(const char *name, bool is_signal, long none) {
  const char *text = getenv(name);
  if (!text || !*text) return none;
  long base = 0;
#if defined(SIGRTMIN)
  if (is_signal && strncmp(text, "SIGRTMIN", 8) == 0) base = SIGRTMIN;
  if (is_signal && strncmp(text, "SIGRTMAX", 8) == 0) base = SIGRTMAX;
#else
  (void)is_signal;
#endif
  if (base && text[8] == '\0') return base;
  if (base && text[8] != '+' && text[8] != '-') return -1;
  char *end;
  long number = strtol(base ? text + 8 : text, &end, 10);
  return *end == '\0' && number > -1000000000 && number < 1000000000 ? base + number : -1;
}

/* What the environment says, else the defaults. */
static int defaults(waot_config *wanted, waot_error *error) {
  long tick_us = from_environment("WASM_AOT_TICK_US", false, DEFAULT_TICK_US);
  long tick_signal = from_environment("WASM_AOT_TICK_SIGNAL", true, waot_os_default_tick());
  if (tick_us < LEAST_TICK_US || tick_us > MOST_TICK_US) {
    return waot_error_set(error, WAOT_ERROR_ARGUMENT, 0, "the environment variable WASM_AOT_TICK_US is \"%.40s\": it must be %d to %d", getenv("WASM_AOT_TICK_US"), LEAST_TICK_US, MOST_TICK_US);
  }
  if (!waot_os_can_tick((int)tick_signal)) {
    return waot_error_set(error, WAOT_ERROR_ARGUMENT, 0, "the environment variable WASM_AOT_TICK_SIGNAL is \"%.40s\": it must be %s", getenv("WASM_AOT_TICK_SIGNAL"), waot_os_tick_words().text);
  }
  *wanted = (waot_config){ (uint32_t)tick_us, (int)tick_signal };
  return 0;
}

static int check(const waot_config *config, waot_error *error) {
  if (config->tick_us < LEAST_TICK_US || config->tick_us > MOST_TICK_US) {
    return waot_error_set(error, WAOT_ERROR_ARGUMENT, 0, "tick_us is %u: it must be %d to %d", config->tick_us, LEAST_TICK_US, MOST_TICK_US);
  }
  if (!waot_os_can_tick(config->tick_signal)) {
    return waot_error_set(error, WAOT_ERROR_ARGUMENT, 0, "tick_signal is %d: it must be %s", config->tick_signal, waot_os_tick_words().text);
  }
  return 0;
}

int waot_init(const waot_config *config, waot_error *error) {
  waot_config wanted;
  if (defaults(&wanted, error) != 0) return -1;
  if (config && config->tick_us) wanted.tick_us = config->tick_us;
  if (config && config->tick_signal) wanted.tick_signal = config->tick_signal;
  if (check(&wanted, error) != 0) return -1;
  pthread_mutex_lock(&lock);
  int result = 0;
  if (!initialised) {
    result = start(&wanted, error);
    if (result == 0) {
      initialised = true;
      active = wanted;
    }
  } else if (config && (wanted.tick_us != active.tick_us || wanted.tick_signal != active.tick_signal)) {
    result = waot_error_set(error, WAOT_ERROR_ARGUMENT, 0, "the runtime already runs with tick_us %u and tick_signal %d", active.tick_us, active.tick_signal);
  }
  pthread_mutex_unlock(&lock);
  if (result == 0 && !waot_thread_attach()) {
    result = waot_error_set(error, WAOT_ERROR_MEMORY, 0,
                            "this thread cannot run wasm: no memory for a signal stack, or its stack has no bounds that can be found and guarded");
  }
  return result;
}

const char *waot_version(void) { return "wasm-aot runtime " VERSION ", ABI " TEXT(WAOT_ABI_VERSION); }
uint32_t waot_abi_version(void) { return WAOT_ABI_VERSION; }

const char *waot_status_message(int status) {
  switch (status) {
#define CASE(code, name, message) case code: return message;
    WAOT_STATUS_TABLE(CASE)
#undef CASE
    default: return "unknown status";
  }
}
