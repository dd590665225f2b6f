"""The bare ceiling: Flask on waitress that answers constant bytes, as fast as the two allow."""

import sys

from flask import Flask, Response
from waitress import create_server

app = Flask("ceiling", static_folder=None)


@app.route("/<path:_>", methods=["GET", "POST", "PATCH"])
def answer(_: str) -> Response:
    return Response(b'{"data":[]}', mimetype="application/json")


if __name__ == "__main__":
    server = create_server(app, host="127.0.0.1", port=0, threads=int(sys.argv[1]), asyncore_use_poll=True, ident=None)
    print(f"Listening on http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()
