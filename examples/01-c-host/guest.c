/* The guest: code of somebody else, compiled to WebAssembly. It sees nothing of the host but `report`. */

__attribute__((import_module("env"), import_name("report"))) void report(int n);

/* Reports each prime below the limit; returns how many there are. */
__attribute__((export_name("primes"))) int primes(int limit) {
  int count = 0;
  for (int n = 2; n < limit; n++) {
    int divisor = 2;
    while (divisor * divisor <= n && n % divisor != 0) divisor++;
    if (divisor * divisor <= n) continue;
    count++;
    report(n);
  }
  return count;
}

__attribute__((export_name("divide"))) int divide(int a, int b) { return a / b; }

__attribute__((export_name("forever"))) void forever(void) {
  for (;;) __asm__ volatile("");
}
