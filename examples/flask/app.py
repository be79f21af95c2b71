"""A small web service: says hello, and who it runs as."""

import os
import ssl

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello from a reproducible image!\n"


@app.get("/health")
def health():
    authorities = ssl.create_default_context().cert_store_stats()["x509_ca"]
    return jsonify(uid=os.getuid(), certificate_authorities=authorities)
