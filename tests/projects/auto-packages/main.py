"""A wheel that leaves a library of X11 to the system, also for what needs no window."""

import ctypes

import pyray

print(pyray.color_to_int(pyray.Color(0, 0, 0, 42)), ctypes.CDLL("libX11.so.6").XOpenDisplay(None))
