"""A fleet of cameras at one broker: what it takes, measured (`python -m tools.fleet`)."""
