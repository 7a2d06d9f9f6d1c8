"""Authlib's JWT bearer grant (RFC 7523 section 2.1) on Flask, with one FHIR resource behind it.

    .venv/bin/python jwt_bearer.py --config FILE.json [--port N] [--log]

The configuration: {"clients": [{"issuer": "…", "client_id": "…", "secret": "…" or "jwks": {…}, "users": ["…"]}]}.
Token endpoint: /token. FHIR: /fhir/R4/Patient/1. It ends when its stdin closes.
"""

import argparse
import json
import logging
import os
import sys
import threading

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc7523 import JWTBearerGrant
from flask import Flask, Response, request
from joserfc import jwk
from werkzeug.serving import make_server

arguments = argparse.ArgumentParser()
arguments.add_argument("--config", required=True)
arguments.add_argument("--port", type=int, default=0)
arguments.add_argument("--log", action="store_true")
args = arguments.parse_args()
logging.basicConfig(level=logging.DEBUG if args.log else logging.CRITICAL)

app = Flask("jwt_bearer")
tokens = set()
requests = []


class Client(ClientMixin):
    def __init__(self, settings):
        self.settings = settings

    def get_client_id(self):
        return self.settings["client_id"]

    def check_grant_type(self, grant_type):
        return grant_type == JWTBearerGrant.GRANT_TYPE

    def get_allowed_scope(self, scope):
        return scope


with open(args.config) as file:
    clients = [Client(settings) for settings in json.load(file)["clients"]]


class Grant(JWTBearerGrant):
    def resolve_issuer_client(self, issuer):
        return next((client for client in clients if client.settings["issuer"] == issuer), None)

    def resolve_client_public_key(self, client):
        if "jwks" in client.settings:
            return jwk.KeySet.import_key_set(client.settings["jwks"])
        return jwk.OctKey.import_key(client.settings["secret"])

    def authenticate_user(self, subject):
        known = any(subject in client.settings["users"] for client in clients)
        return subject if known else None

    def has_granted_permission(self, client, user):
        return user in client.settings["users"]

    def get_audiences(self):
        return [request.base_url]


def find_client(client_id):
    return next((client for client in clients if client.get_client_id() == client_id), None)


authorization = AuthorizationServer(
    app,
    query_client=find_client,
    save_token=lambda token, request: tokens.add(token["access_token"]),
)
authorization.register_grant(Grant)


@app.post("/token")
def token():
    shown = {name: value for name, value in request.form.items() if name != "assertion"}
    answer = authorization.create_token_response()
    requests.append({"form": shown, "status": answer.status_code})
    return answer


@app.get("/_requests")
def recorded():
    return requests


@app.get("/fhir/R4/Patient/1")
def patient():
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or value not in tokens:
        return Response('{"resourceType":"OperationOutcome"}', 401, mimetype="application/fhir+json")
    return Response('{"resourceType":"Patient","id":"1"}', mimetype="application/fhir+json")


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


logging.getLogger("werkzeug").disabled = not args.log
server = make_server("127.0.0.1", args.port, app, threaded=True)
threading.Thread(target=end_with_stdin, daemon=True).start()
print(f"listening http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
