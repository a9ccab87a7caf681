#!/usr/bin/env python3
"""Makes the certificates and identities of the tests against nats-server. Good for nothing else.

Needs openssl and the Python package cryptography. Run in this directory.
"""
import base64
import hashlib
import json
import os
import subprocess

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, PrivateFormat, NoEncryption

PREFIX = {"O": 14 << 3, "A": 0, "U": 20 << 3}
SEED = 18 << 3


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def encode(data):
    return base64.b32encode(data + crc16(data).to_bytes(2, "little")).decode().rstrip("=")


class Key:
    def __init__(self, kind):
        self.private = Ed25519PrivateKey.generate()
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        seed = self.private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        prefix = PREFIX[kind]
        self.public = encode(bytes([prefix]) + raw)
        self.seed = encode(bytes([SEED | prefix >> 5, (prefix & 31) << 3]) + seed)


def url64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(issuer, subject, name, nats):
    claims = {"iat": 1700000000, "iss": issuer.public, "name": name, "sub": subject.public, "nats": nats}
    text = json.dumps(claims, separators=(",", ":")).encode()
    claims["jti"] = base64.b32encode(hashlib.new("sha512_256", text).digest()).decode().rstrip("=")
    head = url64(b'{"typ":"JWT","alg":"ed25519-nkey"}')
    body = head + "." + url64(json.dumps(claims, separators=(",", ":")).encode())
    return body + "." + url64(issuer.private.sign(body.encode()))


operator, account, user = Key("O"), Key("A"), Key("U")
limits = {"subs": -1, "data": -1, "payload": -1}
operator_jwt = jwt(operator, operator, "test", {"type": "operator", "version": 2})
account_jwt = jwt(operator, account, "test", {
    "type": "account", "version": 2, "default_permissions": {"pub": {}, "sub": {}},
    "limits": {**limits, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}})
user_jwt = jwt(account, user, "test", {"type": "user", "version": 2, "pub": {}, "sub": {}, **limits})
with open("operator.conf", "w") as file:
    file.write(f"operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {account.public}: {account_jwt} }}\n")
with open("user.creds", "w") as file:
    file.write(f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
               f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n")
nkey = Key("U")
open("user.nkey.seed", "w").write(nkey.seed + "\n")
open("user.nkey.public", "w").write(nkey.public + "\n")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True)


openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out",
        "ca.pem", "-days", "36500", "-subj", "/CN=cc-metric-store tests", "-addext", "basicConstraints=critical,CA:TRUE")
openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out",
        "server.csr", "-subj", "/CN=127.0.0.1")
with open("extensions", "w") as file:
    file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "36500",
        "-out", "server.pem", "-extfile", "extensions")
for name in ("ca.key", "ca.srl", "server.csr", "extensions"):
    if os.path.exists(name):
        os.remove(name)
