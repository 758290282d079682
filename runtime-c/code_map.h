/*
 * code_map.h - which addresses are compiled code, and which are reservations of linear memories.
 *
 * The signal handlers ask (waot_code_contains, waot_guard_contains): lock-free, no allocation, safe while another thread, or the interrupted thread
 * itself, registers or unregisters. Registering takes a lock and allocates; it must not be done in a signal handler.
 */
#ifndef WAOT_CODE_MAP_H
#define WAOT_CODE_MAP_H

#include <stdbool.h>
#include <stddef.h>

/* What is known of the code of an artifact; each may be NULL. */
struct waot_code_tables {
  const void *unwind;                         /* its .eh_frame_hdr */
  const struct waot_owed_row *owed, *owed_end; /* where fuel has not been charged yet: owed.h */
};

/* Declares [start, end) to be the text of an artifact: a tick or a fault whose pc lies there is the runtime's. Registering the same range again counts.
 * Returns 0, or -1 when the range is empty, overlaps another one, or memory is short. */
int waot_code_register(const void *start, const void *end);
/* The same with the text's tables, which must stay readable for as long. */
int waot_code_register_tables(const void *start, const void *end, const struct waot_code_tables *tables);
/* Takes back one registration. To be called before the text is unmapped, when no activation can run it. */
void waot_code_unregister(const void *start, const void *end);
bool waot_code_contains(const void *pc);
/* The tables for code at pc; all NULL where there is no compiled code, or none are known. Like waot_code_contains, for handlers. */
struct waot_code_tables waot_code_tables_at(const void *pc);

/* Declares [base, base + size) to be the reservation of a linear memory: a fault of compiled code there is an out-of-bounds access. Counts like waot_code_register; all
 * reservations must be of one size, and may overlap (one that is gone, but not yet unregistered, and its successor).
 * Returns 0, or -1. */
int waot_guard_register(void *base, size_t size);
/* Takes back one registration. To be called before the reservation is unmapped. */
void waot_guard_unregister(void *base, size_t size);
bool waot_guard_contains(const void *address);

/* For the fork handlers of init.c: locks, unlocks, and re-initialises in the child. */
void waot_code_map_fork_prepare(void);
void waot_code_map_fork_parent(void);
void waot_code_map_fork_child(void);

#endif /* WAOT_CODE_MAP_H */
