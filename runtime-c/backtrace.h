/* backtrace.h - walking the frames of compiled code, from signal handlers too. */
#ifndef WAOT_BACKTRACE_H
#define WAOT_BACKTRACE_H

#include "machine.h"
#include "thread.h"

/* Walks from a place in compiled code to the activation's landing; fills in addresses inside the instruction that runs in each frame, innermost first, and returns their
 * number: all, or the innermost `max`. Async-signal-safe: reads the unwind tables of artifacts and the stack between there and the activation, and nothing else. */
uint32_t waot_walk(struct waot_code_place from, const struct waot_activation *activation, uintptr_t *addresses, uint32_t max);
/* In a handler that ends the newest activation of the calling thread: remembers its frames for waot_backtrace(). */
void waot_trace_end(struct waot_thread *thread, struct waot_code_place from);
/* An activation has ended, other than normally: what is remembered is its, or it had no frames to remember. */
void waot_trace_settle(struct waot_thread_record *thread);

#endif /* WAOT_BACKTRACE_H */
