/*
 * reroll_loops.cc - undoes unrolling that the wasm module's producer did.
 *
 * Clang unrolls hot loops two to eight times when it makes wasm. For a machine with vectors that is a loss: the vectoriser meets copies of one iteration beside each other, takes them for
 * interleaved data, and shuffles. So before it looks, a loop of one block whose body is U copies of one iteration becomes that iteration, run U times as often.
 *
 * The proof is a map `next` from instructions to instructions: next(a) is what a is in the following copy (after the last copy: in the first of the following round). It is found by
 * matching expressions, beginning with the stores and the values that rounds pass on to each other:
 *
 *     - constants and values from outside the loop are their own next;
 *     - an integer or pointer that advances by a constant s each round: next(a) is the one that is s / U ahead of it;
 *     - loads from such addresses, and operations, are matched operand by operand;
 *     - a value v that a round takes over from the last one (a phi): next(v) is what the match says, and applying next U times must give what the phi receives at the round's end.
 *
 * By induction over U x round + copy, the first copy's instructions, fed with addresses that advance by s / U, compute what all copies computed, provided that memory is the same where each
 * load looks at it. The rolled loop runs copy after copy, where the unrolled body may have had loads and stores of different copies in another order. So wherever the order of two accesses,
 * one of them a store, changes, they must be known to be disjoint: at a constant distance in the same round. Loads that copies share are accesses of each copy in this.
 *
 * All stores of the body must be in one of the copies. Values used after the loop must be of the last copy, or advance by a constant. Charges and volatile accesses never occur in
 * such a loop: it is one that version_loops.cc made plain. Nothing that anybody can observe happens in it but its end.
 */
#include "passes.h"

#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/ScalarEvolution.h"
#include "llvm/Analysis/ScalarEvolutionExpressions.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Operator.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"
#include "llvm/Transforms/Utils/Local.h"
#include "llvm/Transforms/Utils/ScalarEvolutionExpander.h"

using namespace llvm;

namespace {

constexpr unsigned MAX_INSTRUCTIONS = 512;
constexpr unsigned MAX_COPIES = 16;
/* Expressions compared at most, for one number of copies: both orders of commutative operands are tried. */
constexpr unsigned MAX_MATCHES = 4096;

/* The constant by which a value advances each round, or nothing. */
using Advance = std::optional<int64_t>;

class Reroller {
public:
  Reroller(Loop *loop, ScalarEvolution &evolution) : loop(loop), evolution(evolution), body(loop->getHeader()), i64(Type::getInt64Ty(body->getContext())) {}

  bool run() {
    if (!isCandidate()) return false;
    turnSums();
    for (auto [number, inst] : enumerate(*body)) position[&inst] = (unsigned)number;
    for (copies = MAX_COPIES; copies > 1; copies--)
      if (divides() && matchAll() && ordersAgree()) return rewrite();
    return false;
  }

private:
  Loop *loop;
  ScalarEvolution &evolution;
  BasicBlock *body;
  Type *i64;
  const SCEV *backedges = nullptr;
  SmallVector<StoreInst *, 8> stores;
  DenseMap<Instruction *, unsigned> position;
  
  /* For the number of copies that is being tried. */
  unsigned copies = 0, budget = 0;
  DenseMap<Value *, Value *> next;
  SmallVector<StoreInst *, 4> firstStores;        /* of the first copy */
  SmallVector<PHINode *, 4> carried;              /* phis that stay */
  DenseMap<Instruction *, Value *> resultOf;      /* what a value used after the loop becomes */
  SmallSetVector<Instruction *, 32> first;        /* the first copy: what stays */

  bool inLoop(Value *value) { return isa<Instruction>(value) && loop->contains(cast<Instruction>(value)); }

  bool isCandidate() {
    if (loop->getNumBlocks() != 1 || !loop->isLoopSimplifyForm() || !loop->getExitBlock() || body->size() > MAX_INSTRUCTIONS) return false;
    backedges = evolution.getBackedgeTakenCount(loop);
    if (isa<SCEVCouldNotCompute>(backedges) || backedges->getType()->getIntegerBitWidth() > 64) return false;
    backedges = evolution.getNoopOrZeroExtend(backedges, i64);
    if (evolution.getUnsignedRangeMax(backedges).ugt(UINT64_C(1) << 40)) return false; /* so that U times as many do not wrap */
    SCEVExpander expander(evolution, "waot");
    if (!expander.isSafeToExpandAt(backedges, loop->getLoopPreheader()->getTerminator())) return false;
    for (Instruction &inst : *body) {
      if (auto *store = dyn_cast<StoreInst>(&inst)) {
        if (!store->isSimple() || !advance(store->getPointerOperand()).value_or(0)) return false;
        stores.push_back(store);
      } else if (auto *load = dyn_cast<LoadInst>(&inst)) {
        if (!load->isSimple()) return false;
      } else if (inst.mayHaveSideEffects() || inst.mayReadFromMemory()) {
        return false;
      }
    }
    return true;
  }

  /* How much an integer or a pointer of the loop advances each round. */
  Advance advance(Value *value) {
    if (!inLoop(value) || !evolution.isSCEVable(value->getType())) return {};
    auto *recurrence = dyn_cast<SCEVAddRecExpr>(evolution.getSCEV(value));
    if (!recurrence || recurrence->getLoop() != loop || !recurrence->isAffine()) return {};
    auto *step = dyn_cast<SCEVConstant>(recurrence->getStepRecurrence(evolution));
    if (!step || step->getAPInt().getBitWidth() > 64 || step->isZero()) return {};
    SCEVExpander expander(evolution, "waot");
    if (!expander.isSafeToExpandAt(recurrence->getStart(), loop->getLoopPreheader()->getTerminator())) return {};
    int64_t amount = step->getAPInt().getSExtValue();
    return amount > -(INT64_C(1) << 31) && amount < (INT64_C(1) << 31) ? Advance(amount) : Advance();
  }

  std::optional<int64_t> distance(Value *from, Value *to) {
    if (from->getType() != to->getType() || !evolution.isSCEVable(from->getType())) return {};
    auto *constant = dyn_cast<SCEVConstant>(evolution.getMinusSCEV(evolution.getSCEV(to), evolution.getSCEV(from)));
    return constant ? std::optional<int64_t>(constant->getAPInt().getSExtValue()) : std::nullopt;
  }

  /* Whether this number of copies is possible by the stores' steps. */
  bool divides() {
    return stores.size() % copies == 0 && all_of(stores, [&](StoreInst *store) { return *advance(store->getPointerOperand()) % (int64_t)copies == 0; });
  }

  bool matchAll() {
    next.clear(), firstStores.clear(), carried.clear(), resultOf.clear(), first.clear();
    budget = MAX_MATCHES;
    return matchStores() && matchSums() && collectFirst();
  }

  /* Chains of `copies` stores, each the next of the one before. */
  bool matchStores() {
    DenseMap<StoreInst *, StoreInst *> following;
    SmallPtrSet<StoreInst *, 8> later;
    for (StoreInst *store : stores) {
      int64_t step = *advance(store->getPointerOperand()) / (int64_t)copies;
      for (StoreInst *other : stores) {
        if (other == store || !store->isSameOperationAs(other) || distance(store->getPointerOperand(), other->getPointerOperand()) != step) continue;
        if (!later.insert(other).second || !following.try_emplace(store, other).second) return false;
      }
    }
    for (StoreInst *store : stores) {
      if (later.contains(store)) continue;
      firstStores.push_back(store);
      unsigned length = 1;
      for (StoreInst *one = store; following.contains(one); one = following[one], length++)
        if (!match(one->getValueOperand(), following[one]->getValueOperand())) return false;
      if (length != copies) return false;
    }
    for (auto [store, after] : following) next[store] = after;
    return true;
  }

  /* The chain of operations from a phi to what it receives at the round's end: a sum. It begins with the phi; without anything else when there is no such chain. */
  SmallVector<Value *, 16> chainOf(PHINode &phi) {
    Value *end = phi.getIncomingValueForBlock(body);
    SmallVector<Value *, 16> chain = {&phi};
    if (advance(&phi) || !inLoop(end) || !isUsedOutside(end)) return chain;
    while (chain.back() != end) {
      Value *user = onlyUserInside(chain.back());
      if (!user || chain.size() > MAX_INSTRUCTIONS) return {&phi};
      chain.push_back(user);
    }
    return chain;
  }

  /* The terms of an integer sum (or product, and so on) may stand in any order; LLVM likes the last one first. Turns those around whose addresses fall while the loop rises. */
  void turnSums() {
    for (PHINode &phi : body->phis()) {
      SmallVector<Value *, 16> chain = chainOf(phi);
      SmallVector<Use *, 16> terms;
      for (size_t i = 1; i < chain.size(); i++) {
        auto *inst = dyn_cast<BinaryOperator>(chain[i]);
        if (!inst || !inst->getType()->isIntegerTy() || !inst->isAssociative() || !inst->isCommutative() || inst->getOpcode() != cast<Instruction>(chain[1])->getOpcode()) break;
        terms.push_back(&inst->getOperandUse(inst->getOperand(0) == chain[i - 1] ? 1 : 0));
      }
      if (terms.size() < 2 || terms.size() + 1 != chain.size()) continue;
      LoadInst *one = someLoad(terms.front()->get()), *other = someLoad(terms.back()->get());
      auto apart = one && other ? distance(one->getPointerOperand(), other->getPointerOperand()) : std::nullopt;
      if (!apart || *apart * advance(one->getPointerOperand()).value_or(0) >= 0) continue;
      for (size_t i = 1; i < chain.size(); i++) {
        auto *inst = cast<BinaryOperator>(chain[i]);
        inst->dropPoisonGeneratingFlags();
        if (i + 1 < chain.size()) inst->moveBefore(cast<Instruction>(chain.back())->getIterator());
      }
      for (size_t i = 0; i < terms.size() / 2; i++) {
        Value *early = terms[i]->get();
        terms[i]->set(terms[terms.size() - 1 - i]->get());
        terms[terms.size() - 1 - i]->set(early);
      }
    }
  }

  /* A load that a term is computed from. */
  LoadInst *someLoad(Value *value) {
    while (inLoop(value) && !isa<LoadInst, PHINode>(value) && cast<Instruction>(value)->getNumOperands() > 0) value = cast<Instruction>(value)->getOperand(0);
    return inLoop(value) ? dyn_cast<LoadInst>(value) : nullptr;
  }

  /* Sums that are used after the loop. */
  bool matchSums() {
    for (PHINode &phi : body->phis()) {
      if (next.contains(&phi)) continue;
      SmallVector<Value *, 16> chain = chainOf(phi);
      if (chain.size() == 1) continue;
      size_t operations = chain.size() - 1;
      if (operations % copies != 0) return false;
      for (size_t i = 0, each = operations / copies; i + each < chain.size(); i += each)
        if (!match(chain[i], chain[i + each])) return false;
    }
    return true;
  }

  bool isUsedOutside(Value *value) {
    return any_of(value->users(), [&](User *user) { return !loop->contains(cast<Instruction>(user)); });
  }

  Value *onlyUserInside(Value *value) {
    Value *only = nullptr;
    for (User *user : value->users()) {
      if (!loop->contains(cast<Instruction>(user)) || (isa<PHINode>(user) && value != user)) continue;
      if (only && only != user) return nullptr;
      only = user;
    }
    return only;
  }

  /* Whether `to` is the next of `from`, given what is matched already; notes it if so. */
  bool match(Value *from, Value *to) {
    if (budget == 0) return false;
    budget--;
    if (auto known = next.find(from); known != next.end()) return known->second == to;
    if (!inLoop(from)) return from == to;
    if (Advance step = advance(from)) return *step % (int64_t)copies == 0 && distance(from, to) == *step / (int64_t)copies;
    if (!inLoop(to)) return false;
    if (isa<PHINode>(from)) {
      next[from] = to;
      return true;
    }
    auto *a = cast<Instruction>(from), *b = cast<Instruction>(to);
    if (isa<PHINode>(b) || !a->isSameOperationAs(b)) return false;
    if (auto *load = dyn_cast<LoadInst>(a)) {
      /* An address that does not change may be written in between. */
      if (!advance(load->getPointerOperand()) || !match(load->getPointerOperand(), cast<LoadInst>(b)->getPointerOperand())) return false;
    } else if (!matchOperands(a, b)) {
      return false;
    }
    next[from] = to;
    return true;
  }

  bool matchOperands(Instruction *a, Instruction *b) {
    auto inOrder = [&](unsigned x, unsigned y) { return match(a->getOperand(0), b->getOperand(x)) && match(a->getOperand(1), b->getOperand(y)); };
    if (a->isCommutative() && a->getNumOperands() == 2) {
      DenseMap<Value *, Value *> before = next;
      if (inOrder(0, 1)) return true;
      next = std::move(before);
      return inOrder(1, 0);
    }
    for (unsigned i = 0; i < a->getNumOperands(); i++)
      if (!match(a->getOperand(i), b->getOperand(i))) return false;
    return true;
  }

  /* The first copy, with the phis that it needs; and that each phi's value, `copies` times further, is what the round ends with. */
  bool collectFirst() {
    SmallVector<Value *, 16> todo;
    for (StoreInst *store : firstStores) first.insert(store), todo.push_back(store->getValueOperand());
    for (Instruction &inst : *body) {
      if (!isUsedOutside(&inst)) continue;
      if (advance(&inst)) {
        resultOf[&inst] = nullptr; /* computed before the loop */
      } else {
        Instruction *source = firstOf(&inst);
        if (!source) return false;
        resultOf[&inst] = source;
        todo.push_back(source);
      }
    }
    while (!todo.empty()) {
      Value *value = todo.pop_back_val();
      if (!inLoop(value) || advance(value)) continue;
      auto *inst = cast<Instruction>(value);
      if (!first.insert(inst)) continue;
      if (auto *phi = dyn_cast<PHINode>(inst)) {
        if (!closes(phi)) return false;
        carried.push_back(phi);
        todo.push_back(next[phi]);
      } else if (!isa<LoadInst>(inst)) {
        todo.append(inst->op_begin(), inst->op_end());
      }
    }
    /* Every instruction that stays must have its counterpart in each of the other copies. */
    return !first.empty() && all_of(first, [&](Instruction *inst) {
      Value *one = inst;
      for (unsigned i = 1; i < copies; i++) {
        auto after = next.find(one);
        if (after == next.end()) return false;
        one = after->second;
      }
      return true;
    });
  }

  /* What a value of the last copy is in the first, or NULL. */
  Instruction *firstOf(Instruction *last) {
    Value *one = last;
    for (unsigned i = 1; i < copies; i++) {
      auto before = find_if(next, [&](const auto &pair) { return pair.second == one; });
      if (before == next.end()) return nullptr;
      one = before->first;
    }
    return dyn_cast<Instruction>(one);
  }

  bool closes(PHINode *phi) {
    Value *end = phi->getIncomingValueForBlock(body);
    Value *one = phi;
    if (!next.contains(phi) || advance(next[phi])) return false;
    for (unsigned i = 0; i < copies; i++) {
      auto known = next.find(one);
      Value *after = i + 1 == copies ? end : known == next.end() ? nullptr : known->second;
      if (!after || !match(one, after)) return false;
      one = after;
    }
    return true;
  }

  Value *pointerOf(Instruction *inst) { return isa<LoadInst>(inst) ? cast<LoadInst>(inst)->getPointerOperand() : cast<StoreInst>(inst)->getPointerOperand(); }
  int64_t widthOf(Instruction *inst) {
    Type *type = isa<LoadInst>(inst) ? inst->getType() : cast<StoreInst>(inst)->getValueOperand()->getType();
    return (int64_t)inst->getDataLayout().getTypeStoreSize(type).getFixedValue();
  }

  bool areDisjoint(Instruction *a, Instruction *b) {
    auto apart = distance(pointerOf(a), pointerOf(b));
    return apart && (*apart >= widthOf(a) || -*apart >= widthOf(b));
  }

  /* Whether each two accesses, one of them a store, are in the same order in the rolled loop, or disjoint. */
  bool ordersAgree() {
    struct Occurrence { Instruction *inst; unsigned copy, place; };
    SmallVector<Occurrence, 64> all;
    for (Instruction *inst : first) {
      if (!isa<LoadInst, StoreInst>(inst)) continue;
      Value *one = inst;
      for (unsigned copy = 0; copy < copies; copy++, one = next.lookup(one)) all.push_back({cast<Instruction>(one), copy, position[inst]});
    }
    for (const Occurrence &a : all) {
      if (!isa<StoreInst>(a.inst)) continue;
      for (const Occurrence &b : all) {
        if (a.inst == b.inst) continue;
        bool wasBefore = position[a.inst] < position[b.inst];
        bool isBefore = std::tie(a.copy, a.place) < std::tie(b.copy, b.place);
        if (wasBefore != isBefore && !areDisjoint(a.inst, b.inst)) return false;
      }
    }
    return true;
  }

  bool rewrite() {
    Instruction *before = loop->getLoopPreheader()->getTerminator();
    SCEVExpander expander(evolution, "waot");
    Value *rounds = expander.expandCodeFor(backedges, i64, before);
    /* Whatever is used afterwards and advances: its value in the last round. */
    for (auto &[inst, result] : resultOf) {
      if (result) continue;
      auto *recurrence = cast<SCEVAddRecExpr>(evolution.getSCEV(inst));
      const SCEV *number = evolution.getTruncateOrZeroExtend(backedges, evolution.getEffectiveSCEVType(inst->getType()));
      result = expander.expandCodeFor(recurrence->evaluateAtIteration(number, evolution), inst->getType(), before);
    }
    IRBuilder<> builder(before);
    Value *trips = builder.CreateMul(builder.CreateAdd(rounds, builder.getInt64(1), "", true, true), builder.getInt64(copies), "trips", true, true);
    PHINode *trip = IRBuilder<>(&body->front()).CreatePHI(i64, 2, "trip");
    for (Instruction *inst : first) rebase(inst, trip, expander);
    finishLoop(trip, trips);
    return true;
  }

  /* Makes operands that advance by s each round advance by s / copies. */
  void rebase(Instruction *inst, PHINode *trip, SCEVExpander &expander) {
    if (isa<PHINode>(inst)) return;
    Instruction *before = loop->getLoopPreheader()->getTerminator();
    for (Use &use : inst->operands()) {
      Advance step = advance(use.get());
      if (!step) continue;
      int64_t each = *step / (int64_t)copies;
      Type *type = use->getType();
      Value *start = expander.expandCodeFor(cast<SCEVAddRecExpr>(evolution.getSCEV(use.get()))->getStart(), type, before);
      IRBuilder<> builder(inst);
      if (type->isPointerTy()) {
        auto *gep = dyn_cast<GEPOperator>(use.get());
        bool inBounds = gep && gep->isInBounds() && isa<LoadInst, StoreInst>(inst);
        Value *moved = emitMultiple(builder, trip, builder.getInt64(each), inBounds && each > 0, inBounds);
        use.set(builder.CreateGEP(builder.getInt8Ty(), start, moved, "", inBounds ? GEPNoWrapFlags::inBounds() : GEPNoWrapFlags::none()));
      } else {
        Value *number = builder.CreateZExtOrTrunc(trip, type);
        use.set(builder.CreateAdd(start, emitMultiple(builder, number, ConstantInt::getSigned(type, each), false, false)));
      }
    }
    /* A flag holds for all copies, or not. */
    Value *one = inst;
    for (unsigned i = 1; i < copies; i++) {
      one = next.lookup(one);
      inst->andIRFlags(one);
    }
  }

  void finishLoop(PHINode *trip, Value *trips) {
    auto *end = cast<BranchInst>(body->getTerminator());
    IRBuilder<> builder(end);
    Value *after = builder.CreateAdd(trip, builder.getInt64(1), "", true, true);
    trip->addIncoming(builder.getInt64(0), loop->getLoopPreheader());
    trip->addIncoming(after, body);
    bool leavesWhenTrue = !loop->contains(end->getSuccessor(0));
    Value *done = builder.CreateICmp(leavesWhenTrue ? ICmpInst::ICMP_EQ : ICmpInst::ICMP_NE, after, trips);
    end->setCondition(done);
    for (auto [inst, result] : resultOf) inst->replaceUsesWithIf(result, [&](Use &use) { return !loop->contains(cast<Instruction>(use.getUser())); });
    for (PHINode *phi : carried) phi->setIncomingValueForBlock(body, next[phi]);
    for (StoreInst *store : stores)
      if (!first.contains(store)) store->eraseFromParent();
    evolution.forgetLoop(loop);
    /* The rest is dead; phis of the old counters hold each other alive. */
    for (Instruction &inst : make_early_inc_range(reverse(*body)))
      if (isInstructionTriviallyDead(&inst)) inst.eraseFromParent();
    DeleteDeadPHIs(body);
  }
};

} // namespace

PreservedAnalyses RerollLoopsPass::run(Function &function, FunctionAnalysisManager &analyses) {
  LoopInfo &info = analyses.getResult<LoopAnalysis>(function);
  ScalarEvolution &evolution = analyses.getResult<ScalarEvolutionAnalysis>(function);
  bool changed = false;
  for (Loop *loop : info.getLoopsInPreorder())
    if (loop->isInnermost()) changed |= Reroller(loop, evolution).run();
  return changed ? PreservedAnalyses::none() : PreservedAnalyses::all();
}
