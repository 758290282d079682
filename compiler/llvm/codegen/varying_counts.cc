/*
 * varying_counts.cc - how often an inner loop runs at most, where that changes with the iterations of the loops around it: triangular nests, as in `for (j = i + 1; j < n; j++)`.
 *
 * What version_loops.cc asks once for the whole nest holds for all of its iterations if it is asked of the most that each loop goes back. That is found from the expression of the count: each part of it lies, as an
 * unsigned number, between two numbers that the nest does not change. They are computed in 64 bits, and where a part could wrap round between them, that it does not is a question, asked with the others before the nest:
 *
 *     what the nest does not change   both are itself
 *     a counter                       its values in the first and the last iteration that enter the inner loop, if what lies between them does not wrap
 *     x + y                           the sums; if y is a constant that says "less c", the differences; the sum must be below 2^n, the difference not negative
 *     x times, x / a constant         the products, which must be below 2^n; the quotients
 *     zext x                          those of x
 *     min, max                        the min, the max of both; for the signed ones, all must be below 2^(n-1)
 *     anything else                   what scalar evolution knows of its range, if that is little
 *
 * The first or the last iterations of a triangular nest often leave the inner loop out, and its count, computed there, would be -1: a condition keeps it from being entered. So iterations at both ends are not counted if
 * a condition on the way to the inner loop is known to be false there.
 */
#include "loop_nest.h"

#include "llvm/IR/Instructions.h"

using namespace llvm;

namespace {

/* A range beyond this says nothing that a check would be passed with. */
constexpr uint64_t MAX_RANGE = UINT64_C(1) << 20;
/* Steps, factors and divisors up to here: with numbers below 2^32, and at most 2^29 iterations, no sum or product reaches 2^63. */
constexpr uint64_t MAX_CONSTANT = UINT64_C(1) << 16;
/* Iterations at either end that are tried: an inner loop unrolled by two needs two of its turns. */
constexpr unsigned MAX_SKIPPED = 4;

/* The value of an expression in an iteration of a loop, if it is computed from nothing but its counters and what does not change in it. */
class ValueAt : public SCEVRewriteVisitor<ValueAt> {
public:
  ValueAt(const Loop *loop, const SCEV *iteration, ScalarEvolution &evolution) : SCEVRewriteVisitor(evolution), loop(loop), iteration(iteration) {}

  const SCEV *of(const SCEV *expression) {
    const SCEV *value = visit(expression);
    return known ? value : nullptr;
  }

  const SCEV *visitAddRecExpr(const SCEVAddRecExpr *counter) {
    if (counter->getLoop() == loop && counter->isAffine()) return counter->evaluateAtIteration(iteration, SE);
    return keep(counter);
  }

  const SCEV *visitUnknown(const SCEVUnknown *unknown) { return keep(unknown); }

private:
  const Loop *loop;
  const SCEV *iteration;
  bool known = true;

  const SCEV *keep(const SCEV *expression) {
    known &= SE.isLoopInvariant(expression, loop);
    return expression;
  }
};

const APInt *smallConstant(const SCEV *expression) {
  auto *constant = dyn_cast<SCEVConstant>(expression);
  return constant && constant->getAPInt().abs().ule(MAX_CONSTANT) ? &constant->getAPInt() : nullptr;
}

} // namespace

/* Whether a condition keeps an iteration of a loop from entering the inner one. */
bool LoopNest::isSkipped(const Loop *inner, const Loop *around, const SCEV *iteration) {
  const BasicBlock *entered = inner->getLoopPreheader();
  for (DomTreeNode *node = dominators.getNode(entered); node->getBlock() != around->getHeader();) {
    node = node->getIDom();
    auto *branch = dyn_cast<BranchInst>(node->getBlock()->getTerminator());
    auto *compare = branch && branch->isConditional() ? dyn_cast<ICmpInst>(branch->getCondition()) : nullptr;
    if (!compare || !compare->getOperand(0)->getType()->isIntegerTy()) continue;
    for (unsigned way : {0u, 1u}) {
      if (!dominators.dominates(BasicBlockEdge(node->getBlock(), branch->getSuccessor(way)), entered)) continue;
      ValueAt at(around, iteration, evolution);
      const SCEV *left = at.of(evolution.getSCEV(compare->getOperand(0))), *right = at.of(evolution.getSCEV(compare->getOperand(1)));
      if (left && right && evolution.isKnownPredicate(way == 0 ? compare->getInversePredicate() : compare->getPredicate(), left, right)) return true;
    }
  }
  return false;
}

/* Notes what must hold, unless it is known to. False if it is known not to. */
bool LoopNest::require(CmpInst::Predicate predicate, const SCEV *left, const SCEV *right, SmallVectorImpl<Comparison> &holds) {
  if (evolution.isKnownPredicate(CmpInst::getInversePredicate(predicate), left, right)) return false;
  if (!evolution.isKnownPredicate(predicate, left, right)) holds.push_back({predicate, left, right});
  return true;
}

std::optional<LoopNest::Between> LoopNest::between(const SCEV *value, const Loop *inner, SmallVectorImpl<Comparison> &holds) {
  if (isInvariant(value)) {
    const SCEV *same = evolution.getNoopOrZeroExtend(value, i64);
    return Between{same, same};
  }
  size_t asked = holds.size();
  if (value->getType()->getIntegerBitWidth() <= 32)
    if (std::optional<Between> found = betweenParts(value, inner, holds)) return found;
  if (auto *quotient = dyn_cast<SCEVUDivExpr>(value); quotient && smallConstant(quotient->getRHS()) && smallConstant(quotient->getRHS())->isStrictlyPositive()) {
    const SCEV *divisor = evolution.getNoopOrZeroExtend(quotient->getRHS(), i64);
    if (std::optional<Between> x = between(quotient->getLHS(), inner, holds)) return Between{evolution.getUDivExpr(x->least, divisor), evolution.getUDivExpr(x->most, divisor)};
  }
  if (auto *extended = dyn_cast<SCEVZeroExtendExpr>(value))
    if (std::optional<Between> x = between(extended->getOperand(), inner, holds)) return x;
  holds.truncate(asked);
  const SCEV *guarded = evolution.applyLoopGuards(value, inner);
  APInt most = evolution.getUnsignedRangeMax(guarded);
  if (most.ugt(MAX_RANGE)) return std::nullopt;
  return Between{evolution.getConstant(i64, evolution.getUnsignedRangeMin(guarded).getZExtValue()), evolution.getConstant(i64, most.getZExtValue())};
}

/* Of what has at most 32 bits and changes in the nest. */
std::optional<LoopNest::Between> LoopNest::betweenParts(const SCEV *value, const Loop *inner, SmallVectorImpl<Comparison> &holds) {
  unsigned bits = value->getType()->getIntegerBitWidth();
  if (auto *counter = dyn_cast<SCEVAddRecExpr>(value)) return betweenEnds(counter, inner, holds);
  auto *several = dyn_cast<SCEVNAryExpr>(value);
  if (!several || !isa<SCEVAddExpr, SCEVMulExpr, SCEVMinMaxExpr>(value)) return std::nullopt;
  std::optional<Between> all;
  const APInt *constant = nullptr;
  for (const SCEV *operand : several->operands()) {
    if (!isa<SCEVMinMaxExpr>(value) && isa<SCEVConstant>(operand)) {
      if (!(constant = smallConstant(operand))) return std::nullopt;
      continue;
    }
    std::optional<Between> x = between(operand, inner, holds);
    if (!x || (all && isa<SCEVMulExpr>(value))) return std::nullopt;
    if (!all) all = x;
    else if (isa<SCEVAddExpr>(value)) all = {evolution.getAddExpr(all->least, x->least), evolution.getAddExpr(all->most, x->most)};
    else if (isa<SCEVUMinExpr, SCEVSMinExpr>(value)) all = {evolution.getUMinExpr(all->least, x->least), evolution.getUMinExpr(all->most, x->most)};
    else all = {evolution.getUMaxExpr(all->least, x->least), evolution.getUMaxExpr(all->most, x->most)};
    if (isa<SCEVSMinExpr, SCEVSMaxExpr>(value) && !require(CmpInst::ICMP_ULT, x->most, evolution.getConstant(i64, UINT64_C(1) << (bits - 1)), holds)) return std::nullopt;
  }
  if (constant && isa<SCEVAddExpr>(value)) {
    const SCEV *more = evolution.getConstant(i64, (uint64_t)constant->getSExtValue(), true);
    all = {evolution.getAddExpr(all->least, more), evolution.getAddExpr(all->most, more)};
    if (constant->isNegative() && !require(CmpInst::ICMP_SGE, all->least, evolution.getZero(i64), holds)) return std::nullopt;
  } else if (constant) {
    if (!constant->isStrictlyPositive()) return std::nullopt;
    const SCEV *factor = evolution.getConstant(i64, constant->getZExtValue());
    all = {evolution.getMulExpr(all->least, factor), evolution.getMulExpr(all->most, factor)};
  }
  return require(CmpInst::ICMP_ULT, all->most, evolution.getConstant(i64, UINT64_C(1) << bits), holds) ? all : std::nullopt;
}

std::optional<LoopNest::Between> LoopNest::betweenEnds(const SCEVAddRecExpr *counter, const Loop *inner, SmallVectorImpl<Comparison> &holds) {
  int number = numberOf(counter->getLoop());
  const APInt *step = counter->isAffine() ? smallConstant(counter->getStepRecurrence(evolution)) : nullptr;
  if (number < 0 || !step || !isInvariant(counter->getStart())) return std::nullopt;
  const NestLoop &loop = loops[number];
  unsigned first = 0, skipped = 0;
  while (first < MAX_SKIPPED && isSkipped(inner, loop.loop, evolution.getConstant(i64, first))) first++;
  auto beforeLast = [&] { return evolution.getMinusSCEV(loop.most, evolution.getConstant(i64, skipped)); };
  if (loop.most == loop.backedges) /* or which iteration is the last differs */
    while (skipped < MAX_SKIPPED && isSkipped(inner, loop.loop, beforeLast())) skipped++;
  const SCEV *start = evolution.getZeroExtendExpr(counter->evaluateAtIteration(evolution.getConstant(i64, first), evolution), i64);
  const SCEV *turns = evolution.getMinusSCEV(beforeLast(), evolution.getConstant(i64, first));
  const SCEV *end = evolution.getAddExpr(start, evolution.getMulExpr(turns, evolution.getConstant(i64, (uint64_t)step->getSExtValue(), true)));
  if (step->isNegative()) return require(CmpInst::ICMP_SGE, end, evolution.getZero(i64), holds) ? std::optional<Between>({end, start}) : std::nullopt;
  const SCEV *beyond = evolution.getConstant(i64, UINT64_C(1) << counter->getType()->getIntegerBitWidth());
  return require(CmpInst::ICMP_SLT, end, beyond, holds) ? std::optional<Between>({start, end}) : std::nullopt;
}

const SCEV *LoopNest::mostOf(const SCEV *count, const Loop *inner, SmallVectorImpl<Comparison> &holds) {
  std::optional<Between> found = between(count, inner, holds);
  return found && evolution.getUnsignedRangeMin(found->most).ule(MAX_BACKEDGES) ? found->most : nullptr;
}
