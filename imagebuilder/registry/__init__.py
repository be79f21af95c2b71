"""Registries: images pushed and pulled over the OCI distribution protocol."""
