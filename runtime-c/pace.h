/*
 * pace.h - when a thread has to be ticked next: not before what is left of its fuel could be gone.
 *
 * A tick that finds compiled code notes what is left, and how fast it has gone before. At that rate the rest lasts so long; when half of that has passed, it is time for the next tick, and so ticks get
 * denser towards the limit. Never later than `longest` after the tick: code that begins to consume faster than it did is seen by then.
 *
 * The thread itself writes this, in the tick handler and where the host changes fuel; the checker reads two words of it, at any time. So a wrong or torn reading can at worst be late, and no later than that.
 */
#ifndef WAOT_PACE_H
#define WAOT_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct waot_pace {
  uintptr_t limits; /* those that the last tick found wasm to run under: a name only, for they may be gone. 0: none */
  int64_t due;      /* ns: the tick that comes after this time would be too late */
  int64_t at;       /* ns: time of that tick */
  int64_t longest;  /* ns */
  double rate;      /* units that code consumes in a ns of processor time, a negative number while that is not known */
  int64_t from;     /* where the rate is measured from: the fuel register, to which what the host has changed since is added, so that the difference is what code has consumed ... */
  int64_t used;     /* ... and the processor time that the thread had used, in ns */
};

/* The longest time between two ticks of a thread in compiled code, for a period of the checker, in ns: ten periods if that is no more than 10 ms, else 10 ms or one period, whichever is longer. */
int64_t waot_pace_longest(int64_t period);
/* In the tick handler, at time `now`, when the thread has used so much processor time: compiled code runs under these limits with `fuel` in its register, not above zero. */
void waot_pace_note(struct waot_pace *pace, const void *limits, int64_t fuel, int64_t now, int64_t used, int64_t longest);
/* The host has changed the fuel of these limits. On the thread, outside of compiled code. */
void waot_pace_refuel(struct waot_pace *pace, const void *limits, int64_t before, int64_t after);
/* When the tick of a thread that runs under these limits would be too late, in ns; INT64_MIN while that is not known. Any thread. */
int64_t waot_pace_due(const struct waot_pace *pace, const void *limits);
/* Whether such a thread is to be ticked at time `now`, for in a period it can be too late. Any thread. */
bool waot_pace_is_due(const struct waot_pace *pace, const void *limits, int64_t now, int64_t period);

#endif /* WAOT_PACE_H */
