"""Whether it stays the same: builds compared, from the manifest down to the byte."""
