/* exact_locations.h - see exact_locations.cc. */
#ifndef WAOT_EXACT_LOCATIONS_H
#define WAOT_EXACT_LOCATIONS_H

namespace llvm {
class TargetPassConfig;
}

/* Puts the pass over machine code into the code generator's pipeline. */
void insertExactLocationPasses(llvm::TargetPassConfig &config);

#endif
