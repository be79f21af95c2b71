"""What the image's own Python does while the image is made: bytecode, and what frameworks prepare."""
