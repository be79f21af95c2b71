"""Contents in their own terms: why two files of one kind differ."""
