"""Source distributions: what they are built with, and the wheels that come out of them."""
