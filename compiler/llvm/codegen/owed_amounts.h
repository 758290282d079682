/* owed_amounts.h - how much may stay unpaid at each place of a function, so that little has to be paid where it is executed often. */
#ifndef WAOT_OWED_AMOUNTS_H
#define WAOT_OWED_AMOUNTS_H

#include <cstdint>
#include <vector>

/* A run of code from one place to another, with what it costs and how often it is executed. It pays nothing where the amounts at its ends differ by just its cost. */
struct OwedRun {
  unsigned from, to; /* numbers of places */
  uint64_t cost, frequency;
};

/*
 * Returns for each place what is owed there: at least what `ahead` says for the place, with its sign turned (what may have been paid ahead there), at most `most` more (which is below 2^61, as all of `ahead` must be), and 0 at
 * place `zero`, whose `ahead` must be 0. Any such amounts are right; these let many runs pay nothing, the frequent ones first. See owed_amounts.cc.
 */
std::vector<int64_t> chooseOwedAmounts(const std::vector<uint64_t> &ahead, unsigned zero, std::vector<OwedRun> runs, uint64_t most);

#endif
