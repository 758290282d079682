/*
 * profile.cc - where the time of one job goes, by function and pass: LLVM's own time trace, which is a thread's own.
 *
 * What takes less than GRANULARITY is left out of the trace, so that profiling a large module costs little more than compiling it.
 */
#include "profile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/TimeProfiler.h"
#include "llvm/Support/raw_ostream.h"

#include <string.h>

using namespace llvm;

/* Microseconds. */
static constexpr unsigned GRANULARITY = 100;

void codegen_profile_begin(void) { timeTraceProfilerInitialize(GRANULARITY, "wasm-aot"); }

void codegen_profile_end(codegen_bytes *trace) {
  SmallString<0> text;
  raw_svector_ostream stream(text);
  timeTraceProfilerWrite(stream);
  timeTraceProfilerCleanup();
  trace->data = static_cast<char *>(codegen_allocate(text.size() + 1));
  memcpy(trace->data, text.data(), text.size());
  trace->data[text.size()] = 0;
  trace->size = text.size();
}
