/* Slots are files in the folder that EDGETPU_SIM_DIR names; see control.h for what is in them. */
#include "device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LAST_WORDS                                                                       \
  "F driver/usb/usb_driver.cc:1148] HandleQueuedBulkIn transfer in failed. Not found: " \
  "USB transfer error 5 [LibUsbDataInCallback]\n"
#define FORKED "SIMULATED: the device was opened before a fork."
#define GONE "SIMULATED: the device is gone."
#define FAILED "SIMULATED: the request failed."

enum { NAME_BYTES = 32, FILE_BYTES = 4096, MOST_DIGITS = 6 };
static const int64_t US = 1000, MS = 1000 * 1000, S = 1000 * 1000 * 1000;

struct device {
  struct device *next;       /* this and `references` belong to `table` */
  int references;            /* delegates and kernels */
  char file[FILE_BYTES];
  int descriptor;            /* holds the lock, and with it the device */
  struct control *control;
  pid_t owner;
  int64_t generation;        /* as it was when the device was opened */
  pthread_mutex_t turn;      /* guards the two below */
  int64_t free_at_ns;
  int64_t resident_model;
  pthread_t watcher;         /* notices an unplugging while nobody asks for anything */
  pthread_mutex_t stop_lock; /* guards is_stopping */
  pthread_cond_t stop;
  bool is_stopping;
};

static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;
static struct device *devices;

/* --- time ------------------------------------------------------------------------------------ */

int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * S + now.tv_nsec;
}

static struct timespec as_timespec(int64_t ns) {
  return (struct timespec){.tv_sec = ns / S, .tv_nsec = ns % S};
}

static void sleep_until(int64_t until_ns) {
  /* A sleep into the past still costs the timer's slack. */
  if (until_ns <= now_ns()) return;
  struct timespec until = as_timespec(until_ns);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
  }
}

static void nap(void) { sleep_until(now_ns() + MS); }

/* --- slots ----------------------------------------------------------------------------------- */

static bool is_slot_name(const char *name, enum device_kind *kind, int *number) {
  if (strncmp(name, "usb", 3) == 0) {
    *kind = KIND_USB;
  } else if (strncmp(name, "pci", 3) == 0) {
    *kind = KIND_PCI;
  } else {
    return false;
  }
  size_t digits = strspn(name + 3, "0123456789");
  if (digits == 0 || digits > MOST_DIGITS || name[3 + digits] != '\0') return false;
  *number = atoi(name + 3);
  return true;
}

static const char *folder(void) {
  const char *named = getenv("EDGETPU_SIM_DIR");
  return named == NULL || named[0] == '\0' ? NULL : named;
}

static bool file_of(const struct slot *slot, char *file) {
  const char *kind = slot->kind == KIND_USB ? "usb" : "pci";
  const char *in = folder();
  if (in == NULL) return false;
  int length = snprintf(file, FILE_BYTES, "%s/%s%d", in, kind, slot->number);
  return length > 0 && length < FILE_BYTES;
}

static void put_path(const struct control *control, struct slot *slot) {
  if (control->path[0] != '\0') {
    snprintf(slot->path, PATH_BYTES, "%.*s", PATH_BYTES - 1, control->path);
  } else if (slot->kind == KIND_USB) {
    snprintf(slot->path, PATH_BYTES, "/sys/bus/usb/devices/9-%d", slot->number + 1);
  } else {
    snprintf(slot->path, PATH_BYTES, "/dev/apex_%d", slot->number);
  }
}

static bool read_slot(struct slot *slot) { /* false if nothing is plugged there */
  char file[FILE_BYTES];
  struct control control;
  if (!file_of(slot, file)) return false;
  int descriptor = open(file, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  ssize_t got = pread(descriptor, &control, sizeof control, 0);
  close(descriptor);
  if (got != sizeof control || memcmp(control.magic, CONTROL_MAGIC, 8) != 0) return false;
  put_path(&control, slot);
  return control.present != 0;
}

static int by_name(const void *one, const void *other) {
  const struct slot *a = one, *b = other;
  return a->kind != b->kind ? (int)a->kind - (int)b->kind : a->number - b->number;
}

int device_list(struct slot *found, int limit) {
  int size = 0;
  DIR *slots = folder() ? opendir(folder()) : NULL;
  if (slots == NULL) return 0;
  for (struct dirent *entry; size < limit && (entry = readdir(slots)) != NULL;) {
    struct slot slot;
    if (is_slot_name(entry->d_name, &slot.kind, &slot.number) && read_slot(&slot))
      found[size++] = slot;
  }
  closedir(slots);
  qsort(found, size, sizeof *found, by_name);
  return size;
}

/* --- being gone ------------------------------------------------------------------------------ */

static bool is_gone(struct device *device) {
  /* The generation never goes back, so a device that was gone stays so until all let go of it. */
  return lever(&device->control->present) == 0 ||
         lever(&device->control->generation) != device->generation;
}

static _Noreturn void die(void) {
  fputs(LAST_WORDS, stderr);
  fflush(stderr);
  abort();
}

static const char *hang_while_asked(struct device *device) {
  count(&device->control->hung, 1);
  while (lever(&device->control->on_unplug) == UNPLUG_HANGS) nap();
  return GONE;
}

const char *device_check(struct device *device) {
  if (device->owner != getpid()) return FORKED;
  if (!is_gone(device)) return NULL;
  switch (lever(&device->control->on_unplug)) {
    case UNPLUG_FAILS:
      return GONE;
    case UNPLUG_HANGS:
      return hang_while_asked(device);
    default:
      die();
  }
}

static void *watch(void *argument) {
  struct device *device = argument;
  pthread_mutex_lock(&device->stop_lock);
  while (!device->is_stopping) {
    if (is_gone(device) && lever(&device->control->on_unplug) == UNPLUG_ABORTS_AT_ONCE) die();
    struct timespec until = as_timespec(now_ns() + 5 * MS);
    pthread_cond_timedwait(&device->stop, &device->stop_lock, &until);
  }
  pthread_mutex_unlock(&device->stop_lock);
  return NULL;
}

static bool start_watcher(struct device *device) {
  pthread_condattr_t monotonic;
  sigset_t all, before;
  pthread_mutex_init(&device->stop_lock, NULL);
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&device->stop, &monotonic);
  pthread_condattr_destroy(&monotonic);
  /* Signals are the application's business: none may land on this thread. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int problem = pthread_create(&device->watcher, NULL, watch, device);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return problem == 0;
}

static void stop_watcher(struct device *device) {
  pthread_mutex_lock(&device->stop_lock);
  device->is_stopping = true;
  pthread_cond_signal(&device->stop);
  pthread_mutex_unlock(&device->stop_lock);
  /* After a fork the thread is the other process's. */
  if (device->owner == getpid()) pthread_join(device->watcher, NULL);
  pthread_cond_destroy(&device->stop);
  pthread_mutex_destroy(&device->stop_lock);
}

/* --- opening and closing --------------------------------------------------------------------- */

static bool lock(struct device *device) {
  if (flock(device->descriptor, LOCK_EX | LOCK_NB) == 0) return true;
  if (lever(&device->control->busy_mode) != BUSY_STEALS) return false;
  /* Opening a stick that another process has resets its port: that process fails. */
  count(&device->control->generation, 1);
  for (int64_t until = now_ns() + 2 * S; now_ns() < until; nap())
    if (flock(device->descriptor, LOCK_EX | LOCK_NB) == 0) return true;
  return false;
}

static void unmap(struct device *device) {
  munmap(device->control, sizeof *device->control);
  close(device->descriptor); /* lets go of the lock */
}

static bool map(struct device *device) {
  device->descriptor = open(device->file, O_RDWR | O_CLOEXEC);
  if (device->descriptor < 0) return false;
  void *page = mmap(NULL, sizeof *device->control, PROT_READ | PROT_WRITE, MAP_SHARED,
                    device->descriptor, 0);
  if (page == MAP_FAILED) {
    close(device->descriptor);
    return false;
  }
  device->control = page;
  return true;
}

static bool take(struct device *device) {
  if (!map(device)) return false;
  if (lever(&device->control->create_fail) == 0 && lock(device)) {
    device->owner = getpid();
    device->generation = lever(&device->control->generation);
    pthread_mutex_init(&device->turn, NULL);
    if (start_watcher(device)) return true;
  }
  unmap(device);
  return false;
}

static struct device *opened(const char *file) {
  for (struct device *device = devices; device != NULL; device = device->next)
    if (strcmp(device->file, file) == 0) return device;
  return NULL;
}

static struct device *share(struct device *device) {
  if (device->owner != getpid() || lever(&device->control->create_fail) != 0) return NULL;
  device->references++;
  return device;
}

static struct device *open_new(const char *file) {
  struct device *device = calloc(1, sizeof *device);
  if (device == NULL) return NULL;
  snprintf(device->file, sizeof device->file, "%s", file);
  if (!take(device)) {
    free(device);
    return NULL;
  }
  device->references = 1;
  device->next = devices;
  devices = device;
  count(&device->control->opens, 1);
  show(&device->control->owner_pid, device->owner);
  return device;
}

static struct device *open_slot(const struct slot *slot) {
  char file[FILE_BYTES];
  if (!file_of(slot, file)) return NULL;
  pthread_mutex_lock(&table);
  struct device *device = opened(file);
  device = device != NULL ? share(device) : open_new(file);
  pthread_mutex_unlock(&table);
  return device;
}

static void wait_for_creation(struct device *device) {
  int64_t *limit_us = &device->control->create_us;
  int64_t start = now_ns();
  for (int64_t us; (us = lever(limit_us)) != 0; nap())
    if (us > 0 && now_ns() >= start + us * US) return;
}

struct device *device_open(enum device_kind kind, int index) {
  struct slot slots[MOST_SLOTS];
  int size = device_list(slots, MOST_SLOTS);
  struct device *device = NULL;
  for (int i = 0, nth = 0; device == NULL && i < size; i++) {
    if (kind != KIND_ANY && slots[i].kind != kind) continue;
    if (index == ANY_INDEX || nth == index) device = open_slot(&slots[i]);
    nth++;
  }
  if (device != NULL) wait_for_creation(device);
  return device;
}

void device_keep(struct device *device) {
  pthread_mutex_lock(&table);
  device->references++;
  pthread_mutex_unlock(&table);
}

static void forget(struct device *device) {
  struct device **link = &devices;
  while (*link != device) link = &(*link)->next;
  *link = device->next;
}

void device_release(struct device *device) {
  pthread_mutex_lock(&table);
  bool is_last = --device->references == 0;
  if (is_last) {
    forget(device);
    stop_watcher(device);
    if (device->owner == getpid()) show(&device->control->owner_pid, 0);
    unmap(device);
    pthread_mutex_destroy(&device->turn);
    free(device);
  }
  pthread_mutex_unlock(&table);
}

struct control *device_control(struct device *device) { return device->control; }

/* --- serving --------------------------------------------------------------------------------- */

static bool counted_down(int64_t *field) {
  for (int64_t left = lever(field); left != 0; left = lever(field)) {
    if (left < 0) return true;
    if (__atomic_compare_exchange_n(field, &left, left - 1, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
      return true;
  }
  return false;
}

static bool must_hang(struct control *control, int64_t number) {
  if (lever(&control->hang_us) == 0) return false;
  return number == lever(&control->hang_at) || counted_down(&control->hang_next);
}

static void hang(struct device *device) {
  int64_t start = now_ns();
  count(&device->control->hung, 1);
  for (int64_t us; (us = lever(&device->control->hang_us)) != 0; nap()) {
    if (us > 0 && now_ns() >= start + us * US) return;
    if (is_gone(device)) return; /* what that does is the next check's business */
  }
}

static bool must_fail(struct control *control, int64_t number) {
  int64_t first = lever(&control->fail_at), times = lever(&control->fail_n);
  bool is_due = times != 0 && number >= first && (times < 0 || number < first + times);
  return is_due || counted_down(&control->fail_next);
}

/* A queue with one server, kept in numbers: nobody holds the lock while it waits. */
static int64_t enqueue(struct device *device, int64_t begun_ns, int64_t model, int64_t *number) {
  struct control *control = device->control;
  pthread_mutex_lock(&device->turn);
  int64_t start = begun_ns > device->free_at_ns ? begun_ns : device->free_at_ns;
  int64_t service_us = lever(&control->latency_us);
  if (model != device->resident_model) service_us += lever(&control->first_us);
  device->resident_model = model;
  device->free_at_ns = start + service_us * US;
  int64_t until = device->free_at_ns;
  count(&control->invokes, 1);
  count(&control->busy_us, service_us);
  *number = lever(&control->invokes);
  pthread_mutex_unlock(&device->turn);
  return until;
}

const char *device_serve(struct device *device, int64_t begun_ns, int64_t model) {
  int64_t number;
  int64_t until = enqueue(device, begun_ns, model, &number);
  if (must_hang(device->control, number)) hang(device);
  sleep_until(until);
  const char *problem = device_check(device);
  if (problem == NULL && must_fail(device->control, number)) problem = FAILED;
  show(&device->control->last_us, (now_ns() - begun_ns) / US);
  return problem;
}
