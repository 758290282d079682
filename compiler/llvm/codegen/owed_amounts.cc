/*
 * owed_amounts.cc - a spanning tree of the runs of code that pay nothing.
 *
 * A run from place p to place q with the cost c has to pay owed(p) + c - owed(q), so it pays nothing when owed(q) = owed(p) + c. That can hold for all runs of a tree at once, whatever their costs; a run that would
 * close a cycle pays what the cycle comes to. So the runs join a forest, the most frequent first (Kruskal), as Knuth places counters in a flow graph. The trees carry amounts relative to each other; the tree
 * of the place that owes 0 has true ones, none of which may be less than is allowed at its place (the register would be too high there), or more than `most` above that: a run that would make one so does not join.
 */
#include "owed_amounts.h"

#include <algorithm>
#include <numeric>

namespace {

class Forest {
public:
  Forest(const std::vector<uint64_t> &ahead, unsigned zero, uint64_t most) : zero(zero), most((int64_t)most), amount(ahead.size(), 0), treeOf(ahead.size()), trees(ahead.size()) {
    std::iota(treeOf.begin(), treeOf.end(), 0);
    for (unsigned place = 0; place < ahead.size(); place++) trees[place] = {{place}, (int64_t)ahead[place], (int64_t)ahead[place]};
  }

  /* Lets a run pay nothing, if amounts allow it. */
  void join(const OwedRun &run) {
    unsigned kept = treeOf[run.from], moved = treeOf[run.to];
    if (kept == moved || run.cost > (uint64_t)most) return;
    int64_t shift = amount[run.from] + (int64_t)run.cost - amount[run.to]; /* of the amounts in the tree of `to` */
    bool exchange = moved == treeOf[zero] || (kept != treeOf[zero] && trees[kept].members.size() < trees[moved].members.size());
    if (exchange) std::swap(kept, moved), shift = -shift;
    int64_t least = std::min(trees[kept].least, trees[moved].least + shift), greatest = std::max(trees[kept].greatest, trees[moved].greatest + shift);
    if (greatest - least > most || (kept == treeOf[zero] && least < 0)) return;
    trees[kept].least = least, trees[kept].greatest = greatest;
    for (unsigned place : trees[moved].members) amount[place] += shift, treeOf[place] = kept;
    trees[kept].members.insert(trees[kept].members.end(), trees[moved].members.begin(), trees[moved].members.end());
    trees[moved].members = {};
  }

  /* Trees that nothing has joined to that of `zero` owe as little as they can, and pay nothing ahead if they can. */
  std::vector<int64_t> amounts() const {
    std::vector<int64_t> shift(trees.size(), INT64_MIN), result;
    for (unsigned place = 0; place < amount.size(); place++) shift[treeOf[place]] = std::max(shift[treeOf[place]], -amount[place]);
    for (unsigned tree = 0; tree < trees.size(); tree++) shift[tree] = tree == treeOf[zero] ? 0 : std::clamp(shift[tree], -trees[tree].least, most - trees[tree].greatest);
    for (unsigned place = 0; place < amount.size(); place++) result.push_back(amount[place] + shift[treeOf[place]]);
    return result;
  }

private:
  struct Tree {
    std::vector<unsigned> members;
    int64_t least = 0, greatest = 0; /* of what the members' amounts are above the least that is allowed */
  };
  unsigned zero;
  int64_t most;
  std::vector<int64_t> amount; /* relative to the tree's */
  std::vector<unsigned> treeOf;
  std::vector<Tree> trees;
};

} // namespace

std::vector<int64_t> chooseOwedAmounts(const std::vector<uint64_t> &ahead, unsigned zero, std::vector<OwedRun> runs, uint64_t most) {
  std::stable_sort(runs.begin(), runs.end(), [](const OwedRun &a, const OwedRun &b) { return a.frequency > b.frequency; });
  Forest forest(ahead, zero, most);
  for (const OwedRun &run : runs) forest.join(run);
  return forest.amounts();
}
