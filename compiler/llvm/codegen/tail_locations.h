/*
 * tail_locations.h - what locations say of tail calls, whose callers have no frame.
 *
 * Lowering gives each call that takes its caller's place a location with column 1 (compiler/llvm/builder.ts); all other columns are 0. When the callee is inlined, its instructions keep that location as what
 * they were inlined at; when the caller is, the call keeps it.
 */
#ifndef WAOT_TAIL_LOCATIONS_H
#define WAOT_TAIL_LOCATIONS_H

#include "llvm/IR/DebugInfoMetadata.h"

/* The first call that is not a tail call, of this one and those by which its function was inlined, inside out: the one whose function has the next frame. NULL if that is not of this code. */
inline const llvm::DILocation *callWithFrame(const llvm::DILocation *call) {
  while (call && call->getColumn() != 0) call = call->getInlinedAt();
  return call;
}

#endif
