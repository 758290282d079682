/* trip_count.h - how often a loop runs when that is known only under a condition: see trip_count.cc. */
#ifndef WAOT_TRIP_COUNT_H
#define WAOT_TRIP_COUNT_H

#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/ScalarEvolution.h"

#include <optional>

/* A question about values that do not change in a loop. */
struct Comparison {
  llvm::CmpInst::Predicate predicate;
  const llvm::SCEV *left, *right;
};

struct TripCount {
  const llvm::SCEV *backedges;       /* how often the backedge is taken, in the width of the loop's counter; can always be computed */
  std::optional<Comparison> holds;   /* whether `backedges` is right; always if absent */
  std::optional<Comparison> pays;    /* to ask before `backedges` is computed: whether the iterations are worth a division. Absent where there is none */
};

/* The number of times that a loop with one exit, at its latch, goes back. Nothing if its exit is not a comparison of a counter. */
std::optional<TripCount> findTripCount(const llvm::Loop &loop, llvm::ScalarEvolution &evolution);

#endif
