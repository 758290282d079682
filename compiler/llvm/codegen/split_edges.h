/* split_edges.h - the pass over machine code that makes room for payments between blocks. */
#ifndef WAOT_SPLIT_EDGES_H
#define WAOT_SPLIT_EDGES_H

namespace llvm {
class TargetPassConfig;
} // namespace llvm

/* To run when registers have been allocated and before blocks are laid out. See split_edges.cc. */
void insertSplitEdgesPass(llvm::TargetPassConfig &config);

#endif
