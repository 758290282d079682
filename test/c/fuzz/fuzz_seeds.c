/* fuzz_seeds.c - writes small valid artifacts into a directory, as seeds for fuzz_verify.c: `program directory`. */
#include "../fixture.h"

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  static const struct { const char *name, *flags; int module; } seeds[] = {
    {"provider", "", PROVIDER}, {"consumer", "-DNOTE_ALIGN=8", CONSUMER}, {"escape", "-Wl,-z,max-page-size=65536", ESCAPE}, {"start", "-g", BAD_START},
  };
  for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
    waot_error error;
    struct bytes bytes = read_bytes(build_fixture(seeds[i].name, seeds[i].module, seeds[i].flags));
    char path[500];
    snprintf(path, sizeof path, "%s/%s.so", argv[1], seeds[i].name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes.at, 1, bytes.size, file) != bytes.size || fclose(file) != 0) die(path);
    free(bytes.at);
    CHECK(seeds[i].name, waot_artifact_verify(path, &error) == 0);
  }
  return failures != 0;
}
