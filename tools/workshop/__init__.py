"""The model workshop: from labelled pictures to a signed int8 model pack, one command a step.

Runs at a desk, in an environment of its own (`make workshop`); nothing of it is installed on the
camera.
"""
