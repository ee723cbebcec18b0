"""A camera's devices and load on a virtual clock, under the scheduling policy that ships.

python -m tools.scheduling_sim frigate-load
python -m tools.scheduling_sim scale
python -m tools.scheduling_sim months
"""
