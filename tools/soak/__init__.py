"""The whole camera for a long time, while everything around it goes away and returns."""
