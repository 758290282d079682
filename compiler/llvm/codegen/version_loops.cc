/*
 * version_loops.cc - counted loops at full speed, with exact traps and an exact bill.
 *
 * Lowering makes each access of linear memory volatile and puts a charge before it, so that a trap finds memory and fuel as the spec and the fuel law want them. In a loop that
 * costs a lot: nothing vectorises. But a counted loop whose addresses are affine in the iteration can be asked *once* whether all of its accesses are in bounds. If they are,
 * no iteration traps, nobody can look between the first iteration and the last, and the loop's bill is (trip count) x (cost of an iteration):
 *
 *     preheader:  in range? ──yes──►  charge the whole loop; the loop without charges, plain accesses     (LLVM may vectorise it)
 *                     └─────no────►  the loop as it was: volatile accesses, a charge before each           (exact at the access that traps)
 *
 * Why `consumed` is unchanged at every point where the host can look: both copies run the same operators; the only exits are the loop's own end, a trap (impossible in the first
 * copy, and the second is the code as lowered), and the tick. A tick in the first copy may find the register above zero before the operators that push it there have run; but they
 * will run, all of them, before anybody could look, so the outcome is out-of-fuel either way (fuel law, clauses 3 to 5).
 *
 * Charges that only some iterations reach are added up in a variable, and paid where the loop ends. That is work done before it is charged, so such a loop takes the first copy only
 * for a bounded number of iterations: about a tick's worth (clause 5).
 *
 * Requirements on the loop: innermost; one exit, at the latch; a backedge-taken count known to scalar evolution; no call but charges and functions without effects; each volatile
 * access at base + zext(index) + constant, with index affine in the loop. Memories never shrink, so the length read in the preheader is a lower bound.
 */
#include "passes.h"
#include "../../../runtime-c/abi.h"

#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/ScalarEvolution.h"
#include "llvm/Analysis/ScalarEvolutionExpressions.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "llvm/Transforms/Utils/LoopUtils.h"
#include "llvm/Transforms/Utils/PromoteMemToReg.h"
#include "llvm/Transforms/Utils/ScalarEvolutionExpander.h"

using namespace llvm;

namespace {

/* Larger loops gain little, and are doubled in size. */
constexpr unsigned MAX_INSTRUCTIONS = 512;
/* Loops that are known to run fewer times are left alone: the checks would cost more than they save. */
constexpr unsigned MIN_TRIPS = 8;
/* Each check is a handful of instructions before the loop. */
constexpr unsigned MAX_CHECKS = 24;
/* Backedges taken at most, so that step x backedges stays below 2^62. */
constexpr uint64_t MAX_BACKEDGES = (UINT64_C(1) << 31) - 1;
/* Instructions executed, about, before they are charged: a millisecond or two. */
constexpr uint64_t MAX_UNCHARGED = UINT64_C(1) << 22;
/* Cost of one iteration at most, so that cost x iterations stays below 2^62. */
constexpr uint64_t MAX_ITERATION_COST = (UINT64_C(1) << 30);

/* One access: its index in iteration k is start + k * step (64-bit, never wrapping when the check holds); the address is base + index + offset. */
struct Access {
  Instruction *inst;
  LoadInst *base;
  const SCEV *start, *step;
  uint64_t offset, width;
};

/* Indices of one form on one memory: all of [lowest, highest) beyond the index must be in bounds. */
struct Check {
  LoadInst *base;
  const SCEV *start, *step;
  uint64_t end; /* offset + width, the largest */
};

class Versioner {
public:
  Versioner(Function &function, LoopInfo &loops, DominatorTree &dominators, ScalarEvolution &evolution)
      : function(function), loops(loops), dominators(dominators), evolution(evolution), i64(Type::getInt64Ty(function.getContext())) {}

  bool run() {
    SmallVector<Loop *, 8> innermost;
    for (Loop *loop : loops.getLoopsInPreorder())
      if (loop->isInnermost()) innermost.push_back(loop);
    bool changed = false;
    for (Loop *loop : innermost) {
      accesses.clear(), charges.clear(), sometimes.clear(), checks.clear();
      if (analyse(loop)) transform(loop), changed = true;
    }
    return changed;
  }

private:
  Function &function;
  LoopInfo &loops;
  DominatorTree &dominators;
  ScalarEvolution &evolution;
  Type *i64;

  /* Of the loop at hand. */
  SmallVector<Access, 8> accesses;
  SmallVector<CallInst *, 8> charges;   /* on every iteration */
  SmallVector<CallInst *, 8> sometimes; /* on some iterations only */
  SmallVector<Check, 8> checks;
  const SCEV *backedges = nullptr; /* 64 bits */
  uint64_t maxBackedges = 0;         /* for the plain copy */
  uint64_t iterationCost = 0;

  bool analyse(Loop *loop) {
    BasicBlock *latch = loop->getLoopLatch();
    if (!loop->isLoopSimplifyForm() || !loop->isLCSSAForm(dominators) || loop->getExitingBlock() != latch || !loop->getExitBlock()) return false;
    if (!analyseCount(loop)) return false;
    unsigned most = evolution.getSmallConstantMaxTripCount(loop); /* 0: not known */
    if (most > 0 && most < MIN_TRIPS) return false;
    unsigned count = 0;
    iterationCost = 0;
    for (BasicBlock *block : loop->blocks())
      for (Instruction &inst : *block)
        if (++count > MAX_INSTRUCTIONS || !analyseInstruction(loop, inst)) return false;
    maxBackedges = sometimes.empty() ? MAX_BACKEDGES : MAX_UNCHARGED / count;
    return (!charges.empty() || !accesses.empty()) && iterationCost <= MAX_ITERATION_COST && makeChecks(loop);
  }

  bool analyseCount(Loop *loop) {
    const SCEV *taken = evolution.getBackedgeTakenCount(loop);
    if (isa<SCEVCouldNotCompute>(taken) || taken->getType()->getIntegerBitWidth() > 64) return false;
    backedges = evolution.getNoopOrZeroExtend(taken, i64);
    SCEVExpander expander(evolution, "waot");
    return expander.isSafeToExpandAt(backedges, loop->getLoopPreheader()->getTerminator());
  }

  bool analyseInstruction(Loop *loop, Instruction &inst) {
    if (auto *call = dyn_cast<CallInst>(&inst)) {
      if (const ConstantInt *cost = constantCharge(call)) {
        /* On every iteration where it dominates the only way round and out. */
        bool always = dominators.dominates(call->getParent(), loop->getLoopLatch());
        (always ? charges : sometimes).push_back(call);
        iterationCost += cost->getZExtValue();
        return true;
      }
      return !call->mayHaveSideEffects() && !call->mayReadFromMemory();
    }
    auto *load = dyn_cast<LoadInst>(&inst);
    auto *store = dyn_cast<StoreInst>(&inst);
    if (load && load->isVolatile()) return !load->isAtomic() && analyseAccess(loop, inst, load->getPointerOperand(), load->getType(), load->getAlign());
    if (store) return store->isVolatile() && !store->isAtomic() && analyseAccess(loop, inst, store->getPointerOperand(), store->getValueOperand()->getType(), store->getAlign());
    if (load) return load->isSimple();
    return !inst.mayHaveSideEffects();
  }

  /* A load of a memory's base: invariant, from a constant offset of the vmctx, the function's first parameter. */
  LoadInst *memoryBase(Loop *loop, const SCEV *pointer) {
    auto *unknown = dyn_cast<SCEVUnknown>(evolution.getPointerBase(pointer));
    auto *load = unknown ? dyn_cast<LoadInst>(unknown->getValue()) : nullptr;
    if (!load || loop->contains(load) || !load->hasMetadata(LLVMContext::MD_invariant_load) || load->isVolatile()) return nullptr;
    APInt offset(64, 0);
    const DataLayout &layout = function.getDataLayout();
    const Value *from = load->getPointerOperand()->stripAndAccumulateConstantOffsets(layout, offset, true);
    return function.arg_size() > 0 && from == function.getArg(0) && offset.uge(WAOT_VMCTX_SIZE) ? load : nullptr;
  }

  bool analyseAccess(Loop *loop, Instruction &inst, Value *pointer, Type *type, Align align) {
    /* Alignment 1 and volatile: linear memory. Volatile accesses of globals and tables are aligned to 8. */
    if (align != Align(1)) return false;
    const SCEV *address = evolution.getSCEV(pointer);
    LoadInst *base = memoryBase(loop, address);
    if (!base) return false;
    Access access = {&inst, base, nullptr, nullptr, 0, function.getDataLayout().getTypeStoreSize(type).getFixedValue()};
    if (!decompose(loop, evolution.removePointerBase(address), access)) return false;
    accesses.push_back(access);
    return true;
  }

  /* Takes base-relative address = offset + index apart, index = start + k * step in iteration k. */
  bool decompose(Loop *loop, const SCEV *relative, Access &access) {
    if (isa<SCEVCouldNotCompute>(relative) || relative->getType() != i64) return false;
    if (auto *sum = dyn_cast<SCEVAddExpr>(relative)) {
      if (auto *constant = dyn_cast<SCEVConstant>(sum->getOperand(0))) {
        if (constant->getAPInt().ugt(UINT64_C(1) << 33)) return false;
        access.offset = constant->getAPInt().getZExtValue();
        relative = evolution.getMinusSCEV(relative, constant);
      }
    }
    const SCEV *index = relative;
    auto *wide = dyn_cast<SCEVZeroExtendExpr>(index);
    if (wide && wide->getOperand()->getType()->isIntegerTy(32) && isa<SCEVAddRecExpr>(wide->getOperand())) {
      auto *narrow = cast<SCEVAddRecExpr>(wide->getOperand());
      if (narrow->getLoop() != loop || !narrow->isAffine()) return loopInvariant(loop, index, access);
      access.start = evolution.getZeroExtendExpr(narrow->getStart(), i64);
      access.step = evolution.getSignExtendExpr(narrow->getStepRecurrence(evolution), i64);
    } else if (auto *recurrence = dyn_cast<SCEVAddRecExpr>(index); recurrence && recurrence->getLoop() == loop) {
      /* Scalar evolution has proved that the 32-bit index does not wrap and widened it itself. */
      if (!recurrence->isAffine()) return false;
      access.start = recurrence->getStart();
      access.step = recurrence->getStepRecurrence(evolution);
      if (evolution.getSignedRange(access.start).getSignedMax().sgt(INT64_C(1) << 34) || evolution.getSignedRange(access.start).getSignedMin().slt(-(INT64_C(1) << 34))) return false;
      if (evolution.getSignedRange(access.step).getSignedMax().sgt(INT64_C(1) << 31) || evolution.getSignedRange(access.step).getSignedMin().slt(-(INT64_C(1) << 31))) return false;
    } else {
      return loopInvariant(loop, index, access);
    }
    return evolution.isLoopInvariant(access.start, loop) && evolution.isLoopInvariant(access.step, loop) && expandable(loop, access.start) && expandable(loop, access.step);
  }

  bool loopInvariant(Loop *loop, const SCEV *index, Access &access) {
    if (!evolution.isLoopInvariant(index, loop) || !expandable(loop, index)) return false;
    /* At most a 32-bit index and an offset: anything else is not an address of ours. */
    if (evolution.getUnsignedRangeMax(index).ugt(UINT64_C(1) << 34)) return false;
    access.start = index;
    access.step = evolution.getZero(i64);
    return true;
  }

  bool expandable(Loop *loop, const SCEV *expression) {
    SCEVExpander expander(evolution, "waot");
    return expander.isSafeToExpandAt(expression, loop->getLoopPreheader()->getTerminator());
  }

  /* One check for all accesses of the same index: the one that reaches furthest decides (offsets are not negative). */
  bool makeChecks(Loop *) {
    for (const Access &access : accesses) {
      uint64_t end = access.offset + access.width;
      auto *same = find_if(checks, [&](const Check &check) { return check.base == access.base && check.start == access.start && check.step == access.step; });
      if (same != checks.end()) same->end = std::max(same->end, end);
      else checks.push_back({access.base, access.start, access.step, end});
    }
    return checks.size() <= MAX_CHECKS;
  }

  /* The memory's length in bytes, by way of the vm_memory that the base was loaded from. */
  Value *memoryLength(IRBuilder<> &builder, LoadInst *base) {
    Value *slot = builder.CreateConstGEP1_64(builder.getInt8Ty(), base->getPointerOperand(), WAOT_VM_MEMORY_MEMORY - WAOT_VM_MEMORY_BASE);
    LoadInst *memory = builder.CreateAlignedLoad(builder.getPtrTy(), slot, Align(8), "memory");
    memory->setMetadata(LLVMContext::MD_invariant_load, MDNode::get(function.getContext(), {}));
    return builder.CreateAlignedLoad(i64, builder.CreateConstGEP1_64(builder.getInt8Ty(), memory, WAOT_MEMORY_HEAD_LENGTH), Align(8), "length");
  }

  /* Whether no iteration leaves its memory, as an i1 computed before the loop; NULL when there is nothing to ask. */
  Value *emitChecks(Instruction *before, SCEVExpander &expander, Value *taken) {
    IRBuilder<> builder(before);
    Value *all = nullptr;
    auto require = [&](Value *condition) { all = all ? builder.CreateAnd(all, condition) : condition; };
    if (evolution.getUnsignedRangeMax(backedges).ugt(maxBackedges)) require(builder.CreateICmpULE(taken, builder.getInt64(maxBackedges)));
    SmallDenseMap<LoadInst *, Value *, 4> lengths;
    for (const Check &check : checks) {
      Value *&length = lengths[check.base];
      if (!length) length = memoryLength(builder, check.base);
      Value *start = expander.expandCodeFor(check.start, i64, before);
      Value *step = expander.expandCodeFor(check.step, i64, before);
      Value *last = builder.CreateAdd(start, builder.CreateMul(step, taken));
      /* Between first and last the index is monotone: if both are in [0, length - end], so are all, and the 32-bit index never wrapped. Signed: nothing here reaches 2^63 once
       * the count is bounded. */
      Value *limit = builder.CreateSub(length, builder.getInt64(check.end));
      for (Value *index : {start, last}) {
        require(builder.CreateICmpSGE(index, builder.getInt64(0)));
        require(builder.CreateICmpSLE(index, limit));
      }
    }
    return all;
  }

  void transform(Loop *loop) {
    BasicBlock *check = loop->getLoopPreheader();
    SCEVExpander expander(evolution, "waot");
    Value *taken = expander.expandCodeFor(backedges, i64, check->getTerminator());
    Value *inRange = emitChecks(check->getTerminator(), expander, taken);
    if (inRange && !isa<Constant>(inRange)) makeExactCopy(loop, check, inRange);
    else if (inRange && !cast<Constant>(inRange)->isOneValue()) return; /* known to leave its memory: the loop stays as it is */
    chargeWhole(loop, taken);
    makePlain(loop, expander);
    evolution.forgetLoop(loop);
  }

  /* Clones the loop as it is; the check decides between the two. Values used after the loop come through the exit block's phis, since the loop is in LCSSA form. */
  void makeExactCopy(Loop *loop, BasicBlock *check, Value *inRange) {
    BasicBlock *exit = loop->getExitBlock();
    BasicBlock *preheader = SplitBlock(check, check->getTerminator(), &dominators, &loops, nullptr, loop->getHeader()->getName() + ".plain");
    ValueToValueMapTy map;
    SmallVector<BasicBlock *, 8> blocks;
    Loop *exact = cloneLoopWithPreheader(preheader, check, loop, map, ".exact", &loops, &dominators, blocks);
    remapInstructionsInBlocks(blocks, map);
    Instruction *old = check->getTerminator();
    IRBuilder<>(old).CreateCondBr(inRange, preheader, exact->getLoopPreheader());
    old->eraseFromParent();
    for (PHINode &phi : exit->phis()) {
      Value *value = phi.getIncomingValueForBlock(loop->getLoopLatch());
      auto mapped = map.find(value);
      phi.addIncoming(mapped == map.end() ? value : static_cast<Value *>(mapped->second), cast<BasicBlock>(map[loop->getLoopLatch()]));
    }
    dominators.changeImmediateDominator(exit, check);
    formDedicatedExitBlocks(exact, &dominators, &loops, nullptr, true);
    formDedicatedExitBlocks(loop, &dominators, &loops, nullptr, true);
  }

  /* Replaces the charges of the loop. Code that is not metered has none. */
  void chargeWhole(Loop *loop, Value *taken) {
    if (!charges.empty()) {
      uint64_t cost = 0;
      for (CallInst *charge : charges) cost += constantCharge(charge)->getZExtValue();
      IRBuilder<> builder(loop->getLoopPreheader()->getTerminator());
      Value *iterations = builder.CreateAdd(taken, builder.getInt64(1), "", true, true);
      emitCharge(builder, builder.CreateMul(iterations, builder.getInt64(cost), "", true, true), charges.front());
    }
    if (!sometimes.empty()) gather(loop);
    for (CallInst *charge : charges) charge->eraseFromParent();
    for (CallInst *charge : sometimes) charge->eraseFromParent();
  }

  /* Adds up what some iterations cost in a variable, to be charged at the exit; the variable becomes a value of the loop at once. */
  void gather(Loop *loop) {
    AllocaInst *owed = IRBuilder<>(&function.getEntryBlock().front()).CreateAlloca(i64, nullptr, "owed");
    IRBuilder<> builder(loop->getLoopPreheader()->getTerminator());
    builder.CreateStore(builder.getInt64(0), owed);
    for (CallInst *charge : sometimes) {
      builder.SetInsertPoint(charge);
      builder.CreateStore(builder.CreateAdd(builder.CreateLoad(i64, owed), charge->getArgOperand(0), "", true, true), owed);
    }
    BasicBlock *exit = loop->getExitBlock();
    builder.SetInsertPoint(exit, exit->getFirstInsertionPt());
    emitCharge(builder, builder.CreateLoad(i64, owed), sometimes.front());
    PromoteMemToReg({owed}, dominators);
  }

  /* Accesses without volatile, addressed by a 64-bit induction variable that is known not to wrap: what the vectoriser understands. */
  void makePlain(Loop *loop, SCEVExpander &expander) {
    if (accesses.empty()) return;
    BasicBlock *preheader = loop->getLoopPreheader();
    IRBuilder<> builder(&loop->getHeader()->front());
    PHINode *iteration = builder.CreatePHI(i64, 2, "iteration");
    builder.SetInsertPoint(loop->getLoopLatch()->getTerminator());
    iteration->addIncoming(builder.getInt64(0), preheader);
    iteration->addIncoming(builder.CreateAdd(iteration, builder.getInt64(1), "", true, true), loop->getLoopLatch());
    for (const Access &access : accesses) {
      Instruction *before = preheader->getTerminator();
      Value *start = expander.expandCodeFor(access.start, i64, before);
      Value *step = expander.expandCodeFor(access.step, i64, before);
      bool rising = evolution.isKnownNonNegative(access.step);
      builder.SetInsertPoint(access.inst);
      Value *first = access.offset == 0 ? start : IRBuilder<>(before).CreateAdd(start, builder.getInt64(access.offset), "", true, true);
      Value *index = builder.CreateAdd(first, builder.CreateMul(iteration, step, "", rising, true), "", rising, true);
      Value *pointer = builder.CreateGEP(builder.getInt8Ty(), access.base, index, "", GEPNoWrapFlags::inBounds() | GEPNoWrapFlags::noUnsignedWrap());
      if (auto *load = dyn_cast<LoadInst>(access.inst)) load->setVolatile(false), load->setOperand(LoadInst::getPointerOperandIndex(), pointer);
      else cast<StoreInst>(access.inst)->setVolatile(false), access.inst->setOperand(StoreInst::getPointerOperandIndex(), pointer);
    }
  }
};

} // namespace

PreservedAnalyses VersionLoopsPass::run(Function &function, FunctionAnalysisManager &analyses) {
  Versioner versioner(function, analyses.getResult<LoopAnalysis>(function), analyses.getResult<DominatorTreeAnalysis>(function), analyses.getResult<ScalarEvolutionAnalysis>(function));
  return versioner.run() ? PreservedAnalyses::none() : PreservedAnalyses::all();
}
