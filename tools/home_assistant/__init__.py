"""The camera tried with the real Home Assistant: `make ha`."""
