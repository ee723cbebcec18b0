/* The control file of one simulated device: 4096 bytes, shared with whoever pulls the levers.
 *
 * All numbers are int64, little-endian. Python's half is control.py, and a test compares the two.
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stddef.h>
#include <stdint.h>

#define CONTROL_MAGIC "LTPUSIM1"
enum { CONTROL_BYTES = 4096, PATH_BYTES = 256 };

enum on_unplug { UNPLUG_ABORTS, UNPLUG_FAILS, UNPLUG_ABORTS_AT_ONCE, UNPLUG_HANGS };
enum busy_mode { BUSY_REFUSES, BUSY_STEALS };
enum prep_mode { PREP_WORKS, PREP_FAILS, PREP_NEEDS_NEWER_RUNTIME, PREP_CRASHES };
enum { FOR_EVER = -1 };

struct control {
  char magic[8];
  /* Levers: the library reads them. */
  int64_t present;
  int64_t generation;
  int64_t latency_us;
  int64_t first_us;
  int64_t on_unplug;
  int64_t fail_at;
  int64_t fail_n;
  int64_t hang_at;
  int64_t hang_us;
  int64_t busy_mode;
  int64_t claim;
  int64_t compute;
  int64_t create_fail;
  int64_t prep_mode;
  int64_t create_us;
  /* Counters: the library writes them. */
  int64_t invokes;
  int64_t owner_pid;
  int64_t opens;
  int64_t last_us;
  int64_t busy_us;
  int64_t nodes;
  int64_t hung;
  int64_t unused[9];
  /* More levers. The two that end in _next are counted down by the library; -1 stays. */
  int64_t garbage;
  int64_t hang_next;
  int64_t fail_next;
  int64_t unused_too[29];
  char path[PATH_BYTES]; /* what edgetpu_list_devices says; empty: by the slot's number */
  char rest[CONTROL_BYTES - 512 - PATH_BYTES];
};

_Static_assert(offsetof(struct control, on_unplug) == 40, "control");
_Static_assert(offsetof(struct control, busy_mode) == 80, "control");
_Static_assert(offsetof(struct control, create_us) == 120, "control");
_Static_assert(offsetof(struct control, invokes) == 128, "control");
_Static_assert(offsetof(struct control, hung) == 176, "control");
_Static_assert(offsetof(struct control, garbage) == 256, "control");
_Static_assert(offsetof(struct control, path) == 512, "control");
_Static_assert(sizeof(struct control) == CONTROL_BYTES, "control");

static inline int64_t lever(const int64_t *field) { return __atomic_load_n(field, __ATOMIC_ACQUIRE); }

static inline void count(int64_t *field, int64_t more) {
  __atomic_fetch_add(field, more, __ATOMIC_ACQ_REL);
}

static inline void show(int64_t *field, int64_t value) {
  __atomic_store_n(field, value, __ATOMIC_RELEASE);
}

#endif
