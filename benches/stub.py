#!/usr/bin/env python3
"""A FHIR server that takes every Bundle and answers after a while: 201 for each entry. What it is asked costs it little.

It prints its port, and ends with its stdin. `GET /_seen` says how many requests and entries it had since it was asked
last. Usage: benches/stub.py [MILLISECONDS]
"""

import asyncio
import json
import sys

ENTRY = b'{"response":{"status":"201 Created"}}'
METADATA = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "format": ["json"], "rest": []}


class Connection(asyncio.Protocol):
    """One connection: whole requests in, answers out after the delay."""

    delay = 0.005
    requests = entries = 0
    answers = {}

    def connection_made(self, transport):
        self.transport, self.parts, self.length, self.wanted = transport, [], 0, None

    def data_received(self, data):
        self.parts.append(data)
        self.length += len(data)
        if self.wanted is None or self.length >= self.wanted:
            self.read()

    def read(self):
        data = b"".join(self.parts)
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.wanted = None
                break
            head = data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self.wanted = end + 4 + length
            if len(data) < self.wanted:
                break
            self.answer(head.split(b" ", 2), data[end + 4 : self.wanted])
            data = data[self.wanted :]
        self.parts, self.length = [data], len(data)

    def answer(self, words, body):
        cls = Connection
        if words[1] == b"/_seen":
            self.send(json.dumps({"requests": cls.requests, "entries": cls.entries}).encode())
            cls.requests = cls.entries = 0
        elif words[0] == b"get":
            self.send(json.dumps(METADATA).encode())
        else:
            # Each entry has its one `request` (no resource of the benchmark has such a member).
            number = body.count(b'"request":{')
            cls.requests += 1
            cls.entries += number
            kind = b"transaction" if b'"type":"transaction"' in body[:80] else b"batch"
            key = (kind, number)
            if key not in cls.answers:
                bundle = b'{"resourceType":"Bundle","type":"%s-response","entry":[%s]}'
                cls.answers[key] = bundle % (kind, b",".join([ENTRY] * number))
            asyncio.get_running_loop().call_later(cls.delay, self.send, cls.answers[key])

    def send(self, body):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: %d\r\n\r\n" % len(body)
        if not self.transport.is_closing():
            self.transport.write(head + body)


async def main():
    if len(sys.argv) > 1:
        Connection.delay = float(sys.argv[1]) / 1000
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
