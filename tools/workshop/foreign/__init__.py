"""What runs in the environments of foreign converters, each in a child process of the workshop.

Nothing of this folder is imported by the workshop, and nothing here imports the workshop or the
camera: their libraries are not there. `job.py` is what the two sides agree on.
"""
