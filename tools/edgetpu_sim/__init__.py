"""A simulated Edge TPU: a `libedgetpu.so.1` that real runtimes load, and levers that break it.

For whoever has no Coral, and for tests of what a Coral does when it dies. The library is C, and the
application cannot tell it from the real one. The networks' answers come from the runtime's own
kernels: a network is compiled for the simulation by `compiler`, and gives the same bits as on the
CPU. Nothing of this is installed with the application.
"""
