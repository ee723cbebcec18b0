/* One simulated Edge TPU as a process sees it: found, opened, owned, busy, gone. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"

enum device_kind { KIND_PCI, KIND_USB, KIND_ANY };
enum { MOST_SLOTS = 64, ANY_INDEX = -1 };

struct slot {
  enum device_kind kind;
  int number;
  char path[PATH_BYTES];
};

struct device;

/* Find the devices that are plugged, in the order of the file names; returns how many. */
int device_list(struct slot *found, int limit);

/* Open one for this process, or share the one that it has open; NULL if there is none to have. */
struct device *device_open(enum device_kind kind, int index);
void device_keep(struct device *device);
void device_release(struct device *device);

struct control *device_control(struct device *device);

/* The two below return NULL when all is well, else what went wrong. */
const char *device_check(struct device *device);
/* Wait until the device would have answered a request begun then. */
const char *device_serve(struct device *device, int64_t begun_ns, int64_t model);

int64_t now_ns(void);

#endif
