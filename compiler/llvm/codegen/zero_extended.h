/* zero_extended.h - fewer moves that clear the upper half of a register which is clear: see zero_extended.cc. */
#ifndef WAOT_ZERO_EXTENDED_H
#define WAOT_ZERO_EXTENDED_H

namespace llvm {
class TargetPassConfig;
}

/* Adds the pass, for x86-64, where something is optimised. */
void insertZeroExtendedPass(llvm::TargetPassConfig &config);

#endif
