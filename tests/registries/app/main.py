"""Become the registry; the environment says where it listens, whom it lets in and where it stores."""

import os

os.execlp("docker-registry", "docker-registry", "serve", "config.yml")
