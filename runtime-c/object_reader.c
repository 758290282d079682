/* object_reader.c - what the readers of file formats share: the artifact's notes. */
#include "object_reader.h"

#include <inttypes.h>
#include <string.h>

int waot_object_take_note(const uint8_t *bytes, const char *path, struct waot_object_file *object, uint32_t type, size_t offset, uint32_t length, waot_error *error) {
  if (type == WAOT_NOTE_TYPE_MANIFEST) {
    if (object->manifest != NULL) return waot_error_set(error, WAOT_ERROR_FORMAT, 0, "%s: damaged: two manifests", path);
    object->manifest = bytes + offset;
    object->manifest_length = length;
  } else if (type == WAOT_NOTE_TYPE_HEADER) {
    if (object->hash_offset != 0) return waot_error_set(error, WAOT_ERROR_FORMAT, 0, "%s: damaged: two header notes", path);
    uint32_t version;
    if (length < sizeof version) return waot_error_set(error, WAOT_ERROR_FORMAT, 0, "%s: damaged: the header note is too short", path);
    memcpy(&version, bytes + offset, sizeof version);
    if (version != WAOT_ABI_VERSION) { /* said here, because the rest of the header may look different in another version */
      return waot_error_set(error, WAOT_ERROR_ABI, 0, "%s: made for ABI version %" PRIu32 ", this runtime has version %d: compile it again", path, version, WAOT_ABI_VERSION);
    }
    if (length != sizeof object->header) return waot_error_set(error, WAOT_ERROR_FORMAT, 0, "%s: damaged: the header note has the wrong size", path);
    memcpy(&object->header, bytes + offset, sizeof object->header);
    object->hash_offset = offset + offsetof(struct waot_note_header, hash0);
  }
  return 0;
}
