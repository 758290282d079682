/* interrupt.h - the registry of stores, and what the checker and fork need of it. The rest of interrupt.c is public: see include/wasm_aot.h. */
#ifndef WAOT_INTERRUPT_H
#define WAOT_INTERRUPT_H

#include "internal.h"

/* Gives a new store its identity, and makes it reachable by that; ends both. */
void waot_store_register(struct waot_store *store);
void waot_store_unregister(struct waot_store *store);
/* The checker's: interrupts the stores whose deadline has passed. */
void waot_deadlines_check(void);
/* For the fork handlers of init.c. */
void waot_interrupt_fork_prepare(void);
void waot_interrupt_fork_parent(void);
void waot_interrupt_fork_child(void);

#endif /* WAOT_INTERRUPT_H */
