/* Exercises WASI: arguments, environment, standard streams, folders and files under the preopened /data, clocks, random, exit code. Prints only what does not vary. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void check(int ok, const char *what) {
  if (ok) return;
  printf("%s: %s\n", what, strerror(errno));
  exit(9);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *path) {
  char *names[64];
  size_t n = 0;
  DIR *dir = opendir(path);
  check(dir != NULL, path);
  for (struct dirent *e; (e = readdir(dir));)
    if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && n < 64) names[n++] = strdup(e->d_name);
  closedir(dir);
  qsort(names, n, sizeof *names, by_name);
  printf("%s:", path);
  for (size_t i = 0; i < n; i++) printf(" %s", names[i]);
  puts("");
}

int main(int argc, char **argv) {
  char buffer[256];
  struct stat st;
  for (int i = 1; i < argc; i++) printf("argument %d: %s\n", i, argv[i]);
  printf("GREETING=%s\n", getenv("GREETING") ? getenv("GREETING") : "(unset)");
  while (fgets(buffer, sizeof buffer, stdin)) printf("stdin: %s", buffer);
  fprintf(stderr, "to standard error\n");

  check(mkdir("/data/folder", 0777) == 0, "mkdir");
  FILE *f = fopen("/data/folder/a.txt", "w+");
  check(f != NULL, "fopen");
  for (int i = 0; i < 1000; i++) fprintf(f, "line %d\n", i);
  check(fseek(f, -9, SEEK_END) == 0 && fgets(buffer, sizeof buffer, f) != NULL, "fseek");
  printf("end: %s", buffer);
  rewind(f);
  check(fgets(buffer, sizeof buffer, f) != NULL, "fgets");
  printf("start: %s", buffer);
  fclose(f);
  check(stat("/data/folder/a.txt", &st) == 0, "stat");
  printf("size %lld, %s\n", (long long)st.st_size, S_ISREG(st.st_mode) ? "file" : "other");
  int fd = open("/data/folder/a.txt", O_WRONLY | O_APPEND);
  check(fd >= 0 && write(fd, "appended\n", 9) == 9 && close(fd) == 0, "append");
  check(rename("/data/folder/a.txt", "/data/folder/b.txt") == 0, "rename");
  check(fopen("/data/folder/a.txt", "r") == NULL && errno == ENOENT, "it should be gone");
  check(truncate("/data/folder/b.txt", 5) == 0, "truncate");
  list("/data/folder");
  list("/data");
  check(open("/data/../etc/passwd", O_RDONLY) < 0, "the sandbox should hold");
  check(fopen("/etc/passwd", "r") == NULL, "the sandbox should hold");

  struct timespec a, b;
  unsigned char random[32] = { 0 }, any = 0;
  check(clock_gettime(CLOCK_MONOTONIC, &a) == 0 && clock_gettime(CLOCK_MONOTONIC, &b) == 0, "clock");
  printf("time goes %s\n", b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec) ? "forward" : "backward");
  check(getentropy(random, sizeof random) == 0, "random");
  for (size_t i = 0; i < sizeof random; i++) any |= random[i];
  printf("random is %s\n", any ? "not zero" : "zero");
  fflush(stdout);
  return argc > 1 ? 40 + argc : 0;
}
