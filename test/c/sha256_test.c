/* SHA-256 against the examples that NIST publishes for FIPS 180-4, with and without the CPU's SHA instructions, whole and in pieces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../runtime-c/sha256.h"

static int failures;

static void hex(const uint8_t digest[32], char text[65]) {
  for (int i = 0; i < 32; i++) sprintf(text + 2 * i, "%02x", digest[i]);
}

static void expect(const char *name, const void *bytes, size_t count, size_t piece, const char *want) {
  struct waot_sha256 sha;
  uint8_t digest[32];
  char got[65];
  waot_sha256_init(&sha);
  for (size_t at = 0; at < count; at += piece) waot_sha256_update(&sha, (const char *)bytes + at, count - at < piece ? count - at : piece);
  waot_sha256_final(&sha, digest);
  hex(digest, got);
  if (strcmp(got, want) == 0) {
    printf("ok %s, pieces of %zu\n", name, piece);
  } else {
    printf("not ok %s, pieces of %zu: %s\n", name, piece, got);
    failures++;
  }
}

static void all_vectors(void) {
  const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  char *million = malloc(1000000);
  memset(million, 'a', 1000000);
  const size_t pieces[] = {1, 3, 55, 64, 65, 1000000};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    expect("empty", "", 0, pieces[i], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect("abc", "abc", 3, pieces[i], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect("two blocks", two, strlen(two), pieces[i], "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect("a million a", million, 1000000, pieces[i], "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
  free(million);
}

/* Every length up to three blocks: both implementations agree. */
static void implementations_agree(void) {
  uint8_t bytes[200], digests[2][32];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 167 + 13);
  for (size_t count = 0; count <= sizeof bytes; count++) {
    for (int hardware = 0; hardware < 2; hardware++) {
      struct waot_sha256 sha;
      waot_sha256_allow_hardware(hardware);
      waot_sha256_init(&sha);
      waot_sha256_update(&sha, bytes, count);
      waot_sha256_final(&sha, digests[hardware]);
    }
    if (memcmp(digests[0], digests[1], 32) != 0) {
      printf("not ok implementations differ at %zu bytes\n", count);
      failures++;
      return;
    }
  }
  printf("ok implementations agree\n");
}

int main(void) {
  for (int hardware = 0; hardware < 2; hardware++) {
    waot_sha256_allow_hardware(hardware);
    all_vectors();
  }
  implementations_agree();
  return failures != 0;
}
