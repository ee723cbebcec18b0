/* The delegate that a runtime gets: which nodes it claims, and what happens in them. */
#ifndef DELEGATE_H
#define DELEGATE_H

#include "device.h"
#include "tflite_abi.h"

/* Computes a compiled program from outside; non-zero means failure. */
typedef int (*compute_function)(const void *options, int length, int input_count, void **inputs,
                                size_t *input_bytes, int output_count, void **outputs,
                                size_t *output_bytes);

Delegate *delegate_new(struct device *device); /* takes over the caller's hold on the device */
void delegate_free(Delegate *delegate);
void delegate_set_compute(compute_function compute);

#endif
