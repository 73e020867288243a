/* Preloaded: counts what a process does to files under FAULT_UNDER, and lets one of these fail.

   FAULT_AT: the count at which; FAULT_HOW: "kill", or an errno's number, "28+" from there on.
   FAULT_TOLD: a file that gets a letter for each count, and "!" where the fault took place.
   Of a write that fails or is killed, half is done before: disks do that. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int counted;

static void tell(const char *text) {
  const char *path = getenv("FAULT_TOLD");
  int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
  if (file < 0) return;
  syscall(SYS_write, file, text, strlen(text));
  syscall(SYS_close, file);
}

static int under(const char *path) {
  const char *place = getenv("FAULT_UNDER");
  return place && path && !strncmp(path, place, strlen(place));
}

static int under_file(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return under(path);
}

/* Whether this call is to fail, with errno set. half: what a write does before. */
static int fails(const char *letter, int file, const void *data, size_t size) {
  int number = ++counted, at = atoi(getenv("FAULT_AT") ? getenv("FAULT_AT") : "0");
  const char *how = getenv("FAULT_HOW") ? getenv("FAULT_HOW") : "";
  tell(letter);
  int sticky = strchr(how, '+') != NULL;
  if (number != at && !(sticky && at && number > at)) return 0;
  if (number == at) {
    tell("!");
    if (size > 1) syscall(SYS_write, file, data, size / 2);
    if (!strcmp(how, "kill")) kill(getpid(), SIGKILL);
  }
  errno = atoi(how);
  return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
  if (under_file(file) && fails("w", file, data, size)) return -1;
  return NEXT(write)(file, data, size);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  if (under_file(file) && fails("w", file, NULL, 0)) return -1;
  return NEXT(writev)(file, parts, count);
}

ssize_t sendfile(int to, int from, off_t *at, size_t size);
ssize_t sendfile(int to, int from, off_t *at, size_t size) {
  if (under_file(to) && fails("w", to, NULL, 0)) return -1;
  return NEXT(sendfile)(to, from, at, size);
}

ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags) {
  if (under_file(to) && fails("w", to, NULL, 0)) return -1;
  return NEXT(copy_file_range)(from, a, to, b, size, flags);
}

int fsync(int file) {
  if (under_file(file) && fails("s", file, NULL, 0)) return -1;
  return NEXT(fsync)(file);
}

int ftruncate(int file, off_t size) {
  if (under_file(file) && fails("t", file, NULL, 0)) return -1;
  return NEXT(ftruncate)(file, size);
}

int rename(const char *from, const char *to) {
  if (under(to) && fails("r", -1, NULL, 0)) return -1;
  return NEXT(rename)(from, to);
}

int mkdir(const char *path, mode_t mode) {
  if (under(path) && fails("m", -1, NULL, 0)) return -1;
  return NEXT(mkdir)(path, mode);
}

static int opened(const char *name, const char *path, int flags, mode_t mode) {
  if ((flags & O_CREAT) && under(path) && fails("o", -1, NULL, 0)) return -1;
  int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
  return next(path, flags, mode);
}

#define OPEN(name)                                  \
  int name(const char *path, int flags, ...) {      \
    va_list rest;                                   \
    va_start(rest, flags);                          \
    mode_t mode = va_arg(rest, mode_t);             \
    va_end(rest);                                   \
    return opened(#name, path, flags, mode);        \
  }
OPEN(open)
OPEN(open64)
