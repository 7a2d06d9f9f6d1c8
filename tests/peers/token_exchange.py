"""Token exchange (RFC 8693) by idpyoidc, with one FHIR resource behind it.

    .venv/bin/python token_exchange.py [--port N]

Clients: `issuer-client` got the subject token, which `GET /_subject` gives; `box` exchanges it, with the secret below or
with the key in `--config FILE.json`, `{"jwks": {"keys": [...]}}`, or, as `open-box`, with nothing. Token endpoint: /token. FHIR: /fhir/R4/Patient/1. It ends when its stdin closes.
"""

import argparse
import json
import logging
import sys
import threading

from flask import Flask, Response, request
from idpyoidc.message.oidc import AuthorizationRequest
from idpyoidc.server import Server
from idpyoidc.server.authn_event import create_authn_event
from idpyoidc.server.configure import ASConfiguration
from idpyoidc.server.exception import ClientAuthenticationError
from idpyoidc.server.oauth2.token import Token
from werkzeug.serving import make_server

arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, default=0)
arguments.add_argument("--config")
args = arguments.parse_args()
logging.disable(logging.CRITICAL)

app = Flask("token_exchange")
# The port is part of the issuer, and so of what assertions are for.
listener = make_server("127.0.0.1", args.port, app, threaded=True)
ORIGIN = f"http://127.0.0.1:{listener.server_port}"
SECRET = "the-secret-of-the-box-is-long-enough"
WAYS = ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "public"]
SCOPES = ["openid", "profile", "offline_access"]
rule = {"usage_rules": {"access_token": {"supports_minting": ["access_token", "refresh_token"], "expires_in": 600},
                        "refresh_token": {"supports_minting": ["access_token"]}}}
config = {
    "issuer": ORIGIN,
    "httpc_params": {"verify": False},
    "keys": {"uri_path": "jwks.json", "key_defs": [{"type": "EC", "crv": "P-256", "use": ["sig"]}]},
    "preference": {"grant_types_supported": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"]},
    "token_handler_args": {
        "jwks_file": None,
        "key_conf": {"key_defs": [{"type": "oct", "bytes": "24", "use": ["enc"], "kid": "code"}]},
        "code": {"lifetime": 600},
        "token": {"class": "idpyoidc.server.token.jwt_token.JWTToken", "kwargs": {"lifetime": 600, "aud": ["https://example.org"]}},
        "refresh": {"class": "idpyoidc.server.token.jwt_token.JWTToken", "kwargs": {"lifetime": 600, "aud": ["https://example.org"]}},
    },
    "endpoint": {
        "token": {"path": "token", "class": Token,
                  "kwargs": {"client_authn_method": WAYS}},
    },
    "authz": {"class": "idpyoidc.server.authz.AuthzHandling", "kwargs": {"grant_config": {**rule, "expires_in": 600}}},
    "userinfo": {"class": "idpyoidc.server.user_info.UserInfo", "kwargs": {"db": {"diana": {"sub": "diana"}}}},
    "session_params": {"encrypter": {"kwargs": {"keys": {"key_defs": [
        {"type": "OCT", "use": ["enc"], "kid": "password"}, {"type": "OCT", "use": ["enc"], "kid": "salt"}]}, "iterations": 1}}},
}
server = Server(ASConfiguration(conf=config, base_path="."), cwd=".")
context = server.context
for client in ["issuer-client", "box", "open-box"]:
    context.cdb[client] = {
        **({} if client == "open-box" else {"client_secret": SECRET}),
        "redirect_uris": [("https://example.org/back", None)], "response_types": ["code"],
        "allowed_scopes": SCOPES, "client_salt": "salted",
        "grant_types_supported": ["authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "token_endpoint_auth_method": "public" if client == "open-box" else "client_secret_basic",
    }
    if client != "open-box":
        server.get_attribute("keyjar").add_symmetric(client, SECRET)
if args.config:
    with open(args.config) as file:
        server.get_attribute("keyjar").import_jwks(json.load(file)["jwks"], "box")


def subject():
    """An access token that the other client got for a user."""
    asked = AuthorizationRequest(client_id="issuer-client", redirect_uri="https://example.org/back", scope=["openid", "profile"],
                                 state="s", response_type="code")
    manager = context.session_manager
    session = manager.create_session(create_authn_event("diana"), asked, "diana", client_id="issuer-client", sub_type="public")
    grant = context.authz(session, asked)
    token = grant.mint_token(session_id=session, context=context, token_class="access_token",
                             token_handler=manager.token_handler["access_token"], scope=["openid", "profile"])
    return token.value

endpoint = server.get_endpoint("token")
requests = []


def answer(status, body, kind="application/json"):
    return Response(json.dumps(body), status, content_type=kind)


@app.get("/_subject")
def subject_route():
    return answer(200, {"token": subject()})


@app.get("/_requests")
def requests_route():
    return answer(200, requests)


@app.post("/token")
def token_route():
    headers = {name.lower(): value for name, value in request.headers.items()}
    http = {"headers": headers, "method": "POST", "url": request.url}
    try:
        asked = endpoint.parse_request(request.form.to_dict(), http_info=http)
    except ClientAuthenticationError as error:
        asked = {"error": "invalid_client", "error_description": str(error)}
    done = asked if "error" in asked else endpoint.process_request(request=asked)
    done = done if "error" in done else done["response_args"]
    requests.append({"form": request.form.to_dict(), "error": done.get("error")})
    if "error" in done:
        return answer(401 if done["error"] == "invalid_client" else 400, done if isinstance(done, dict) else done.to_dict())
    return answer(200, dict(done))


@app.get("/fhir/R4/Patient/1")
def patient():
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    try:
        found = context.session_manager.get_session_info_by_token(value, grant=True, handler_key="access_token")
        good = scheme == "Bearer" and found["client_id"] in ["box", "open-box"]
    except Exception:
        good = False
    if not good:
        issue = {"severity": "error", "code": "login", "diagnostics": "a token of the box is needed"}
        return answer(401, {"resourceType": "OperationOutcome", "issue": [issue]}, "application/fhir+json")
    return answer(200, {"resourceType": "Patient", "id": "1"}, "application/fhir+json")


threading.Thread(target=listener.serve_forever, daemon=True).start()
print(f"listening {ORIGIN}", flush=True)
sys.stdin.read()
