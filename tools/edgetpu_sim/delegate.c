/* One delegate kernel for each claimed node, as in the real library.
 *
 * A compiled file is a black box to us. What computes instead, and is then timed as if the device
 * had: nothing (zeros), a callback, the runtime's own kernels between the two copying operators of
 * the fake compiler, or the original kernel of a claimed node.
 */
#include "delegate.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define CUSTOM_NAME "edgetpu-custom-op"
#define KERNEL_NAME "EdgeTpuDelegateForCustomOp"
#define COPY_OPTIONS "SIMCOPY1"
#define BLANK_OPTIONS "SIMBLANK" /* and the byte that fills each output */
#define CANNOT_PREPARE "SIMULATED: the delegate cannot take this model."
#define NEEDS_NEWER_RUNTIME                                                                       \
  "Failed to prepare for TPU. Failed precondition: Package requires runtime version (15), which " \
  "is newer than this runtime version (14)."
#define COMPUTE_FAILED "SIMULATED: the callback failed."
#define SIZES_DIFFER "SIMULATED: the tensors to copy differ in size."

enum role {
  ROLE_BEGIN = 1, /* a request starts here */
  ROLE_END = 2,   /* and is answered here */
  ROLE_COPY = 4,
  ROLE_BLACK_BOX = 8,
  ROLE_WRAP = 16,
};

struct simulated_delegate {
  Delegate base; /* first: the runtime's pointer is ours */
  struct device *device;
  int64_t model;  /* these two are for the kernels that are being made */
  unsigned roles;
};

struct kernel {
  struct device *device;
  int64_t model;
  unsigned roles;
  Node node; /* the original, by value: the runtime moves its own */
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
};

static compute_function compute_outside;
static ExternalContext external_context = {.type = EDGETPU_CONTEXT};
static _Thread_local int64_t begun_ns; /* an invocation begins and ends on one thread */

void delegate_set_compute(compute_function compute) { compute_outside = compute; }

static int fail(Context *context, const char *what) {
  context->ReportError(context, "%s", what);
  return STATUS_ERROR;
}

static IntArray *new_array(int size, const int *data) {
  IntArray *array = calloc(1, sizeof *array + (size_t)size * sizeof(int));
  if (array == NULL) abort();
  array->size = size;
  if (size > 0) memcpy(array->data, data, (size_t)size * sizeof(int));
  return array;
}

static Tensor *tensor(Context *context, const IntArray *indexes, int i) {
  return &context->tensors[indexes->data[i]];
}

/* --- kernels --------------------------------------------------------------------------------- */

static void *kernel_init(Context *context, const char *buffer, size_t length) {
  (void)length;
  const DelegateParams *params = (const DelegateParams *)(const void *)buffer;
  struct simulated_delegate *delegate = params->delegate->data;
  struct kernel *kernel = calloc(1, sizeof *kernel);
  Node *node;
  Registration *registration;
  if (kernel == NULL) abort();
  context->GetNodeAndRegistration(context, params->nodes_to_replace->data[0], &node, &registration);
  kernel->device = delegate->device;
  kernel->model = delegate->model;
  kernel->roles = delegate->roles;
  kernel->node = *node;
  /* Kernels free this one and put another in its place: the original must not see that. */
  kernel->node.temporaries = new_array(0, NULL);
  kernel->prepare = registration->prepare;
  kernel->invoke = registration->invoke;
  device_keep(kernel->device);
  return kernel;
}

static void kernel_free(Context *context, void *user_data) {
  (void)context;
  struct kernel *kernel = user_data;
  device_release(kernel->device);
  free(kernel->node.temporaries);
  free(kernel);
}

static int prepare_wrapped(Context *context, struct kernel *kernel, Node *shown) {
  if (kernel->prepare != NULL && kernel->prepare(context, &kernel->node) != STATUS_OK)
    return STATUS_ERROR;
  /* The runtime plans memory for the temporaries of the node that it sees. */
  free(shown->temporaries);
  shown->temporaries = new_array(kernel->node.temporaries->size, kernel->node.temporaries->data);
  return STATUS_OK;
}

static int check_copy(Context *context, const Node *node) {
  if (node->inputs->size != node->outputs->size) return fail(context, SIZES_DIFFER);
  for (int i = 0; i < node->inputs->size; i++)
    if (tensor(context, node->inputs, i)->bytes != tensor(context, node->outputs, i)->bytes)
      return fail(context, SIZES_DIFFER);
  return STATUS_OK;
}

static int kernel_prepare(Context *context, Node *shown) {
  struct kernel *kernel = shown->user_data;
  if (lever(&device_control(kernel->device)->prep_mode) == PREP_NEEDS_NEWER_RUNTIME)
    return fail(context, NEEDS_NEWER_RUNTIME);
  if (kernel->roles & ROLE_COPY) return check_copy(context, &kernel->node);
  if (kernel->roles & ROLE_WRAP) return prepare_wrapped(context, kernel, shown);
  return STATUS_OK;
}

static void copy(Context *context, const Node *node) {
  for (int i = 0; i < node->inputs->size; i++) {
    const Tensor *from = tensor(context, node->inputs, i);
    memcpy(tensor(context, node->outputs, i)->data, from->data, from->bytes);
  }
}

static void describe(Context *context, const IntArray *indexes, void **data, size_t *bytes) {
  for (int i = 0; i < indexes->size; i++) {
    data[i] = tensor(context, indexes, i)->data;
    bytes[i] = tensor(context, indexes, i)->bytes;
  }
}

static int ask_outside(Context *context, const Node *node) {
  int ins = node->inputs->size, outs = node->outputs->size;
  void *inputs[ins + 1], *outputs[outs + 1]; /* one more: an array of none is no array */
  size_t input_bytes[ins + 1], output_bytes[outs + 1];
  describe(context, node->inputs, inputs, input_bytes);
  describe(context, node->outputs, outputs, output_bytes);
  int problem = compute_outside(node->custom_initial_data, node->custom_initial_data_size, ins,
                                inputs, input_bytes, outs, outputs, output_bytes);
  return problem == 0 ? STATUS_OK : fail(context, COMPUTE_FAILED);
}

static const unsigned char *blanks(const Node *node) { /* NULL if it is no blank file */
  size_t length = strlen(BLANK_OPTIONS);
  const char *options = node->custom_initial_data;
  bool is_blank = node->custom_initial_data_size == (int)length + node->outputs->size &&
                  memcmp(options, BLANK_OPTIONS, length) == 0;
  return is_blank ? (const unsigned char *)options + length : NULL;
}

static void fill(Context *context, const Node *node, const unsigned char *bytes) {
  for (int i = 0; i < node->outputs->size; i++) {
    Tensor *output = tensor(context, node->outputs, i);
    memset(output->data, bytes == NULL ? 0 : bytes[i], output->bytes);
  }
}

static int run_black_box(Context *context, struct kernel *kernel) {
  const Node *node = &kernel->node;
  const unsigned char *bytes = blanks(node);
  bool is_skipped = lever(&device_control(kernel->device)->compute) != 0;
  if (bytes == NULL && compute_outside != NULL && !is_skipped) return ask_outside(context, node);
  fill(context, node, bytes);
  return STATUS_OK;
}

static int run(Context *context, struct kernel *kernel) {
  /* The original's tensors: those of the node that the runtime shows are sorted by number. */
  if (kernel->roles & ROLE_WRAP) return kernel->invoke(context, &kernel->node);
  if (kernel->roles & ROLE_BLACK_BOX) return run_black_box(context, kernel);
  copy(context, &kernel->node);
  return STATUS_OK;
}

static void spoil(Context *context, const Node *node) {
  uint64_t noise = (uint64_t)now_ns() | 1;
  for (int i = 0; i < node->outputs->size; i++) {
    Tensor *output = tensor(context, node->outputs, i);
    for (size_t place = 0; place < output->bytes; place++) {
      noise ^= noise << 13;
      noise ^= noise >> 7;
      noise ^= noise << 17;
      ((unsigned char *)output->data)[place] = (unsigned char)(noise >> 32);
    }
  }
}

static int begin(Context *context, struct kernel *kernel) {
  begun_ns = now_ns();
  const char *problem = device_check(kernel->device);
  return problem == NULL ? STATUS_OK : fail(context, problem);
}

static int end(Context *context, struct kernel *kernel) {
  const char *problem = device_serve(kernel->device, begun_ns, kernel->model);
  if (problem != NULL) return fail(context, problem);
  if (lever(&device_control(kernel->device)->garbage) != 0) spoil(context, &kernel->node);
  return STATUS_OK;
}

static int kernel_invoke(Context *context, Node *shown) {
  struct kernel *kernel = shown->user_data;
  if (kernel->roles & ROLE_BEGIN && begin(context, kernel) != STATUS_OK) return STATUS_ERROR;
  if (run(context, kernel) != STATUS_OK) return STATUS_ERROR;
  return kernel->roles & ROLE_END ? end(context, kernel) : STATUS_OK;
}

/* --- claiming -------------------------------------------------------------------------------- */

struct claimed {
  int node;
  unsigned roles;
};

static unsigned roles_of(const Node *node, const Registration *registration) {
  if (registration->custom_name == NULL || strcmp(registration->custom_name, CUSTOM_NAME) != 0)
    return ROLE_WRAP;
  bool is_copy = node->custom_initial_data_size == (int)strlen(COPY_OPTIONS) &&
                 memcmp(node->custom_initial_data, COPY_OPTIONS, strlen(COPY_OPTIONS)) == 0;
  return is_copy ? ROLE_COPY : ROLE_BLACK_BOX | ROLE_BEGIN | ROLE_END;
}

static bool is_claimed(int64_t claim, unsigned roles, int place) {
  if (!(roles & ROLE_WRAP)) return true;
  return claim == 1 || (claim > 1 && place < claim - 1);
}

static int claim_nodes(Context *context, int64_t claim, const IntArray *plan, struct claimed *all) {
  int size = 0;
  for (int place = 0; place < plan->size; place++) {
    Node *node;
    Registration *registration;
    if (context->GetNodeAndRegistration(context, plan->data[place], &node, &registration)) continue;
    unsigned roles = roles_of(node, registration);
    if (is_claimed(claim, roles, place)) all[size++] = (struct claimed){plan->data[place], roles};
  }
  return size;
}

/* The first and the last of a kind of node are where a request starts and is answered. */
static bool bracket(struct claimed *all, int size, unsigned kind) {
  struct claimed *first = NULL, *last = NULL;
  for (int i = 0; i < size; i++) {
    if (!(all[i].roles & kind)) continue;
    first = first == NULL ? &all[i] : first;
    last = &all[i];
  }
  if (first == NULL) return false;
  first->roles |= ROLE_BEGIN;
  last->roles |= ROLE_END;
  return true;
}

static int replace(Context *context, struct simulated_delegate *delegate,
                   const struct claimed *claimed) {
  Registration kernel = {
      .init = kernel_init,
      .free = kernel_free,
      .prepare = kernel_prepare,
      .invoke = kernel_invoke,
      .builtin_code = BUILTIN_DELEGATE,
      .custom_name = KERNEL_NAME,
      .version = 1,
  };
  IntArray *alone = new_array(1, &claimed->node);
  delegate->roles = claimed->roles;
  int status =
      context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, alone, &delegate->base);
  free(alone);
  return status;
}

static int take_nodes(Context *context, struct simulated_delegate *delegate, const IntArray *plan) {
  struct control *control = device_control(delegate->device);
  struct claimed *all = calloc((size_t)plan->size + 1, sizeof *all);
  if (all == NULL) abort();
  int size = claim_nodes(context, lever(&control->claim), plan, all);
  if (!bracket(all, size, ROLE_COPY)) bracket(all, size, ROLE_WRAP);
  show(&control->nodes, size);
  int status = STATUS_OK;
  for (int i = 0; status == STATUS_OK && i < size; i++)
    status = replace(context, delegate, &all[i]);
  free(all);
  return status;
}

static int64_t next_model(void) {
  static int64_t made;
  return __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
}

static int prepare(Context *context, Delegate *base) {
  struct simulated_delegate *delegate = base->data;
  int64_t mode = lever(&device_control(delegate->device)->prep_mode);
  IntArray *plan;
  if (mode == PREP_CRASHES) raise(SIGSEGV);
  if (mode == PREP_FAILS) return fail(context, CANNOT_PREPARE);
  context->SetExternalContext(context, EDGETPU_CONTEXT, &external_context);
  if (context->GetExecutionPlan(context, &plan) != STATUS_OK) return STATUS_ERROR;
  /* A copy: the plan changes with every node that is replaced. */
  IntArray *before = new_array(plan->size, plan->data);
  delegate->model = next_model();
  int status = take_nodes(context, delegate, before);
  free(before);
  return status;
}

Delegate *delegate_new(struct device *device) {
  struct simulated_delegate *delegate = calloc(1, sizeof *delegate);
  if (delegate == NULL) abort();
  delegate->device = device;
  delegate->base.data = delegate;
  delegate->base.Prepare = prepare;
  delegate->base.flags = ALLOW_DYNAMIC_TENSORS;
  return &delegate->base;
}

void delegate_free(Delegate *base) {
  struct simulated_delegate *delegate = base->data;
  device_release(delegate->device);
  free(delegate);
}
