/* profile.h - the C face of profile.cc. */
#ifndef WAOT_PROFILE_H
#define WAOT_PROFILE_H

#include "codegen.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Starts LLVM's time trace of the calling thread. */
void codegen_profile_begin(void);
/* Ends it. trace: the events, as JSON in Chrome's trace format; wall time in microseconds. */
void codegen_profile_end(codegen_bytes *trace);

#ifdef __cplusplus
}
#endif
#endif
