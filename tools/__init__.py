"""Programs of the desk: nothing here is installed with the camera."""
