/* pace_test.c - when threads are ticked (runtime-c/pace.c), on a clock of the test's own: never late beyond what is promised, however code consumes its fuel, and rarely where there is much left. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#include <math.h>

#include "../../runtime-c/pace.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)
#define S INT64_C(1000000000)

static const int64_t periods[] = { 50 * US, 100 * US, 500 * US, MS, 3 * MS, 10 * MS, 25 * MS, S };
#define PERIODS (sizeof periods / sizeof periods[0])
static const int limits, other_limits; /* their addresses are all that matters */

/* A thread in compiled code, and a checker that looks at it. */
struct run {
  struct waot_pace pace;
  int64_t period, longest, now;
  double used; /* processor time */
  double fuel; /* consumed - limit */
  double rate; /* units a ns that code consumes now */
  int64_t exhausted_at;
  int scans, ticks;
};

static struct run begin(int64_t period, double limit, double rate) {
  return (struct run){ .period = period, .longest = waot_pace_longest(period), .now = 5 * S, .fuel = -limit, .rate = rate };
}

/* Code runs for so long, with this share of a processor. */
static void share(struct run *r, int64_t ns, double part) {
  double left = -r->fuel, rate = r->rate * part;
  if (r->fuel <= 0 && rate * (double)ns > left) r->exhausted_at = r->now + (int64_t)(left / rate);
  r->fuel += rate * (double)ns;
  r->used += part * (double)ns;
  r->now += ns;
}
static void consume(struct run *r, int64_t ns) { share(r, ns, 1); }

/* A scan of the checker. Returns whether it ended the run. */
static bool scan(struct run *r) {
  r->scans++;
  if (!waot_pace_is_due(&r->pace, &limits, r->now, r->period)) return false;
  r->ticks++;
  if (r->fuel > 0) return true;
  waot_pace_note(&r->pace, &limits, (int64_t)r->fuel, r->now, (int64_t)r->used, r->longest);
  return false;
}

/* Changes the fuel as a host does. */
static void set_fuel(struct run *r, double fuel) {
  waot_pace_refuel(&r->pace, &limits, (int64_t)r->fuel, (int64_t)fuel);
  r->fuel = fuel;
}

/* Runs to the end, for which there is fuel enough for `most` scans at the most; returns how late that was seen. */
static int64_t lateness(struct run *r, int most) {
  for (int i = 0; i < most; i++) {
    consume(r, r->period);
    if (scan(r)) return r->now - r->exhausted_at;
  }
  CHECK(false);
  return 0;
}

static uint64_t state = 1;
static double random_between(double low, double high) {
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return low + (high - low) * (double)(state >> 11) / (double)(UINT64_C(1) << 53);
}
static double random_scale(double low, double high) { return exp2(random_between(log2(low), log2(high))); }

static void test_longest(void) {
  CHECK_EQUAL(waot_pace_longest(50 * US), 500 * US);
  CHECK_EQUAL(waot_pace_longest(MS), 10 * MS);
  CHECK_EQUAL(waot_pace_longest(2 * MS), 10 * MS);
  CHECK_EQUAL(waot_pace_longest(10 * MS), 10 * MS);
  CHECK_EQUAL(waot_pace_longest(25 * MS), 25 * MS);
  CHECK_EQUAL(waot_pace_longest(S), S);
}

/* Code that consumes evenly, a unit a microsecond or more, is found in the period in which its fuel went, whatever its limit; and so is code that doubles its rate. */
static void test_steady(void) {
  for (int i = 0; i < repeats(20000); i++) {
    struct run r = begin(periods[i % PERIODS], 0, random_scale(1e-3, 1e4));
    double lasts = random_scale(1, (double)r.period * 300);
    r.fuel = -floor(lasts * r.rate);
    consume(&r, (int64_t)random_between(0, (double)r.period)); /* the first scan comes at any time after the entry */
    if (scan(&r)) continue;
    int64_t late = lateness(&r, 400);
    CHECK(late <= r.period);
    r = begin(r.period, lasts * r.rate, r.rate);
    for (int scans = (int)random_between(2, 300); scans > 0 && r.fuel < 0; scans--) {
      consume(&r, r.period);
      if (scan(&r)) break;
    }
    if (r.fuel > 0) continue;
    r.rate *= 2;
    CHECK(lateness(&r, 400) <= r.period);
  }
}

/* The same on a machine that is busy with others: there are periods without a processor, and others in part. */
static void test_busy(void) {
  for (int i = 0; i < repeats(20000); i++) {
    struct run r = begin(periods[i % PERIODS], 0, random_scale(1e-2, 1e4));
    r.fuel = -floor(random_scale(1, (double)r.period * 300) * r.rate);
    bool ended = false;
    while (!ended) {
      double part = random_between(0, 3);
      share(&r, r.period, part < 1 ? 0 : part < 2 ? part - 1 : 1);
      ended = scan(&r);
    }
    CHECK(r.now - r.exhausted_at <= r.period);
  }
}

/* Slow first and fast afterwards: in the longest time between two ticks at the latest. So is any other code, with a checker that is itself late now and then. */
static void test_unsteady(void) {
  int64_t latest[PERIODS] = { 0 };
  for (int i = 0; i < repeats(20000); i++) {
    struct run r = begin(periods[i % PERIODS], 1e9, 1e-4);
    for (int scans = (int)random_between(1, 60); scans > 0; scans--) {
      consume(&r, r.period);
      CHECK(!scan(&r));
    }
    consume(&r, (int64_t)random_between(0, (double)r.period / 4));
    r.rate = 1e4; /* the rest is gone in 0.1 ms */
    int64_t late = lateness(&r, 20000);
    CHECK(late < r.longest + r.period / 4);
    if (late > latest[i % PERIODS]) latest[i % PERIODS] = late;
    r = begin(r.period, random_scale(1, 1e12), 0);
    int64_t held_up = 0, worst = 0;
    for (bool ended = false; !ended;) {
      r.rate = random_scale(1e-6, 1e6);
      for (int scans = (int)random_between(1, 30); scans > 0 && !ended; scans--) {
        held_up = random_between(0, 1) < 0.1 ? (int64_t)random_between(0, (double)r.period * 3) : 0;
        if (held_up > worst) worst = held_up;
        consume(&r, r.period + held_up);
        ended = scan(&r);
      }
    }
    CHECK(r.now - r.exhausted_at <= r.longest + worst);
  }
  CHECK(latest[3] > 8 * MS); /* 1 ms: the bound is not idle */
}

/* Where there is much left, most ticks are spared. */
static void test_spared(void) {
  for (size_t i = 0; i < PERIODS; i++) {
    struct run r = begin(periods[i], 9e18, 3);
    for (int scans = 0; scans < 1000; scans++) {
      consume(&r, r.period);
      CHECK(!scan(&r));
    }
    int64_t per_tick = r.longest / r.period;
    CHECK(r.ticks >= 1000 / per_tick && r.ticks <= 1000 / per_tick + 3);
  }
  struct run r = begin(MS, 1e6 * 100, 1); /* 100 ms */
  CHECK(lateness(&r, 200) <= MS);
  CHECK(r.scans >= 100 && r.ticks < 30);
}

/* What the host does to the fuel is known at once, and does not disturb what is known of the rate. */
static void test_host(void) {
  struct run r = begin(MS, 1e9, 1);
  for (int scans = 0; scans < 50; scans++) {
    consume(&r, r.period);
    CHECK(!scan(&r));
  }
  CHECK(!waot_pace_is_due(&r.pace, &limits, r.now, r.period) && waot_pace_is_due(&r.pace, &other_limits, r.now, r.period)); /* of these nothing is known */
  struct run known = r;
  set_fuel(&r, -1e5); /* what is left for 0.1 ms: a small limit for another call, or a charge */
  CHECK(waot_pace_is_due(&r.pace, &limits, r.now, r.period));
  consume(&r, r.period);
  CHECK(scan(&r));
  r = known;
  set_fuel(&r, 7); /* charged beyond the limit */
  CHECK(waot_pace_is_due(&r.pace, &limits, r.now, r.period));
  set_fuel(&r, -1e9); /* and refuelled */
  CHECK(!waot_pace_is_due(&r.pace, &limits, r.now, r.period));
  r = known;
  waot_pace_refuel(&r.pace, &other_limits, -5, 7); /* not this one's */
  CHECK(!waot_pace_is_due(&r.pace, &limits, r.now, r.period));
  waot_pace_refuel(&r.pace, &limits, INT64_MAX, -INT64_MAX); /* a difference that does not fit: forgotten */
  CHECK(waot_pace_is_due(&r.pace, &limits, r.now, r.period));
  consume(&r, r.period);
  CHECK(!scan(&r) && waot_pace_is_due(&r.pace, &limits, r.now, r.period));
  /* Fuel in small portions, for 30 periods each: as few ticks as for a large one, and in time at the end. */
  r = known;
  r.ticks = 0;
  for (int scans = 0; scans < 1000; scans++) {
    set_fuel(&r, -3e7);
    consume(&r, r.period);
    CHECK(!scan(&r));
  }
  CHECK(r.ticks < 120);
  for (int portion = 1; portion < 10; portion++) {
    known = r;
    set_fuel(&known, -1e6 * portion + 3e5);
    CHECK(lateness(&known, 100) <= MS);
  }
}

/* What is known does not last: after a pause there is a tick in the first period; the rate stays, but where the thread has been busy with something else it is measured anew. */
static void test_pause(void) {
  struct run r = begin(MS, 1e9, 10);
  for (int busy = 0; busy < 2; busy++) {
    for (int scans = 0; scans < 30; scans++) {
      consume(&r, r.period);
      CHECK(!scan(&r));
    }
    r.now += S;
    r.used += busy ? (double)S : 1000;
    CHECK(waot_pace_is_due(&r.pace, &limits, r.now, r.period));
    int before = r.ticks;
    for (int scans = 0; scans < 2; scans++) {
      consume(&r, r.period);
      CHECK(!scan(&r));
    }
    CHECK_EQUAL(r.ticks, before + 1 + busy);
  }
  CHECK(lateness(&r, 100) <= MS);
  /* Fuel that another thread has added meanwhile says nothing of the rate. */
  r = begin(MS, 1e9, 10);
  for (int scans = 0; scans < 30; scans++) {
    consume(&r, r.period);
    CHECK(!scan(&r));
  }
  while (!waot_pace_is_due(&r.pace, &limits, r.now, r.period)) consume(&r, r.period);
  r.fuel = (double)r.pace.from - 1e6;
  CHECK(!scan(&r) && waot_pace_is_due(&r.pace, &limits, r.now, r.period));
}

/* Code that pays for a whole loop of some periods before it runs stands still in between, and all the same is known to get on: few of its ends are seen later than in that time. */
static void test_lumps(void) {
  enum { LUMP = 4 };
  const int runs = repeats(20000);
  double sum = 0;
  for (int i = 0; i < runs; i++) {
    struct run r = begin(MS, floor(random_scale(1e6, 1e9)), 0);
    for (int scans = 0;; scans++) {
      if (scans % LUMP == 0) {
        if (r.fuel <= 0 && r.fuel + LUMP * 1e6 > 0) r.exhausted_at = r.now;
        r.fuel += LUMP * 1e6;
      }
      consume(&r, r.period);
      if (scan(&r)) break;
    }
    sum += (double)(r.now - r.exhausted_at);
  }
  CHECK(sum / runs < 3 * (double)MS);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
    { "the longest time between two ticks", test_longest },
    { "steady code is found in its period", test_steady },
    { "the same on a busy machine", test_busy },
    { "any code is found in time", test_unsteady },
    { "ticks are spared", test_spared },
    { "the host changes fuel", test_host },
    { "pauses", test_pause },
    { "loops that are paid for at once", test_lumps },
  };
  return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
