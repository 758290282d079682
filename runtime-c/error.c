/* error.c - filling waot_error. */
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

int waot_error_set(waot_error *error, waot_error_kind kind, int status, const char *format, ...) {
  if (error == NULL) return -1;
  error->kind = kind;
  error->status = status;
  va_list list;
  va_start(list, format);
  vsnprintf(error->message, sizeof error->message, format, list);
  va_end(list);
  /* One sentence, no newline: a path or a name can hold anything. */
  for (char *c = error->message; *c != '\0'; c++) {
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  }
  return -1;
}
