"""The checks, one area a file: facts are read from the machine, then judged by pure functions."""
