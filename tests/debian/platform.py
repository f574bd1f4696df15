"""A platform for the steps: it wants a token, and keeps what it has taken, through a power cut too.

    platform.py FOLDER

The token is in FOLDER/token, and is read for every request. GET /summary says what came so far, to anybody.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

ADDRESS = ("127.0.0.1", 8080)


class Platform:
    """Everything that was taken, as a file that grows: one parcel a line, on the disk before it is answered."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = Lock()
        self.keys, self.standing = set(), {}
        self.parcels = self.doubles = self.replays = self.refused = 0
        path = os.path.join(folder, "parcels")
        self.file = open(path, "a+b")
        self.file.seek(0)
        whole = 0
        for line in self.file:
            if line.endswith(b"\n"):
                self.put(json.loads(line))
                whole += len(line)
        # A line that was cut off was never answered.
        self.file.truncate(whole)

    def knows(self, authorization):
        with open(os.path.join(self.folder, "token"), encoding="utf-8") as token:
            return authorization == f"Bearer {token.read().strip()}"

    def take(self, key, body):
        with self.lock:
            if key in self.keys:
                self.replays += 1
                return
            parcel = {"key": key, "records": body["records"]}
            self.file.write(json.dumps(parcel).encode() + b"\n")
            self.file.flush()
            os.fsync(self.file.fileno())
            self.put(parcel)

    def put(self, parcel):
        self.keys.add(parcel["key"])
        self.parcels += 1
        for record in parcel["records"]:
            operation, run = record.pop("op"), record["run_id"]
            if operation == "delete":
                self.standing.pop(run, None)
            else:
                self.doubles += self.standing.get(run) == record
                self.standing[run] = record

    def summary(self):
        with self.lock:
            return {
                "standing": len(self.standing),
                "doubles": self.doubles,
                "parcels": self.parcels,
                "replays": self.replays,
                "refused": self.refused,
            }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def is_let_in(self):
        if PLATFORM.knows(self.headers.get("Authorization")):
            return True
        with PLATFORM.lock:
            PLATFORM.refused += 1
        self.answer(401, {"message": "the token is not valid"})
        return False

    def do_GET(self):
        if self.path == "/summary":
            self.answer(200, PLATFORM.summary())
        elif self.is_let_in():
            self.answer(200, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.is_let_in():
            PLATFORM.take(self.headers["Idempotency-Key"], json.loads(body))
            self.answer(200, {})

    def log_message(self, *_):
        pass


PLATFORM = Platform(sys.argv[1])
ThreadingHTTPServer(ADDRESS, Handler).serve_forever()
