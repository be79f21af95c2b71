"""How it becomes bytes: every byte of an image is made in this folder."""
