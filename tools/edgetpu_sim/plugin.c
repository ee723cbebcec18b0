/* What the library shows to the world: the entry points of libedgetpu.so.1, and one of ours. */
#include <stdlib.h>
#include <string.h>

#include "delegate.h"

#define SHOWN __attribute__((visibility("default")))

enum { MOST_QUEUE_LENGTH = 256, MOST_DIGITS = 6 };

struct edgetpu_device {
  int type; /* 0 PCIe, 1 USB */
  const char *path;
};

struct request {
  enum device_kind kind;
  int index;
};

static bool is_number(const char *text, int *number) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > MOST_DIGITS || text[digits] != '\0') return false;
  *number = atoi(text);
  return true;
}

static bool is_one_of(const char *text, const char *const *known) {
  for (; *known != NULL; known++)
    if (strcmp(text, *known) == 0) return true;
  return false;
}

static bool read_device(const char *text, struct request *request) {
  request->kind = KIND_ANY;
  request->index = ANY_INDEX;
  if (strncmp(text, "usb", 3) == 0) {
    request->kind = KIND_USB;
    text += 3;
  } else if (strncmp(text, "pci", 3) == 0) {
    request->kind = KIND_PCI;
    text += 3;
  }
  return text[0] == '\0' || (text[0] == ':' && is_number(text + 1, &request->index));
}

static bool read_option(const char *key, const char *value, struct request *request) {
  static const char *const speeds[] = {"Low", "Medium", "High", "Max", NULL};
  static const char *const booleans[] = {"True", "False", NULL};
  int length;
  if (strcmp(key, "device") == 0) return read_device(value, request);
  if (strcmp(key, "Performance") == 0) return is_one_of(value, speeds);
  if (strcmp(key, "Usb.AlwaysDfu") == 0) return is_one_of(value, booleans);
  if (strcmp(key, "Usb.MaxBulkInQueueLength") == 0)
    return is_number(value, &length) && length <= MOST_QUEUE_LENGTH;
  return false;
}

/* Like the real one it never says why: `report` stays unused. */
SHOWN void *tflite_plugin_create_delegate(char **keys, char **values, size_t size,
                                          void (*report)(const char *)) {
  (void)report;
  struct request request = {KIND_ANY, ANY_INDEX};
  /* Python passes a C int: only that much of the register means something. */
  for (int i = 0; i < (int)size; i++)
    if (!read_option(keys[i], values[i], &request)) return NULL;
  struct device *device = device_open(request.kind, request.index);
  return device == NULL ? NULL : delegate_new(device);
}

/* Python calls it with NULL after a creation that failed. */
SHOWN void tflite_plugin_destroy_delegate(void *delegate) {
  if (delegate != NULL) delegate_free(delegate);
}

struct listing { /* one piece of memory: the caller frees the first member's address */
  struct edgetpu_device devices[MOST_SLOTS];
  struct slot slots[MOST_SLOTS];
};

SHOWN struct edgetpu_device *edgetpu_list_devices(size_t *size) {
  struct listing *listing = calloc(1, sizeof *listing);
  *size = 0;
  if (listing == NULL) return NULL;
  *size = (size_t)device_list(listing->slots, MOST_SLOTS);
  for (size_t i = 0; i < *size; i++) {
    listing->devices[i].type = listing->slots[i].kind == KIND_USB;
    listing->devices[i].path = listing->slots[i].path;
  }
  if (*size > 0) return listing->devices;
  free(listing);
  return NULL;
}

SHOWN void edgetpu_free_devices(struct edgetpu_device *devices) { free(devices); }

SHOWN const char *edgetpu_version(void) {
  return "BuildLabel(SIMULATED by camera_app), RuntimeVersion(14)";
}

SHOWN void edgetpu_verbosity(int verbosity) { (void)verbosity; }

SHOWN void edgetpu_sim_set_compute(compute_function compute) { delegate_set_compute(compute); }
