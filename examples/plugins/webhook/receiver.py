#!/usr/bin/env python3
"""A receiver to try the plugin against, on this machine only: python3 receiver.py [PORT]

It takes what the plugin sends, keeps members in memory, and prints each change. Its only token is
`demo-token`. It is no example of a good server.
"""

import json
import sys
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MEMBERS = {}
IMPORTS = {}


class Receiver(BaseHTTPRequestHandler):
    def do_GET(self):
        if not self.known():
            return
        if self.path.startswith("/v1/imports/"):
            accepted = IMPORTS.get(self.path.rsplit("/", 1)[1])
            if accepted is None:
                return self.answer(404, {})
            return self.answer(200, {"status": "succeeded", "accepted": accepted, "refused": 0})
        self.answer(200, MEMBERS if self.path == "/v1/members" else {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if not self.known():
            return
        if self.path == "/v1/imports":
            head = b"content-type: " + self.headers["content-type"].encode() + b"\r\n\r\n"
            part = BytesParser().parsebytes(head + body).get_payload(0)
            lines = part.get_payload(decode=True).decode().split("\n")
            members = [json.loads(line) for line in lines if line]
            MEMBERS.update({member["id"]: member for member in members})
            number = str(len(IMPORTS) + 1)
            IMPORTS[number] = len(members)
            say(f"import {number}: {len(members)} members")
            return self.answer(202, {"id": number})
        for change in json.loads(body):
            member = change["member"]
            MEMBERS.setdefault(member["id"], {}).update(member)
            say(f"{change['change']} {json.dumps(member, ensure_ascii=False)}")
        self.answer(200, {})

    def known(self):
        if self.headers["authorization"] == "Bearer demo-token":
            return True
        self.answer(401, {})
        return False

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def say(line):
    print(line, flush=True)


server = ThreadingHTTPServer(("127.0.0.1", int((sys.argv + ["8091"])[1])), Receiver)
say(f"receiver: http://127.0.0.1:{server.server_port}/v1")
server.serve_forever()
