/*
 * trip_count.cc - trip counts that hold under a condition.
 *
 * Scalar evolution says how often a loop runs only if that is certain. `for (j = first; j < bound; j += step)` may be endless, for j may jump over the bound and wrap round, or step be 0;
 * wasm has lost what forbade that in the source. So here is a count together with the question, to be asked before the loop, whether it is right.
 *
 * Let f be the counter when the loop first asks whether it goes on, b the bound, s the step, all as unsigned numbers of n bits, and x(k) = f + k s without wrapping. Then
 *
 *     x < b    backedges = ceil(max(b - f, 0) / s)            if s > 0 and b + s <= 2^n: any x that is compared is below b + s, so none wraps, and the first that is not below b ends the loop
 *     x <= b   the same with b + 1, which must not be 2^n
 *              if f - s is known to be below b as well, and the loop entered only then: floor((b - 1 - (f - s)) / s), which is the same number
 *     x != b   backedges = (b - f mod 2^n) / s                if s > 0 divides it: no smaller k makes k s congruent to b - f, since k s is below 2^n
 *
 * Signed comparisons are unsigned ones of x + 2^(n-1), and x > b is ~x < ~b, where ~x moves by -s.
 */
#include "trip_count.h"

#include "llvm/Analysis/ScalarEvolutionExpressions.h"
#include "llvm/IR/Instructions.h"

using namespace llvm;

namespace {

/* A division takes as long as some ten short iterations, and what each of them saves is a part of its time. */
constexpr unsigned TRIPS_TO_DIVIDE = 32;

/* What a loop asks at its latch before it goes back: whether its counter and something else compare so. */
struct Exit {
  CmpInst::Predicate goOn;
  const SCEVAddRecExpr *counter;
  const SCEV *bound;
};

std::optional<Exit> findExit(const Loop &loop, ScalarEvolution &evolution) {
  auto *branch = dyn_cast<BranchInst>(loop.getLoopLatch()->getTerminator());
  auto *compare = branch && branch->isConditional() ? dyn_cast<ICmpInst>(branch->getCondition()) : nullptr;
  if (!compare || !compare->getOperand(0)->getType()->isIntegerTy()) return std::nullopt;
  CmpInst::Predicate goOn = branch->getSuccessor(0) == loop.getHeader() ? compare->getPredicate() : compare->getInversePredicate();
  const SCEV *left = evolution.getSCEV(compare->getOperand(0)), *right = evolution.getSCEV(compare->getOperand(1));
  if (evolution.isLoopInvariant(left, &loop)) std::swap(left, right), goOn = CmpInst::getSwappedPredicate(goOn);
  auto *counter = dyn_cast<SCEVAddRecExpr>(left);
  if (!counter || counter->getLoop() != &loop || !counter->isAffine() || !evolution.isLoopInvariant(right, &loop)) return std::nullopt;
  return Exit{goOn, counter, right};
}

} // namespace

std::optional<TripCount> findTripCount(const Loop &loop, ScalarEvolution &evolution) {
  if (const SCEV *taken = evolution.getBackedgeTakenCount(&loop); !isa<SCEVCouldNotCompute>(taken)) return TripCount{taken, {}, {}};
  std::optional<Exit> exit = findExit(loop, evolution);
  if (!exit || exit->goOn == CmpInst::ICMP_EQ) return std::nullopt;
  const SCEV *first = exit->counter->getStart(), *bound = exit->bound, *step = exit->counter->getStepRecurrence(evolution);
  Type *type = step->getType();
  const SCEV *one = evolution.getOne(type);
  bool equality = exit->goOn == CmpInst::ICMP_NE, orEqual = CmpInst::isNonStrictPredicate(exit->goOn);
  /* Whether the loop is entered only if the counter, before its first step, may go on as well. */
  const SCEV *before = evolution.getMinusSCEV(first, step);
  bool guarded = !equality && evolution.isLoopEntryGuardedByCond(&loop, exit->goOn, before, bound);
  if (guarded) first = before;
  if (CmpInst::isSigned(exit->goOn)) {
    const SCEV *half = evolution.getConstant(APInt::getSignedMinValue(type->getIntegerBitWidth()));
    first = evolution.getAddExpr(first, half), bound = evolution.getAddExpr(bound, half);
  }
  /* A counter that should not equal something rises, unless its step is known to be negative. */
  if (equality ? evolution.isKnownNegative(step) : ICmpInst::isGT(exit->goOn) || ICmpInst::isGE(exit->goOn))
    first = evolution.getNotSCEV(first), bound = evolution.getNotSCEV(bound), step = evolution.getNegativeSCEV(step);
  if (!equality && evolution.isKnownNegative(step)) return std::nullopt; /* away from the bound, to leave by wrapping round */
  if (orEqual) bound = evolution.getAddExpr(bound, one);
  if (guarded) bound = evolution.getMinusSCEV(bound, one);
  const SCEV *distance = evolution.getMinusSCEV(equality || guarded ? bound : evolution.getUMaxExpr(bound, first), first);
  const SCEV *divisor = evolution.isKnownNonZero(step) ? step : evolution.getUMaxExpr(step, one);
  TripCount count = {equality || guarded ? evolution.getUDivExpr(distance, divisor) : evolution.getUDivCeilSCEV(distance, divisor), {}, {}};
  /* With a step of 0: the distance has been divided by 1, and is 0 only where the loop ends at once; and nothing is below 0. b + s <= 2^n is s - 1 < 2^n - b, which is 0 for a bound of 2^n. */
  if (equality) count.holds = {CmpInst::ICMP_EQ, evolution.getMulExpr(count.backedges, step), distance};
  else count.holds = {CmpInst::ICMP_ULT, evolution.getMinusSCEV(step, one), guarded ? evolution.getNotSCEV(bound) : evolution.getNegativeSCEV(bound)};
  if (!isa<SCEVConstant>(divisor)) count.pays = {CmpInst::ICMP_UGE, evolution.getUDivExpr(distance, evolution.getConstant(type, TRIPS_TO_DIVIDE)), step};
  return count;
}
