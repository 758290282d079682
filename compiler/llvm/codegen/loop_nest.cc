/*
 * loop_nest.cc - takes a nest of counted loops apart: see loop_nest.h for what comes out, and version_loops.cc for what it is for.
 *
 * Requirements on every loop of the nest: one exit, at the latch; a backedge-taken count that is known (trip_count.h), and that does not change in the nest or is known to be at most (varying_counts.cc); no call but charges and
 * functions without effects. On every volatile access: its address is the base of a memory, plus an index, plus a constant, and the index is a sum as struct Stream describes it.
 */
#include "loop_nest.h"
#include "passes.h"
#include "../../../runtime-c/abi.h"

#include "llvm/Analysis/CFG.h"
#include "llvm/Analysis/LoopIterator.h"
#include "llvm/IR/Module.h"
#include "llvm/Transforms/Utils/LoopUtils.h"
#include "llvm/Transforms/Utils/ScalarEvolutionExpander.h"

using namespace llvm;

namespace {

/* Larger loops gain little, and are doubled in size. */
constexpr unsigned MAX_INSTRUCTIONS = 512;
/* Each stream is checked by a handful of instructions before the loop. */
constexpr unsigned MAX_STREAMS = 24;
/* Cost of all charges together; with the bound on iterations, the bill stays below 2^62. */
constexpr uint64_t MAX_ITERATION_COST = UINT64_C(1) << 30;
/* The most that the unknown part of an index may vary: beyond tables of a program's own, the check would fail anyway. */
constexpr uint64_t MAX_SLACK = UINT64_C(1) << 24;

} // namespace

/* An index while it is taken apart. `wideFalls`: a step outside the zero-extended part may be negative. */
struct LoopNest::Index {
  bool narrow = false, wideFalls = false, exact = true;
  const SCEV *narrowStart = nullptr, *wideStart = nullptr;
  int64_t wideConstant = 0;
  SmallVector<Step, 2> steps;
  uint64_t slack = 0;
};

LoopNest::LoopNest(Function &function, LoopInfo &info, DominatorTree &dominators, ScalarEvolution &evolution)
    : function(function), info(info), dominators(dominators), evolution(evolution), i64(Type::getInt64Ty(function.getContext())) {}

bool LoopNest::analyse(Loop *loop) {
  loops.clear(), streams.clear(), accesses.clear();
  outermost = loop, anyCharge = nullptr, iterationCost = 0;
  if (!loop->isRecursivelyLCSSAForm(dominators, info) || !addLoops(loop, -1, 1)) return false;
  /* Every cycle must be one of the loops: a charge in another would be paid more than once an iteration. */
  LoopBlocksRPO order(loop);
  order.perform(&info);
  if (containsIrreducibleCFG<const BasicBlock *>(order, info)) return false;
  unsigned count = 0;
  for (BasicBlock *block : loop->blocks()) {
    NestLoop &inner = loops[numberOf(info.getLoopFor(block))];
    for (Instruction &inst : *block) {
      inner.own++;
      if (++count > MAX_INSTRUCTIONS || !analyseInstruction(inst, inner)) return false;
    }
  }
  findEnds();
  for (Stream &stream : streams) stream.inside = isInside(stream);
  inside = all_of(streams, [](const Stream &stream) { return stream.inside; });
  return (inside || worthwhile()) && (anyCharge || !accesses.empty()) && iterationCost <= MAX_ITERATION_COST && streams.size() <= MAX_STREAMS;
}

bool LoopNest::addLoops(Loop *loop, int parent, unsigned depth) {
  BasicBlock *latch = loop->getLoopLatch(), *exit = loop->getExitBlock();
  if (depth > MAX_DEPTH || !loop->isLoopSimplifyForm() || loop->getExitingBlock() != latch || !exit) return false;
  if (parent >= 0 && !loops[parent].loop->contains(exit)) return false;
  std::optional<TripCount> count = findTripCount(*loop, evolution);
  if (!count || count->backedges->getType()->getIntegerBitWidth() > 64) return false;
  const SCEV *taken = evolution.getNoopOrZeroExtend(count->backedges, i64);
  SmallVector<Comparison, 1> bounds;
  const SCEV *most = mostOf(taken, loop, bounds);
  if (!most || !areInvariant(count->holds) || !areInvariant(count->pays)) return false;
  if (most != taken && (count->holds || count->pays || !SCEVExpander(evolution, "waot").isSafeToExpandAt(taken, loop->getLoopPreheader()->getTerminator()))) return false;
  bool always = parent < 0 || dominators.dominates(loop->getHeader(), loops[parent].loop->getLoopLatch());
  int number = (int)loops.size();
  loops.push_back({loop, parent, taken, most, bounds, always, count->holds, count->pays});
  return all_of(*loop, [&](Loop *inside) { return addLoops(inside, number, depth + 1); });
}

/* Not when all loops together are known to run a few times only. */
bool LoopNest::worthwhile() {
  uint64_t most = 1;
  for (const NestLoop &loop : loops) {
    unsigned trips = evolution.getSmallConstantMaxTripCount(loop.loop); /* 0: not known */
    most *= trips == 0 || trips > MIN_TRIPS ? MIN_TRIPS : trips;
    if (most >= MIN_TRIPS) return true;
  }
  return false;
}

int LoopNest::numberOf(const Loop *loop) const {
  for (unsigned i = 0; i < loops.size(); i++)
    if (loops[i].loop == loop) return (int)i;
  return -1;
}

bool LoopNest::analyseInstruction(Instruction &inst, NestLoop &loop) {
  if (auto *call = dyn_cast<CallInst>(&inst)) {
    if (const ConstantInt *cost = constantCharge(call)) {
      /* In every iteration where it dominates the only way round and out. */
      bool always = dominators.dominates(call->getParent(), loop.loop->getLoopLatch());
      (always ? loop.charges : loop.sometimes).push_back(call);
      iterationCost += cost->getZExtValue();
      anyCharge = call;
      return true;
    }
    return !call->mayHaveSideEffects() && !call->mayReadFromMemory();
  }
  auto *load = dyn_cast<LoadInst>(&inst);
  auto *store = dyn_cast<StoreInst>(&inst);
  if (load && load->isVolatile()) return !load->isAtomic() && addAccess(inst, load->getPointerOperand(), load->getType(), load->getAlign());
  if (store) return store->isVolatile() && !store->isAtomic() && addAccess(inst, store->getPointerOperand(), store->getValueOperand()->getType(), store->getAlign());
  if (load) return load->isSimple();
  return !inst.mayHaveSideEffects();
}

/* The offset in the vmctx, the function's first parameter, that something is loaded from. */
std::optional<uint64_t> LoopNest::offsetInVmctx(const LoadInst *load) {
  APInt offset(64, 0);
  const Value *from = load->getPointerOperand()->stripAndAccumulateConstantOffsets(function.getDataLayout(), offset, true);
  if (function.arg_size() == 0 || from != function.getArg(0)) return std::nullopt;
  return offset.getZExtValue();
}

/* A load of a memory's base: invariant, from a constant offset of the vmctx. */
LoadInst *LoopNest::memoryBase(const SCEV *pointer) {
  auto *unknown = dyn_cast<SCEVUnknown>(evolution.getPointerBase(pointer));
  auto *load = unknown ? dyn_cast<LoadInst>(unknown->getValue()) : nullptr;
  if (!load || outermost->contains(load) || !load->hasMetadata(LLVMContext::MD_invariant_load) || load->isVolatile()) return nullptr;
  std::optional<uint64_t> offset = offsetInVmctx(load);
  return offset && *offset >= WAOT_VMCTX_SIZE ? load : nullptr;
}

std::pair<APInt, APInt> LoopNest::rangeOf(const Stream &stream) {
  const SCEV *least = evolution.getAddExpr(stream.start, evolution.getConstant(stream.start->getType(), (uint64_t)stream.least, true));
  const SCEV *lowest = evolution.getNoopOrZeroExtend(least, i64), *highest = lowest;
  for (auto [loop, step] : stream.steps) {
    const SCEV *moved = evolution.getMulExpr(step, loops[loop].most);
    lowest = evolution.getAddExpr(lowest, evolution.getSMinExpr(moved, evolution.getZero(i64)));
    highest = evolution.getAddExpr(highest, evolution.getSMaxExpr(moved, evolution.getZero(i64)));
  }
  APInt from = evolution.getSignedRangeMin(lowest), to = evolution.getSignedRangeMax(highest);
  if (to.sgt(INT64_C(1) << 33)) return {APInt::getSignedMinValue(64), APInt::getSignedMaxValue(64)};
  return {from, to + stream.end};
}

/* Of the first memory, whose vm_memory comes first behind the vmctx's fixed part, the module says how many pages it has at least (compiler/emit/function.ts). Memories never shrink. */
bool LoopNest::isInside(const Stream &stream) {
  constexpr uint64_t PAGE = UINT64_C(1) << 16;
  auto *pages = mdconst::extract_or_null<ConstantInt>(function.getParent()->getModuleFlag("waot.least_pages"));
  if (!pages || offsetInVmctx(stream.base) != WAOT_VMCTX_SIZE) return false;
  auto [from, to] = rangeOf(stream);
  return !from.isNegative() && to.ule(pages->getZExtValue() * PAGE);
}

bool LoopNest::addAccess(Instruction &inst, Value *pointer, Type *type, Align align) {
  /* Alignment 1 and volatile: linear memory. Volatile accesses of globals and tables are aligned to 8. */
  if (align != Align(1)) return false;
  const SCEV *address = evolution.getSCEV(pointer);
  LoadInst *base = memoryBase(address);
  if (!base) return false;
  const SCEV *relative = evolution.removePointerBase(address);
  if (isa<SCEVCouldNotCompute>(relative) || relative->getType() != i64) return false;
  uint64_t width = function.getDataLayout().getTypeStoreSize(type).getFixedValue();
  /* First with a zero-extended sum taken apart, so that accesses beside each other are found to be; then with one that does not change taken as it is. */
  for (bool split : {true, false}) {
    Index index;
    if (!addTerm(relative, index, split)) continue;
    if (index.narrow && (index.wideFalls || index.wideStart || index.wideConstant < 0)) continue;
    /* Steps of one loop occur once: scalar evolution adds them up. Sorted, so that streams compare. */
    sort(index.steps, [](const Step &a, const Step &b) { return a.first < b.first; });
    uint64_t offset = index.narrow ? (uint64_t)index.wideConstant : 0;
    Access access = {&inst, 0, index.narrow ? 0 : index.wideConstant, index.slack, offset, width, index.exact};
    const SCEV *&start = index.narrow ? index.narrowStart : index.wideStart;
    if (!start) start = evolution.getZero(index.narrow ? Type::getInt32Ty(function.getContext()) : i64);
    placeInStream(base, index, access);
    return true;
  }
  return false;
}

/* Adds a 64-bit term to the index. `split`: take zero-extended sums apart even when they do not change. */
bool LoopNest::addTerm(const SCEV *term, Index &index, bool split) {
  if (auto *constant = dyn_cast<SCEVConstant>(term)) {
    if (!isSmall(term, 34)) return false;
    index.wideConstant += constant->getAPInt().getSExtValue();
    return true;
  }
  if (auto *sum = dyn_cast<SCEVAddExpr>(term)) return all_of(sum->operands(), [&](const SCEV *operand) { return addTerm(operand, index, split); });
  auto *wide = dyn_cast<SCEVZeroExtendExpr>(term);
  if (wide && wide->getOperand()->getType()->isIntegerTy(32) && !index.narrow && (split || !isInvariant(term))) {
    index.narrow = true;
    return addNarrow(wide->getOperand(), index);
  }
  if (isInvariant(term)) {
    if (!isSmall(term, 34)) return false;
    index.wideStart = index.wideStart ? evolution.getAddExpr(index.wideStart, term) : term;
    return true;
  }
  if (auto *recurrence = dyn_cast<SCEVAddRecExpr>(term); recurrence && numberOf(recurrence->getLoop()) >= 0) {
    if (!isSmall(recurrence->getStepRecurrence(evolution), 31) || !addStep(recurrence, index)) return false;
    index.wideFalls |= !evolution.isKnownNonNegative(recurrence->getStepRecurrence(evolution));
    return addTerm(recurrence->getStart(), index, split);
  }
  return addUnknown(term, index);
}

/* Adds a 32-bit term to the part of the index that is zero-extended. */
bool LoopNest::addNarrow(const SCEV *term, Index &index) {
  if (auto *sum = dyn_cast<SCEVAddExpr>(term); sum && !isInvariant(term)) return all_of(sum->operands(), [&](const SCEV *operand) { return addNarrow(operand, index); });
  if (isInvariant(term)) {
    index.narrowStart = index.narrowStart ? evolution.getAddExpr(index.narrowStart, term) : term;
    return true;
  }
  if (auto *recurrence = dyn_cast<SCEVAddRecExpr>(term); recurrence && numberOf(recurrence->getLoop()) >= 0)
    return addStep(recurrence, index) && addNarrow(recurrence->getStart(), index);
  return addUnknown(term, index);
}

bool LoopNest::addStep(const SCEVAddRecExpr *recurrence, Index &index) {
  const SCEV *step = recurrence->getStepRecurrence(evolution);
  if (!recurrence->isAffine() || !isInvariant(step)) return false;
  unsigned loop = (unsigned)numberOf(recurrence->getLoop());
  if (any_of(index.steps, [&](const Step &other) { return other.first == loop; })) return false;
  index.steps.push_back({loop, evolution.getNoopOrSignExtend(step, i64)});
  return true;
}

/* A part that is neither affine nor invariant, of which only the range is known: a byte that indexes a table. */
bool LoopNest::addUnknown(const SCEV *term, Index &index) {
  APInt most = evolution.getUnsignedRangeMax(term);
  if (most.ugt(MAX_SLACK)) return false;
  index.slack += most.getZExtValue();
  index.exact = false;
  return true;
}

/* Whether it is the same in the whole nest, and can be computed before it. */
bool LoopNest::isInvariant(const SCEV *expression) {
  SCEVExpander expander(evolution, "waot");
  return evolution.isLoopInvariant(expression, outermost) && expander.isSafeToExpandAt(expression, outermost->getLoopPreheader()->getTerminator());
}

/* Whether both sides of a question, if there is one, are. */
bool LoopNest::areInvariant(const std::optional<Comparison> &question) {
  return !question || (isInvariant(question->left) && isInvariant(question->right));
}

/* Whether its absolute value is below 2^bits. */
bool LoopNest::isSmall(const SCEV *expression, unsigned bits) {
  return evolution.getSignedRangeMax(expression).sle(INT64_C(1) << bits) && evolution.getSignedRangeMin(expression).sge(-(INT64_C(1) << bits));
}

/* Finds the stream whose accesses are at a constant distance, or begins one. */
void LoopNest::placeInStream(LoadInst *base, Index &index, Access access) {
  const SCEV *start = index.narrow ? index.narrowStart : index.wideStart;
  for (access.stream = 0; access.stream < streams.size(); access.stream++) {
    Stream &stream = streams[access.stream];
    if (stream.base != base || stream.narrow != index.narrow || stream.steps != index.steps) continue;
    auto *distance = dyn_cast<SCEVConstant>(evolution.getMinusSCEV(start, stream.start));
    if (!distance) continue;
    access.constant += distance->getAPInt().getSExtValue();
    stream.least = std::min(stream.least, access.constant);
    accesses.push_back(access);
    return;
  }
  streams.push_back({base, index.narrow, start, index.steps, access.constant});
  accesses.push_back(access);
}

void LoopNest::findEnds() {
  for (const Access &access : accesses) {
    Stream &stream = streams[access.stream];
    stream.end = std::max(stream.end, (uint64_t)(access.constant - stream.least) + access.slack + access.offset + access.width);
  }
}
