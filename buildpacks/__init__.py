"""What goes in: one file per buildpack; a buildpack describes layers and never writes them."""
