/* interrupt.h - the registry of stores, and what the checker and fork need of it. The rest of interrupt.c is public: see include/wasm_aot.h. */
#ifndef WAOT_INTERRUPT_H
#define WAOT_INTERRUPT_H

#include "internal.h"
#include "thread.h"

/* Gives a new store its identity, and makes it reachable by that; ends both. */
void waot_store_register(struct waot_store *store);
void waot_store_unregister(struct waot_store *store);
/* The checker's: whether a store has a deadline; interrupts those whose deadline has passed. */
bool waot_deadlines_are_any(void);
void waot_deadlines_check(void);
/* What ticks and the checker look at, for code of the runtime's own that works long for the newest activation of the calling thread, with `running` clear: whether that is to end, by a
 * request, its deadline or the thread's end. False where there is no activation. */
bool waot_interrupt_check(const struct waot_thread_record *thread);
/* Adds reasons for an interruption. Async-signal-safe. */
void waot_interrupt_add(struct waot_limits *limits, uint32_t why);
/* A store's limit has changed; a new store's was INT64_MAX. */
void waot_interrupt_limit_changed(int64_t before, int64_t now);
/* Whether a store of the process is interrupted; has limited fuel. */
bool waot_interrupt_is_any(void);
bool waot_interrupt_is_any_limited(void);
/* The clock of deadlines and ticks. Async-signal-safe. */
int64_t waot_now_ns(void);
/* For the fork handlers of init.c. */
void waot_interrupt_fork_prepare(void);
void waot_interrupt_fork_parent(void);
void waot_interrupt_fork_child(void);

#endif /* WAOT_INTERRUPT_H */
