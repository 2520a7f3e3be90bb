#!/usr/bin/env python3
"""A token server for docker-registry (distribution, "Token Authentication Implementation").

    token_server.py PORT KEY CERTIFICATE LOG

Users: alice/wonderland may do everything, bob/builder may pull, nobody may pull public/*. Tokens are signed with KEY by
openssl(1) and carry CERTIFICATE. Each request is a line of LOG.
"""
import base64
import http.server
import json
import subprocess
import sys
import time
import urllib.parse

port, key, certificate, log = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
USERS = {"alice": "wonderland", "bob": "builder"}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims):
    der = "".join(line for line in open(certificate).read().splitlines() if "CERTIFICATE" not in line)
    header = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
    text = encode(json.dumps(header).encode()) + "." + encode(json.dumps(claims).encode())
    signed = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(), stdout=subprocess.PIPE, check=True)
    return text + "." + encode(signed.stdout)


def allowed(user, name, actions):
    if user == "alice":
        return actions
    if user == "bob" or name.startswith("public/"):
        return [action for action in actions if action == "pull"]
    return []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form.get("grant_type") != ["refresh_token"] or form.get("refresh_token") != ["alices-refresh-token"]:
            return self.reply(400, {"error": "invalid_grant", "error_description": "no such refresh token"})
        self.grant("alice", form.get("service", [""])[0], form.get("scope", [""])[0].split(), "access_token")

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user = None
        given = self.headers.get("Authorization", "")
        if given:
            user, _, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
            if USERS.get(user) != password:
                return self.reply(401, {"details": "incorrect username or password"})
        self.grant(user, query.get("service", [""])[0], query.get("scope", []), "token")

    def grant(self, user, service, scopes, field):
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 2)
            access.append({"type": kind, "name": name, "actions": allowed(user, name, actions.split(","))})
        with open(log, "a") as file:
            file.write(f"{user} {' '.join(sorted(scopes))}\n")
        now = int(time.time())
        claims = {"iss": "gantry-test", "sub": user or "", "aud": service, "exp": now + 300, "nbf": now - 10,
                  "iat": now, "jti": str(time.monotonic_ns()), "access": access}
        self.reply(200, {field: sign(claims), "expires_in": 300})

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
