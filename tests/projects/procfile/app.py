"""Answers with the port it listens on, and with its process id: a shell in front of it would have the first."""

import os


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"port {environ['SERVER_PORT']}, process {os.getppid()}, greeting {os.environ['GREETING']}".encode()]
