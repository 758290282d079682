/*
 * version_loops.cc - counted loops at full speed, with exact traps and an exact bill.
 *
 * Lowering makes each access of linear memory volatile and puts a charge before it, so that a trap finds memory and fuel as the spec and the fuel law want them. In a loop that
 * costs a lot: nothing vectorises. But a counted loop whose addresses have a known range can be asked *once* whether all of its accesses are in bounds. If they are,
 * no iteration traps, nobody can look between the first iteration and the last, and the loop's bill is (trip count) x (cost of an iteration):
 *
 *     preheader:  in range? ──yes──►  charge the whole loop; the loop without charges, plain accesses     (LLVM may vectorise it)
 *                     └─────no────►  the loop as it was: volatile accesses, a charge before each           (exact at the access that traps)
 *
 * The same for a nest of such loops (loop_nest.h), from the outermost loop that allows it: one question for all iterations of all of them. In the copy as it was the inner loops are
 * asked again, each by itself.
 *
 * Why `consumed` is unchanged at every point where the host can look: both copies run the same operators; the only exits are the loop's own end, a trap (impossible in the first
 * copy, and the second is the code as lowered), and the tick. A tick in the first copy may find the register above zero before the operators that push it there have run; but they
 * will run, all of them, before anybody could look, so the outcome is out-of-fuel either way (fuel law, clauses 3 to 5).
 *
 * Why no access of the first copy traps. For a stream (loop_nest.h) let r be its index with the smallest constant, `least`, in the first iteration; the check is made of
 *
 *     lowest  = r + sum of min(0, step x backedges)  >=  0
 *     highest = r + sum of max(0, step x backedges)  <=  length - end
 *
 * in 64-bit numbers, none of which reaches 2^63 once the counts are bounded. (Where a count changes in the nest, the most that it can be; varying_counts.cc.) Any access of the stream has the index r + d + (sum of iteration x step) + slack, where d = constant - least
 * is not negative, *if that sum is in [0, 2^32)*: a narrow index is the sum modulo 2^32. It is: at least `lowest`, and, together with offset and width, at most highest + end <= length
 * <= 2^32. Memories never shrink, so the length that is read before the loop is a lower bound. Steps outside the zero-extended part are not negative, so the part itself is in
 * range when the whole is. What scalar evolution knows to be within the memory's least size, for all values of what it is computed from, needs no check; a loop for which nothing is left to check is not copied.
 *
 * Charges that only some iterations reach are added up in a variable, and paid where their loop ends; but for what any iteration costs at least, which is paid for up front. That is work done before it is charged, so such a loop takes the first copy only
 * for a bounded number of iterations: about a tick's worth (clause 5). An inner loop that only some iterations enter, or not for the same bill each time, is charged before it, in full.
 */
#include "loop_nest.h"
#include "passes.h"
#include "../../../runtime-c/abi.h"

#include "llvm/ADT/IntEqClasses.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include "llvm/Transforms/Utils/Local.h"
#include "llvm/Transforms/Utils/LoopUtils.h"
#include "llvm/Transforms/Utils/PromoteMemToReg.h"
#include "llvm/Transforms/Utils/ScalarEvolutionExpander.h"

using namespace llvm;

namespace {

/* Instructions executed, about, before they are charged: a millisecond or two. */
constexpr uint64_t MAX_UNCHARGED = UINT64_C(1) << 22;
/* Iterations of an innermost loop at most, in the whole nest: what bounds the bill. */
constexpr uint64_t MAX_ITERATIONS = UINT64_C(1) << 31;

using CostByBlock = MapVector<BasicBlock *, uint64_t>;

class Versioner {
public:
  Versioner(Function &function, LoopInfo &info, DominatorTree &dominators, ScalarEvolution &evolution)
      : function(function), info(info), dominators(dominators), evolution(evolution), nest(function, info, dominators, evolution), i64(Type::getInt64Ty(function.getContext())) {}

  bool run() {
    bool changed = false;
    for (Loop *loop : SmallVector<Loop *, 8>(info.begin(), info.end())) changed |= visit(loop);
    return changed;
  }

private:
  Function &function;
  LoopInfo &info;
  DominatorTree &dominators;
  ScalarEvolution &evolution;
  LoopNest nest;
  Type *i64;

  /* Of the nest at hand. */
  SmallVector<std::pair<BasicBlock *, Value *>, 3> questions; /* asked before the loop, each in a block; the plain copy is for those who say yes to all */
  SmallVector<Value *, 4> taken;       /* backedges of each loop, or the most of them */
  SmallVector<PHINode *, 4> iteration; /* number of the iteration; made where it is needed */
  SmallVector<Value *, 8> first;       /* of each stream: index of its least access in the first iteration, 64 bits */
  SmallVector<Value *, 16> steps;      /* of each stream, its steps, one stream after another */
  SmallVector<Value *, 8> bases;       /* of each stream, what the plain copy adds its index to */
  SmallVector<unsigned, 8> region;     /* of each stream: streams that may meet are in one */

  bool visit(Loop *loop) {
    if (nest.analyse(loop) && !isInsideAnyway()) {
      if (Loop *exact = transform(loop)) visitInside(exact);
      return true;
    }
    return visitInside(loop);
  }

  /* Whether the loops whose counts change need no check even each by itself: the nest around them would be copied for nothing. */
  bool isInsideAnyway() {
    bool any = false;
    for (const NestLoop &inner : nest.loops) {
      if (inner.most == inner.backedges) continue;
      LoopNest alone(function, info, dominators, evolution);
      if (!alone.analyse(inner.loop) || !alone.inside) return false;
      any = true;
    }
    return any;
  }

  bool visitInside(Loop *loop) {
    bool changed = false;
    for (Loop *inside : SmallVector<Loop *, 8>(loop->begin(), loop->end())) changed |= visit(inside);
    return changed;
  }

  /* Makes the two copies. Returns the one that is as it was, unless there is no need of two. */
  Loop *transform(Loop *loop) {
    SCEVExpander expander(evolution, "waot");
    questions.clear(), taken.clear();
    bool alone = nest.loops.size() == 1;
    if (alone && nest.loops[0].pays && !ask(loop, emitComparison(*nest.loops[0].pays, lastBefore(loop), expander), ".count")) return nullptr;
    for (const NestLoop &one : nest.loops) {
      Value *count = expander.expandCodeFor(one.most, i64, lastBefore(loop));
      taken.push_back(one.pays ? hide(count, lastBefore(loop)) : count);
    }
    if (!ask(loop, emitCountChecks(lastBefore(loop), expander), ".range")) return nullptr; /* known to be too long: the loop stays as it is */
    if (!ask(loop, emitRangeChecks(lastBefore(loop), expander), ".plain")) return nullptr; /* known to leave its memory */
    Loop *exact = questions.empty() ? nullptr : makeExactCopy(loop);
    chargeWhole(expander);
    makePlain(lastBefore(loop));
    evolution.forgetTopmostLoop(loop);
    evolution.forgetBlockAndLoopDispositions();
    return exact;
  }

  /* The same value, of which LLVM does not know where it comes from: passes that want a trip count would divide once more. */
  static Value *hide(Value *value, Instruction *before) {
    auto *type = FunctionType::get(value->getType(), {value->getType()}, false);
    CallInst *same = IRBuilder<>(before).CreateCall(type, InlineAsm::get(type, "", "=r,0", false), {value});
    same->setDoesNotAccessMemory();
    same->setDoesNotThrow();
    return same;
  }

  static Instruction *lastBefore(Loop *loop) { return loop->getLoopPreheader()->getTerminator(); }

  /* Asks a question before the loop; what is emitted there from now on, in a block of its own, is for those who said yes. Returns whether anybody may. */
  bool ask(Loop *loop, Value *answer, StringRef next) {
    if (auto *known = dyn_cast<ConstantInt>(answer)) return known->isOne();
    BasicBlock *block = loop->getLoopPreheader();
    SplitBlock(block, block->getTerminator(), &dominators, &info, nullptr, loop->getHeader()->getName() + next);
    questions.push_back({block, answer});
    return true;
  }

  Value *emitComparison(const Comparison &question, Instruction *before, SCEVExpander &expander) {
    Value *left = expander.expandCodeFor(question.left, question.left->getType(), before);
    Value *right = expander.expandCodeFor(question.right, question.right->getType(), before);
    return IRBuilder<>(before).CreateICmp(question.predicate, left, right);
  }

  /* Whether the numbers of iterations suit the first copy: bounded as the arithmetic and the fuel law need it, and, if there is anything to check, enough to be worth it. */
  Value *emitCountChecks(Instruction *before, SCEVExpander &expander) {
    IRBuilder<> builder(before);
    Value *all = builder.getTrue(), *worth = builder.getFalse();
    SmallVector<Value *, 4> trips;
    SmallVector<APInt, 4> most; /* of trips, where it is at most 2^31 + 1 */
    for (auto [number, loop] : enumerate(nest.loops)) {
      if (loop.holds) all = builder.CreateAnd(all, emitComparison(*loop.holds, before, expander));
      for (const Comparison &bound : loop.bounds) all = builder.CreateAnd(all, emitComparison(bound, before, expander));
      uint64_t limit = loop.sometimes.empty() ? MAX_BACKEDGES : std::min(MAX_BACKEDGES, MAX_UNCHARGED / loop.own);
      APInt range = APIntOps::umin(evolution.getUnsignedRangeMax(loop.most), APInt(64, limit));
      if (evolution.getUnsignedRangeMax(loop.most).ugt(limit)) all = builder.CreateAnd(all, builder.CreateICmpULE(taken[number], builder.getInt64(limit)));
      Value *count = builder.CreateAdd(taken[number], builder.getInt64(1));
      APInt bound = range + 1;
      if (loop.parent >= 0) {
        /* Wraps only where a factor is out of bounds, and then `all` is false already. */
        count = builder.CreateMul(trips[loop.parent], count);
        bound *= most[loop.parent];
        if (bound.ugt(MAX_ITERATIONS)) all = builder.CreateAnd(all, builder.CreateICmpULE(count, builder.getInt64(MAX_ITERATIONS)));
      }
      trips.push_back(count);
      most.push_back(APIntOps::umin(bound, APInt(64, MAX_ITERATIONS)));
      if (loop.loop->isInnermost()) worth = builder.CreateOr(worth, builder.CreateICmpUGE(count, builder.getInt64(MIN_TRIPS)));
    }
    return nest.inside && isa<ConstantInt>(all) ? all : builder.CreateAnd(all, worth);
  }

  /* The memory's length in bytes, by way of the vm_memory that the base was loaded from. */
  Value *memoryLength(IRBuilder<> &builder, LoadInst *base) {
    Value *slot = builder.CreateConstGEP1_64(builder.getInt8Ty(), base->getPointerOperand(), WAOT_VM_MEMORY_MEMORY - WAOT_VM_MEMORY_BASE);
    LoadInst *memory = builder.CreateAlignedLoad(builder.getPtrTy(), slot, Align(8), "memory");
    memory->setMetadata(LLVMContext::MD_invariant_load, MDNode::get(function.getContext(), {}));
    return builder.CreateAlignedLoad(i64, builder.CreateConstGEP1_64(builder.getInt8Ty(), memory, WAOT_MEMORY_HEAD_LENGTH), Align(8), "length");
  }

  /* Whether no iteration leaves its memory, as an i1 computed before the loop. */
  Value *emitRangeChecks(Instruction *before, SCEVExpander &expander) {
    IRBuilder<> builder(before);
    Value *all = builder.getTrue();
    SmallDenseMap<LoadInst *, Value *, 4> lengths;
    first.clear(), steps.clear();
    for (const Stream &stream : nest.streams) {
      const SCEV *least = evolution.getAddExpr(stream.start, evolution.getConstant(stream.start->getType(), (uint64_t)stream.least, true));
      Value *index = expander.expandCodeFor(evolution.getNoopOrZeroExtend(least, i64), i64, before);
      first.push_back(index);
      Value *lowest = index, *highest = index;
      for (auto [loop, step] : stream.steps) {
        steps.push_back(expander.expandCodeFor(step, i64, before));
        Value *moved = builder.CreateMul(steps.back(), taken[loop]);
        if (evolution.isKnownNonNegative(step)) highest = builder.CreateAdd(highest, moved);
        else if (evolution.isKnownNonPositive(step)) lowest = builder.CreateAdd(lowest, moved);
        else {
          highest = builder.CreateAdd(highest, builder.CreateBinaryIntrinsic(Intrinsic::smax, moved, builder.getInt64(0)));
          lowest = builder.CreateAdd(lowest, builder.CreateBinaryIntrinsic(Intrinsic::smin, moved, builder.getInt64(0)));
        }
      }
      if (stream.inside) continue;
      Value *&length = lengths[stream.base];
      if (!length) length = memoryLength(builder, stream.base);
      if (!stream.narrow || lowest != index) all = builder.CreateAnd(all, builder.CreateICmpSGE(lowest, builder.getInt64(0)));
      all = builder.CreateAnd(all, builder.CreateICmpSLE(highest, builder.CreateSub(length, builder.getInt64((int64_t)stream.end))));
    }
    return all;
  }

  /* Clones the nest as it is; the questions decide between the two. Values used after the loop come through the exit block's phis, since the loop is in LCSSA form. */
  Loop *makeExactCopy(Loop *loop) {
    BasicBlock *exit = loop->getExitBlock(), *check = questions.front().first;
    ValueToValueMapTy map;
    SmallVector<BasicBlock *, 8> blocks;
    Loop *exact = cloneLoopWithPreheader(loop->getLoopPreheader(), check, loop, map, ".exact", &info, &dominators, blocks);
    remapInstructionsInBlocks(blocks, map);
    for (auto [block, answer] : questions)
      ReplaceInstWithInst(block->getTerminator(), BranchInst::Create(block->getSingleSuccessor(), exact->getLoopPreheader(), answer));
    for (PHINode &phi : exit->phis()) {
      Value *value = phi.getIncomingValueForBlock(loop->getLoopLatch());
      auto mapped = map.find(value);
      phi.addIncoming(mapped == map.end() ? value : static_cast<Value *>(mapped->second), cast<BasicBlock>(map[loop->getLoopLatch()]));
    }
    dominators.changeImmediateDominator(exit, check);
    formDedicatedExitBlocks(exact, &dominators, &info, nullptr, true);
    formDedicatedExitBlocks(loop, &dominators, &info, nullptr, true);
    return exact;
  }

  /* Replaces the charges of the nest. Code that is not metered has none. */
  void chargeWhole(SCEVExpander &expander) {
    if (!nest.anyCharge) return;
    SmallVector<CostByBlock, 4> added(nest.loops.size()); /* to a loop's variable, where only some iterations come */
    SmallVector<uint64_t, 4> cost;                        /* of an iteration of each loop, without the loops inside */
    for (auto [number, loop] : enumerate(nest.loops)) {
      cost.push_back(spread(loop, added[number]));
      for (CallInst *charge : loop.charges) cost.back() += constantCharge(charge)->getZExtValue();
    }
    for (unsigned i = 0; i < nest.loops.size(); i++) {
      if (isPaidAround(i)) continue;
      IRBuilder<> builder(nest.loops[i].loop->getLoopPreheader()->getTerminator());
      Value *bill = emitBill(i, cost, builder, expander);
      if (!isa<ConstantInt>(bill) || !cast<ConstantInt>(bill)->isZero()) emitCharge(builder, bill, nest.anyCharge, mostCost(i, cost));
    }
    for (auto [one, costs] : zip(nest.loops, added))
      if (any_of(costs, [](const auto &cost) { return cost.second > 0; })) gather(one, costs);
    for (NestLoop &one : nest.loops)
      for (auto *charges : {&one.charges, &one.sometimes})
        for (CallInst *charge : *charges) charge->eraseFromParent();
  }

  /* Whether a loop's bill is part of its parent's: the same each time, every time. Inner loops come after their parents. */
  bool isPaidAround(unsigned number) {
    const NestLoop &loop = nest.loops[number];
    return loop.always && loop.parent >= 0 && isBillInvariant(number, nest.loops[loop.parent].loop);
  }

  bool isBillInvariant(unsigned number, const Loop *around) {
    if (!evolution.isLoopInvariant(nest.loops[number].backedges, around)) return false;
    for (unsigned i = number + 1; i < nest.loops.size(); i++)
      if (nest.loops[i].parent == (int)number && isPaidAround(i) && !isBillInvariant(i, around)) return false;
    return true;
  }

  /* What all iterations of a loop come to, with the loops inside that are part of its bill. */
  Value *emitBill(unsigned number, ArrayRef<uint64_t> cost, IRBuilder<> &builder, SCEVExpander &expander) {
    const NestLoop &loop = nest.loops[number];
    Value *each = builder.getInt64(cost[number]);
    for (unsigned i = number + 1; i < nest.loops.size(); i++)
      if (nest.loops[i].parent == (int)number && isPaidAround(i)) each = builder.CreateAdd(each, emitBill(i, cost, builder, expander), "", true, true);
    Value *back = loop.most == loop.backedges ? taken[number] : expander.expandCodeFor(loop.backedges, i64, &*builder.GetInsertPoint());
    return builder.CreateMul(builder.CreateAdd(back, builder.getInt64(1), "", true, true), each, "", true, true);
  }

  /* No less than that. Where the nest goes the first way, no loop goes back more often than MAX_BACKEDGES. */
  uint64_t mostCost(unsigned number, ArrayRef<uint64_t> cost) {
    uint64_t each = cost[number];
    for (unsigned i = number + 1; i < nest.loops.size(); i++)
      if (nest.loops[i].parent == (int)number && isPaidAround(i)) each = SaturatingAdd(each, mostCost(i, cost));
    return SaturatingMultiply(mostBackedges(nest.loops[number]) + 1, each);
  }

  uint64_t mostBackedges(const NestLoop &loop) { return APIntOps::umin(evolution.getUnsignedRangeMax(loop.most), APInt(64, MAX_BACKEDGES)).getZExtValue(); }

  /*
   * What the blocks of a loop add to its variable, for what only some iterations cost. What all ways through an iteration come to at least is returned, to be paid with the rest of the loop: of two arms, only the
   * dearer one then adds anything. Amounts belong to bundles of edges, as in place_charges.cc: each is the least that any way there costs, and a block adds what its cost exceeds the difference by.
   */
  static uint64_t spread(const NestLoop &one, CostByBlock &added) {
    for (CallInst *charge : one.sometimes) added[charge->getParent()] += constantCharge(charge)->getZExtValue();
    if (added.empty() || !one.loop->isInnermost()) return 0;
    ArrayRef<BasicBlock *> blocks = one.loop->getBlocks();
    SmallDenseMap<BasicBlock *, unsigned, 16> number;
    for (BasicBlock *block : blocks) number.try_emplace(block, number.size());
    IntEqClasses bundles((unsigned)(2 * blocks.size())); /* of 2 x number (the edges into a block) and 2 x number + 1 (those out of it); the edge back is not one */
    for (BasicBlock *block : blocks)
      for (BasicBlock *next : successors(block))
        if (next != one.loop->getHeader() && one.loop->contains(next)) bundles.join(2 * number[block] + 1, 2 * number[next]);
    bundles.compress();
    SmallVector<uint64_t, 32> least(bundles.getNumClasses(), UINT64_MAX);
    least[bundles[2 * number[one.loop->getHeader()]]] = 0;
    for (bool changed = true; changed;) {
      changed = false;
      for (BasicBlock *block : blocks) {
        uint64_t before = least[bundles[2 * number[block]]], &after = least[bundles[2 * number[block] + 1]];
        if (before == UINT64_MAX || before + added.lookup(block) >= after) continue;
        after = before + added.lookup(block);
        changed = true;
      }
    }
    for (BasicBlock *block : blocks) added[block] += least[bundles[2 * number[block]]] - least[bundles[2 * number[block] + 1]];
    return least[bundles[2 * number[one.loop->getLoopLatch()] + 1]];
  }

  /* Adds up what some iterations cost in a variable, to be charged at the exit; the variable becomes a value of the loop at once. */
  void gather(NestLoop &one, const CostByBlock &added) {
    AllocaInst *owed = IRBuilder<>(&function.getEntryBlock().front()).CreateAlloca(i64, nullptr, "owed");
    IRBuilder<> builder(one.loop->getLoopPreheader()->getTerminator());
    builder.CreateStore(builder.getInt64(0), owed);
    uint64_t most = 0; /* of an iteration */
    for (auto [block, cost] : added) {
      if (cost == 0) continue;
      most = SaturatingAdd(most, cost);
      builder.SetInsertPoint(block->getTerminator());
      builder.CreateStore(builder.CreateAdd(builder.CreateLoad(i64, owed), builder.getInt64(cost), "", true, true), owed);
    }
    BasicBlock *exit = one.loop->getExitBlock();
    builder.SetInsertPoint(exit, exit->getFirstInsertionPt());
    emitCharge(builder, builder.CreateLoad(i64, owed), nest.anyCharge, SaturatingMultiply(mostBackedges(one) + 1, most));
    PromoteMemToReg({owed}, dominators);
  }

  PHINode *iterationOf(unsigned number) {
    PHINode *&phi = iteration[number];
    if (phi) return phi;
    Loop *loop = nest.loops[number].loop;
    phi = IRBuilder<>(&loop->getHeader()->front()).CreatePHI(i64, 2, "iteration");
    IRBuilder<> builder(loop->getLoopLatch()->getTerminator());
    phi->addIncoming(builder.getInt64(0), loop->getLoopPreheader());
    phi->addIncoming(builder.CreateAdd(phi, builder.getInt64(1), "", true, true), loop->getLoopLatch());
    return phi;
  }

  /* Accesses without volatile, addressed by 64-bit induction variables that are known not to wrap: what the vectoriser understands. */
  void makePlain(Instruction *before) {
    iteration.assign(nest.loops.size(), nullptr);
    findRegions();
    chooseBases(before);
    SmallVector<Value **, 8> stepsOf;
    Value **next = steps.data();
    for (const Stream &stream : nest.streams) stepsOf.push_back(next), next += stream.steps.size();
    for (const Access &access : nest.accesses) {
      if (access.exact) readdress(access, stepsOf[access.stream]);
      if (auto *load = dyn_cast<LoadInst>(access.inst)) load->setVolatile(false);
      else cast<StoreInst>(access.inst)->setVolatile(false);
      access.inst->setMetadata(LLVMContext::MD_mmra, nullptr); /* which has kept it apart from others: exact_locations.cc */
    }
    separate();
    for (auto [number, loop] : enumerate(nest.loops))
      if (loop.holds) count(number);
  }

  /* Lets a loop end when its iterations are over, which scalar evolution understands, and not by what held under a condition. */
  void count(unsigned number) {
    Loop *loop = nest.loops[number].loop;
    auto *branch = cast<BranchInst>(loop->getLoopLatch()->getTerminator());
    Value *condition = branch->getCondition();
    auto goOn = branch->getSuccessor(0) == loop->getHeader() ? CmpInst::ICMP_NE : CmpInst::ICMP_EQ;
    branch->setCondition(IRBuilder<>(branch).CreateICmp(goOn, iterationOf(number), taken[number]));
    RecursivelyDeleteTriviallyDeadInstructions(condition);
  }

  /* Streams that may meet, directly or by way of others, have one region. */
  void findRegions() {
    SmallVector<std::pair<APInt, APInt>, 8> ranges;
    for (const Stream &stream : nest.streams) ranges.push_back(nest.rangeOf(stream));
    IntEqClasses meeting((unsigned)ranges.size());
    for (unsigned i = 0; i < ranges.size(); i++)
      for (unsigned k = 0; k < i; k++)
        if (nest.streams[i].base != nest.streams[k].base || (ranges[i].first.slt(ranges[k].second) && ranges[k].first.slt(ranges[i].second))) meeting.join(i, k);
    meeting.compress();
    region.clear();
    for (unsigned i = 0; i < ranges.size(); i++) region.push_back(meeting[i]);
  }

  /* By how much a stream moves in each iteration of a loop; NULL when it does not. */
  const SCEV *stepIn(const Loop *loop, const Stream &stream) {
    const Step *step = find_if(stream.steps, [&](const Step &one) { return nest.loops[one.first].loop == loop; });
    return step == stream.steps.end() ? nullptr : step->second;
  }

  /*
   * Streams that may meet the vectoriser compares before the loop, unless they move differently: then it does so only if they begin at different objects (LLVM 22), as arrays of a native program do. So what may meet a loop's
   * first store and moves differently begins at another name of the memory's base, of which nothing is known but that it may be the same.
   */
  void chooseBases(Instruction *before) {
    bases.assign(nest.streams.size(), nullptr);
    for (auto [number, stream] : enumerate(nest.streams)) bases[number] = stream.base;
    SmallDenseMap<const Loop *, unsigned, 4> stored; /* the stream of each loop's first store */
    for (const Access &access : nest.accesses)
      if (isa<StoreInst>(access.inst)) stored.try_emplace(info.getLoopFor(access.inst->getParent()), access.stream);
    SmallDenseMap<const LoadInst *, Value *, 2> others;
    for (const Access &access : nest.accesses) {
      const Loop *loop = info.getLoopFor(access.inst->getParent());
      auto store = stored.find(loop);
      if (store == stored.end() || region[access.stream] != region[store->second]) continue;
      const Stream &stream = nest.streams[access.stream], &first = nest.streams[store->second];
      if (stream.base != first.base || stepIn(loop, stream) == stepIn(loop, first)) continue;
      Value *&other = others[stream.base];
      if (!other) other = IRBuilder<>(before).CreateFreeze(stream.base);
      bases[access.stream] = other;
    }
  }

  /* Tells LLVM which streams never meet: a program's static arrays. The ranges are of all executions, as alias scopes want it. */
  void separate() {
    SmallSetVector<unsigned, 8> regions(region.begin(), region.end());
    if (regions.size() < 2) return;
    MDBuilder metadata(function.getContext());
    MDNode *domain = metadata.createAnonymousAliasScopeDomain();
    SmallDenseMap<unsigned, Metadata *, 8> scopes;
    for (unsigned one : regions) scopes[one] = metadata.createAnonymousAliasScope(domain);
    for (const Access &access : nest.accesses) {
      SmallVector<Metadata *, 8> others;
      for (unsigned one : regions)
        if (one != region[access.stream]) others.push_back(scopes[one]);
      access.inst->setMetadata(LLVMContext::MD_alias_scope, MDNode::get(function.getContext(), {scopes[region[access.stream]]}));
      access.inst->setMetadata(LLVMContext::MD_noalias, MDNode::get(function.getContext(), others));
    }
  }

  /* The index is summed up from the outermost loop inwards, each partial sum outside the loops that it does not depend on. */
  void readdress(const Access &access, Value **step) {
    const Stream &stream = nest.streams[access.stream];
    Value *index = first[access.stream];
    bool rising = true; /* so far, no partial sum is negative */
    for (size_t i = 0; i < stream.steps.size(); i++) {
      bool last = i + 1 == stream.steps.size();
      PHINode *phi = iterationOf(stream.steps[i].first);
      IRBuilder<> builder(last ? access.inst : nest.loops[stream.steps[i + 1].first].loop->getLoopPreheader()->getTerminator());
      rising &= evolution.isKnownNonNegative(stream.steps[i].second);
      index = builder.CreateAdd(index, emitMultiple(builder, phi, step[i], rising, true), "", rising, true);
    }
    IRBuilder<> builder(access.inst);
    GEPNoWrapFlags flags = GEPNoWrapFlags::inBounds() | GEPNoWrapFlags::noUnsignedWrap();
    Value *pointer = builder.CreateGEP(builder.getInt8Ty(), bases[access.stream], index, "", flags);
    uint64_t beyond = (uint64_t)(access.constant - stream.least) + access.offset;
    if (beyond != 0) pointer = builder.CreateGEP(builder.getInt8Ty(), pointer, builder.getInt64((int64_t)beyond), "", flags);
    access.inst->setOperand(isa<LoadInst>(access.inst) ? LoadInst::getPointerOperandIndex() : StoreInst::getPointerOperandIndex(), pointer);
  }
};

} // namespace

Value *emitMultiple(IRBuilder<> &builder, Value *number, Value *factor, bool nuw, bool nsw) {
  auto *constant = dyn_cast<ConstantInt>(factor);
  if (constant && constant->getValue().isPowerOf2() && !constant->isNegative()) return builder.CreateShl(number, constant->getValue().logBase2(), "", nuw, nsw);
  return builder.CreateMul(number, factor, "", nuw, nsw);
}

PreservedAnalyses VersionLoopsPass::run(Function &function, FunctionAnalysisManager &analyses) {
  Versioner versioner(function, analyses.getResult<LoopAnalysis>(function), analyses.getResult<DominatorTreeAnalysis>(function), analyses.getResult<ScalarEvolutionAnalysis>(function));
  return versioner.run() ? PreservedAnalyses::none() : PreservedAnalyses::all();
}
