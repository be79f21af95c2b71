"""The operating system under the application."""
