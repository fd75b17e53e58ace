#!/usr/bin/env python3
"""Verifies one line of an export with nothing but the export, its proof and the public key.

    verify_event.py journal.ndjson POSITION "$(registrar journal key)"

Needs the package `cryptography` for Ed25519; everything else is in RFC 9162 and C2SP signed-note and is written out
here, so that nothing of Registrar's has to be believed.
"""

import base64
import hashlib
import json
import re
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

path, position, verifier = sys.argv[1], int(sys.argv[2]), sys.argv[3].strip()
sha256 = lambda *parts: hashlib.sha256(b"".join(parts)).digest()

# The checkpoint: origin, size and root, signed. A verifier key is name+id+base64(0x01 || public key).
name, key_id, encoded = verifier.split("+", 2)
key = base64.b64decode(encoded)
assert key_id == sha256(name.encode(), b"\n", key)[:4].hex(), "the key is not what its id says"
text, signatures = open(path + ".checkpoint", encoding="utf-8").read().split("\n\n", 1)
signature = next(line.split(" ")[2] for line in signatures.splitlines() if line.split(" ")[1] == name)
Ed25519PublicKey.from_public_bytes(key[1:]).verify(base64.b64decode(signature)[4:], (text + "\n").encode())
origin, size, root = text.split("\n")[:3]
size, root = int(size), base64.b64decode(root)

# The leaf: the line without its leaf hash. Lines are canonical JSON (RFC 8785) as they stand.
line = next(line for line in open(path, encoding="utf-8") if json.loads(line)["position"] == position)
entry = re.sub(r'"leafHash":"[^"]*",', "", line.rstrip("\n"), count=1)
node = sha256(b"\0", entry.encode())

# The proof (RFC 9162 2.1.3.2).
proof = next(json.loads(line) for line in open(path + ".proofs") if json.loads(line)["position"] == position)
index, last = position - 1, size - 1
for sibling in map(base64.b64decode, proof["hashes"]):
    if index % 2 == 1 or index == last:
        node = sha256(b"\1", sibling, node)
        while index % 2 == 0 and index:
            index, last = index >> 1, last >> 1
    else:
        node = sha256(b"\1", node, sibling)
    index, last = index >> 1, last >> 1
assert last == 0 and node == root, "the event is not the one that was recorded"
print(f"position {position} is in the tree of {size} events that {origin} signed")
