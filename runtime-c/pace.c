/* pace.c - see pace.h. Nothing here allocates, locks or asks for the time: the tick handler calls it, and tests make time up. */
#include "pace.h"

#define LONGEST_PERIODS 10
#define LONGEST_NS INT64_C(10000000)
/* Of the time that the rest would last, the part that may pass without a look. Half: code may double its rate and still be seen in time. */
#define PART 0.5
#define UNKNOWN (-1.0)
/* A rate is measured over processor time of at least the longest time between two ticks divided by one of these - in less, signals and the kernel were most of it -, and at most multiplied by the other:
 * in more, something else than wasm was. */
#define MEASURED_PART 20
#define MEASURED_TIMES 2

int64_t waot_pace_longest(int64_t period) {
  int64_t periods = period < LONGEST_NS / LONGEST_PERIODS ? period * LONGEST_PERIODS : LONGEST_NS;
  return periods > period ? periods : period;
}

static void set_due(struct waot_pace *pace, int64_t due) { __atomic_store_n(&pace->due, due, __ATOMIC_SEQ_CST); }

/* With `fuel` in the register at pace->at, or later. The thread may not get a processor all the time: then the rest lasts longer. */
static int64_t due_at(const struct waot_pace *pace, int64_t fuel) {
  if (pace->rate < 0 || fuel >= 0) return pace->at;
  double rest = -(double)fuel * PART; /* in ns times the rate, which can be zero */
  return rest < (double)pace->longest * pace->rate ? pace->at + (int64_t)(rest / pace->rate) : pace->at + pace->longest;
}

/* Measures the rate, if it is time to, and begins to measure anew. */
static void measure(struct waot_pace *pace, int64_t fuel, int64_t used) {
  int64_t time = used - pace->used, consumed;
  if (time >= 0 && time < pace->longest / MEASURED_PART) return;
  if (time < 0 || time > pace->longest * MEASURED_TIMES || __builtin_sub_overflow(fuel, pace->from, &consumed) || consumed < 0) {
    pace->rate = UNKNOWN; /* consumed less than nothing: another thread has run the store in turns with this one, and refuelled it */
  } else {
    double measured = (double)consumed / (double)time;
    /* Rises at once and falls slowly: code that pays for a whole loop at once seems to stand still in between. */
    pace->rate = measured > pace->rate ? measured : (3 * pace->rate + measured) / 4;
  }
  pace->from = fuel;
  pace->used = used;
}

void waot_pace_note(struct waot_pace *pace, const void *limits, int64_t fuel, int64_t now, int64_t used, int64_t longest) {
  pace->at = now;
  pace->longest = longest;
  if (pace->limits == (uintptr_t)limits) {
    measure(pace, fuel, used);
  } else {
    set_due(pace, 0); /* before the new name, with which nothing may be read that was meant for the old one */
    __atomic_store_n(&pace->limits, (uintptr_t)limits, __ATOMIC_SEQ_CST);
    pace->rate = UNKNOWN;
    pace->from = fuel;
    pace->used = used;
  }
  set_due(pace, due_at(pace, fuel));
}

void waot_pace_refuel(struct waot_pace *pace, const void *limits, int64_t before, int64_t after) {
  int64_t change;
  if (pace->limits != (uintptr_t)limits) return;
  if (__builtin_sub_overflow(after, before, &change) || __builtin_add_overflow(pace->from, change, &pace->from)) {
    set_due(pace, 0);
    __atomic_store_n(&pace->limits, 0, __ATOMIC_SEQ_CST);
    return;
  }
  set_due(pace, due_at(pace, after));
}

int64_t waot_pace_due(const struct waot_pace *pace, const void *limits) {
  if (__atomic_load_n(&pace->limits, __ATOMIC_SEQ_CST) != (uintptr_t)limits) return INT64_MIN;
  return __atomic_load_n(&pace->due, __ATOMIC_SEQ_CST);
}

bool waot_pace_is_due(const struct waot_pace *pace, const void *limits, int64_t now, int64_t period) { return now + period > waot_pace_due(pace, limits); }
