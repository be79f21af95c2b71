"""Every parser of bytes from outside, given bytes that nobody would send: only a BuildError may come out."""
