/* Times native kernels: reads commands on stdin, a line each, and answers each with a line.
 *   load ID KIND PATH    opens a shared object with `int run(int)`            -> ok
 *   run ID N CALLS       calls run(N) CALLS times                             -> CHECKSUM NANOSECONDS, of the fastest call, in CPU time of the process
 * The same protocol as node-driver.ts and wasmtime_driver.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { MOST_KERNELS = 1024 };
typedef int32_t run_function(int32_t n);
static run_function *kernel[MOST_KERNELS];

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void load(unsigned id, const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  kernel[id] = library ? (run_function *)dlsym(library, "run") : NULL;
  if (kernel[id]) puts("ok");
  else printf("error %s\n", dlerror());
}

static void run(unsigned id, int32_t n, int calls) {
  int64_t best = INT64_MAX;
  int32_t sum = 0;
  for (int i = 0; i < calls; i++) {
    int64_t start = now();
    sum = kernel[id](n);
    int64_t time = now() - start;
    if (time < best) best = time;
  }
  printf("%" PRId32 " %" PRId64 "\n", sum, best);
}

int main(void) {
  static char line[8192], path[8192], kind[64];
  while (fgets(line, sizeof line, stdin)) {
    unsigned id;
    int32_t n;
    int calls;
    if (sscanf(line, "load %u %63s %8191[^\n]", &id, kind, path) == 3 && id < MOST_KERNELS) load(id, path);
    else if (sscanf(line, "run %u %" SCNd32 " %d", &id, &n, &calls) == 3 && id < MOST_KERNELS && kernel[id] && calls > 0) run(id, n, calls);
    else printf("error bad command: %s", line);
    fflush(stdout);
  }
  return 0;
}
