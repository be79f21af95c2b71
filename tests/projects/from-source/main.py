import shutil

import psycopg2

try:
    psycopg2.connect("host=/nowhere")
except psycopg2.OperationalError as error:
    print("libpq" if psycopg2.__libpq_version__ > 0 else "", "/nowhere" in str(error), shutil.which("gcc"))
