/* loop_nest.h - what version_loops.cc must know of a nest of counted loops before it makes a copy that cannot trap: trip counts, charges, and where the accesses go. */
#ifndef WAOT_LOOP_NEST_H
#define WAOT_LOOP_NEST_H

#include "trip_count.h"

#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/ScalarEvolution.h"
#include "llvm/Analysis/ScalarEvolutionExpressions.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/Instructions.h"

/* Loops that are known to run fewer times are left alone, unless there is nothing to check: checks would cost more than they save. */
constexpr unsigned MIN_TRIPS = 8;
/* Backedges taken at most, each loop. An index moves by at most 2^31 an iteration, and nests are at most MAX_DEPTH deep: no sum of movements exceeds 2^62. */
constexpr uint64_t MAX_BACKEDGES = (UINT64_C(1) << 29) - 1;
constexpr unsigned MAX_DEPTH = 4;

/* One loop of the nest. */
struct NestLoop {
  llvm::Loop *loop;
  int parent;                                         /* index of the loop around it in the nest; -1 for the outermost */
  const llvm::SCEV *backedges;                        /* 64 bits; in the preheader of this loop it can be computed */
  const llvm::SCEV *most;                             /* no less than `backedges` whenever the loop is entered; invariant in the nest, and the same where that is. See varying_counts.cc */
  llvm::SmallVector<Comparison, 1> bounds;            /* what must hold for that */
  bool always;                                        /* runs in every iteration of its parent */
  std::optional<Comparison> holds, pays;              /* questions about `backedges`, as in TripCount */
  unsigned own = 0;                                   /* instructions that are in no loop inside it */
  llvm::SmallVector<llvm::CallInst *, 4> charges{};   /* in every iteration */
  llvm::SmallVector<llvm::CallInst *, 4> sometimes{}; /* in some iterations only */
};

/* A step of an index: by how much it moves (64 bits, invariant in the nest) in each iteration of a loop of the nest. */
using Step = std::pair<unsigned, const llvm::SCEV *>;

/*
 * Accesses that are at constant distances from each other in any one iteration. The index of each, before its own offset, is
 *
 *     start + constant + sum of (iteration of a loop) x (step in that loop) + slack
 *
 * where `constant` is the access's own and slack an unknown between 0 and Access::slack. If `narrow`, start, constant, steps that may be negative, and slack are added in 32 bits
 * and the sum is zero-extended; otherwise all is in 64 bits and known not to wrap.
 */
struct Stream {
  llvm::LoadInst *base;
  bool narrow;
  const llvm::SCEV *start; /* 32 bits if narrow, else 64; invariant in the nest */
  llvm::SmallVector<Step, 2> steps;
  int64_t least;    /* the smallest constant */
  bool inside = false; /* within what its memory has at least */
  uint64_t end = 0; /* the greatest of constant - least + slack + offset + width: where accesses end, counted from where the index with `least` is */
};

struct Access {
  llvm::Instruction *inst;
  unsigned stream;
  int64_t constant;
  uint64_t slack, offset, width;
  bool exact; /* nothing unknown in the index */
};

class LoopNest {
public:
  LoopNest(llvm::Function &function, llvm::LoopInfo &info, llvm::DominatorTree &dominators, llvm::ScalarEvolution &evolution);
  /* Whether the nest of loops from `outermost` inwards can be split in two copies. When it can, the fields below are filled. */
  bool analyse(llvm::Loop *outermost);
  /* Where a stream's accesses are at least and at most, in any execution of the nest whose counts are within MAX_BACKEDGES: offsets from its memory's base. The ends of the type where that is not known. */
  std::pair<llvm::APInt, llvm::APInt> rangeOf(const Stream &stream);

  llvm::SmallVector<NestLoop, 4> loops; /* outermost first, each after its parent */
  llvm::SmallVector<Stream, 8> streams;
  llvm::SmallVector<Access, 16> accesses;
  llvm::CallInst *anyCharge = nullptr;
  bool inside = false; /* all streams are */

private:
  struct Index;
  /* What a value lies between, both included: unsigned numbers in 64 bits, invariant in the nest. See varying_counts.cc. */
  struct Between {
    const llvm::SCEV *least, *most;
  };
  llvm::Function &function;
  llvm::LoopInfo &info;
  llvm::DominatorTree &dominators;
  llvm::ScalarEvolution &evolution;
  llvm::Type *i64;
  llvm::Loop *outermost = nullptr;
  uint64_t iterationCost = 0;

  bool addLoops(llvm::Loop *loop, int parent, unsigned depth);
  const llvm::SCEV *mostOf(const llvm::SCEV *count, const llvm::Loop *inner, llvm::SmallVectorImpl<Comparison> &holds);
  std::optional<Between> between(const llvm::SCEV *value, const llvm::Loop *inner, llvm::SmallVectorImpl<Comparison> &holds);
  std::optional<Between> betweenParts(const llvm::SCEV *value, const llvm::Loop *inner, llvm::SmallVectorImpl<Comparison> &holds);
  std::optional<Between> betweenEnds(const llvm::SCEVAddRecExpr *counter, const llvm::Loop *inner, llvm::SmallVectorImpl<Comparison> &holds);
  bool isSkipped(const llvm::Loop *inner, const llvm::Loop *around, const llvm::SCEV *iteration);
  bool require(llvm::CmpInst::Predicate predicate, const llvm::SCEV *left, const llvm::SCEV *right, llvm::SmallVectorImpl<Comparison> &holds);
  bool worthwhile();
  int numberOf(const llvm::Loop *loop) const;
  bool analyseInstruction(llvm::Instruction &inst, NestLoop &loop);
  bool isInside(const Stream &stream);
  std::optional<uint64_t> offsetInVmctx(const llvm::LoadInst *load);
  llvm::LoadInst *memoryBase(const llvm::SCEV *pointer);
  bool addAccess(llvm::Instruction &inst, llvm::Value *pointer, llvm::Type *type, llvm::Align align);
  bool addTerm(const llvm::SCEV *term, Index &index, bool split);
  bool addNarrow(const llvm::SCEV *term, Index &index);
  bool addStep(const llvm::SCEVAddRecExpr *recurrence, Index &index);
  bool addUnknown(const llvm::SCEV *term, Index &index);
  bool isInvariant(const llvm::SCEV *expression);
  bool areInvariant(const std::optional<Comparison> &question);
  bool isSmall(const llvm::SCEV *expression, unsigned bits);
  void placeInStream(llvm::LoadInst *base, Index &index, Access access);
  void findEnds();
};

#endif
