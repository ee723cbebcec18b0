/* The part of TensorFlow Lite's binary interface that a delegate touches.
 *
 * No runtime package ships headers, so the structures are declared here, for 64-bit Linux. Sizes and
 * places are checked while compiling; a runtime with other ones crashes while it loads a network,
 * as it does with a real library that does not match it.
 */
#ifndef TFLITE_ABI_H
#define TFLITE_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STATUS_OK = 0, STATUS_ERROR = 1 };
enum { BUILTIN_DELEGATE = 51 };
enum { EDGETPU_CONTEXT = 2 };
enum { ALLOW_DYNAMIC_TENSORS = 1 };
/* A registration travels by value, and a newer runtime reads further than we know of: zeros there. */
enum { SPARE_POINTERS = 6 };

typedef struct {
  int size;
  int data[];
} IntArray;

typedef struct {
  int32_t type;
  void *data;
  IntArray *dims;
  float scale;
  int32_t zero_point;
  int32_t allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  void *delegate;
  int32_t buffer_handle;
  bool data_is_stale;
  bool is_variable;
  struct {
    int32_t type;
    void *params;
  } quantization;
  void *sparsity;
  const IntArray *dims_signature;
} Tensor;

typedef struct {
  IntArray *inputs;
  IntArray *outputs;
  IntArray *intermediates;
  IntArray *temporaries;
  void *user_data;
  void *builtin_data;
  const void *custom_initial_data;
  int32_t custom_initial_data_size;
  void *delegate;
  bool might_have_side_effect;
} Node;

typedef struct Context Context;
typedef struct Delegate Delegate;

typedef struct {
  void *(*init)(Context *, const char *buffer, size_t length);
  void (*free)(Context *, void *user_data);
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
  const char *(*profiling_string)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int32_t version;
  void *registration_external;
  void *async_kernel;
  uint64_t inplace_operator;
  void *spare[SPARE_POINTERS];
} Registration;

struct Delegate {
  void *data;
  int (*Prepare)(Context *, Delegate *);
  void *CopyFromBufferHandle;
  void *CopyToBufferHandle;
  void *FreeBufferHandle;
  int64_t flags;
  void *opaque_delegate_builder;
  void *spare[SPARE_POINTERS];
};

/* What a kernel's `init` gets as its buffer. */
typedef struct {
  Delegate *delegate;
  IntArray *nodes_to_replace;
  IntArray *input_tensors;
  IntArray *output_tensors;
} DelegateParams;

typedef struct {
  int32_t type;
  int (*Refresh)(Context *);
} ExternalContext;

/* Only its beginning: `GetTensor`, further down, is NULL in the runtimes that we know. */
struct Context {
  size_t tensors_size;
  int (*GetExecutionPlan)(Context *, IntArray **plan);
  Tensor *tensors; /* moves when tensors are added: never kept */
  void *impl;
  int (*ResizeTensor)(Context *, Tensor *, IntArray *);
  void (*ReportError)(Context *, const char *format, ...);
  int (*AddTensors)(Context *, int count, int *first);
  int (*GetNodeAndRegistration)(Context *, int index, Node **, Registration **);
  int (*ReplaceNodeSubsetsWithDelegateKernels)(Context *, Registration, const IntArray *nodes,
                                               Delegate *);
  int32_t recommended_num_threads;
  ExternalContext *(*GetExternalContext)(Context *, int type);
  void (*SetExternalContext)(Context *, int type, ExternalContext *);
};

_Static_assert(sizeof(void *) == 8, "64-bit only");
_Static_assert(sizeof(Tensor) == 112 && offsetof(Tensor, bytes) == 40, "Tensor");
_Static_assert(sizeof(Node) == 80 && offsetof(Node, custom_initial_data) == 48, "Node");
_Static_assert(offsetof(Registration, spare) == 88, "Registration");
_Static_assert(offsetof(Delegate, spare) == 56, "Delegate");
_Static_assert(offsetof(Context, SetExternalContext) == 88, "Context");

#endif
