"""The commands, a module each: words in, one call out.

A module offers `configure(subparsers)`, which adds its parser and sets `run` as its default;
`run(arguments)` does the work and returns the exit code.
"""
