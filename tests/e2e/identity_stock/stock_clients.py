"""Signs in as a client that knows only the published APIs.

PyJWT verifies the tokens with the published keys, pyotp computes the codes from the provisioning URI, and nats-py reads
the stream: it has the events in order, and neither secrets nor personal values.
"""

import asyncio
import json
import sys
import time
import urllib.error
import urllib.request

import jwt
import nats
import pyotp

URL, NATS, USER, EMAIL, PASSWORD, NAME = sys.argv[1:]
NEW_PASSWORD = "a second horse, this time without staples"
# Texts that no message may contain. Codes are missing, since six digits can occur anywhere.
WITHHELD = {EMAIL, NAME, PASSWORD, NEW_PASSWORD, "$argon2", "127.0.0.1"}

http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
keys = jwt.PyJWKClient(f"{URL}/.well-known/jwks.json")


def send(method, path, body=None, token=None):
    """Sends a request; answers the status and the body."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        with http.open(request, timeout=60) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        status, text = answer.code, answer.read()
    return status, json.loads(text) if text else None


def done(method, path, body=None, token=None):
    """Sends a request that must succeed; answers the body."""
    status, answer = send(method, path, body, token)
    assert 200 <= status < 300, (method, path, status, answer)
    return answer


def refused(expected, code, *request):
    status, answer = send(*request)
    assert (status, answer["errors"][0]["code"]) == (expected, code), (request[:2], status, answer)


def sign_in(password=PASSWORD, **more):
    session = done("POST", "/v1/login/", {"username": EMAIL, "password": password, **more})
    for name in ("access-token", "id-token", "refresh-token"):
        token = session[name]
        # The whole token, and its secret part: the signature of a JWT, or the secret of a refresh token.
        WITHHELD.update({token, token.rpartition(".")[2]})
    return session


def claims(token, audience):
    key = keys.get_signing_key_from_jwt(token)
    required = {"require": ["exp", "iat", "iss", "aud", "sub"]}
    return jwt.decode(token, key, algorithms=["EdDSA"], audience=audience, issuer=URL, options=required)


def tokens_are_verified(session):
    access = claims(session["access-token"], "registrar")
    assert (access["sub"], access["sid"]) == (USER, session["session-id"]), access
    assert access["exp"] - access["iat"] == 3600, access
    identity = claims(session["id-token"], "registrar-clients")
    assert identity["sub"] == USER, identity
    # Neither token is accepted in place of the other, nor is a forged one.
    head, payload, signature = session["access-token"].split(".")
    forged = f"{head}.{payload}.{signature[::-1]}"
    for token, audience in [(session["id-token"], "registrar"), (forged, "registrar")]:
        try:
            claims(token, audience)
        except jwt.InvalidTokenError:
            continue
        raise AssertionError("a token that is none was accepted")


def second_factor(token):
    """Creates and enables a second factor; answers its device."""
    made = done("POST", "/v1/mfa-totp/", {}, token)["data"]
    secret = made["attributes"]["secret"]
    device = pyotp.parse_uri(secret["provisioning-uri"])
    assert (device.name, device.issuer) == (EMAIL, "Registrar"), (device.name, device.issuer)
    assert device.secret == secret["shared-secret-key"]
    WITHHELD.update({device.secret, device.byte_secret().hex()})
    path = f"/v1/mfa-totp/{made['id']}/enable/"
    # The time step can end between here and the server, so there is a second try.
    for _ in range(2):
        now = time.time()
        codes = [device.at(now - 30), device.at(now)]
        status, answer = send("POST", path, {"password": PASSWORD, "codes": codes}, token)
        if status == 201:
            break
    assert status == 201 and answer["data"]["attributes"]["enabled"], answer
    assert device.secret not in json.dumps(answer)
    return device


def act():
    """Signs in and out in every way; answers the ids of the two sessions."""
    first = sign_in()
    tokens_are_verified(first)
    device = second_factor(first["access-token"])

    credentials = {"username": EMAIL, "password": PASSWORD}
    refused(401, "totp-required", "POST", "/v1/login/", credentials)
    # The codes that enabled the device are used up; the server accepts a clock that is one step ahead.
    code = device.at(time.time() + 30)
    second = sign_in(**{"totp-code": code})
    tokens_are_verified(second)
    refused(401, "totp-invalid", "POST", "/v1/login/", {**credentials, "totp-code": code})

    renewed = done("POST", "/v1/refresh-token/", {"refresh-token": second["refresh-token"]})
    WITHHELD.add(renewed["access-token"])
    assert claims(renewed["access-token"], "registrar")["sid"] == second["session-id"]
    change = {"old-password": PASSWORD, "new-password": NEW_PASSWORD}
    done("POST", f"/v1/users/{USER}/change-password/", change, second["access-token"])
    # The session that changes the password goes on, others end.
    refused(401, "unauthenticated", "GET", "/v1/organizations/", None, first["access-token"])
    done("POST", "/v1/logout/", {}, second["access-token"])
    refused(401, "unauthenticated", "GET", "/v1/organizations/", None, second["access-token"])
    return first["session-id"], second["session-id"]


async def told(last):
    """The events up to the first one that matches `last`, in stream order."""
    client = await nats.connect(NATS)
    subscription = await client.jetstream().subscribe("registrar.events.>", ordered_consumer=True)
    events = []
    while not (events and last(events[-1])):
        message = await subscription.next_msg(timeout=30)
        event = json.loads(message.data)
        assert event["position"] == str(len(events) + 1), event
        aggregate, name = event["type"].removeprefix("registrar.").split(".")
        identifier = event["subject"].removeprefix(f"{aggregate}/")
        assert message.subject == f"registrar.events.{aggregate}.{identifier}.{name}", message.subject
        everything = f"{message.subject} {dict(message.headers)} {message.data.decode()}"
        found = [value for value in WITHHELD if value.casefold() in everything.casefold()]
        assert not found, f"{event['type']} tells {found}: {everything}"
        events.append(event)
    await client.close()
    return events


async def main():
    first, second = act()
    last = ("registrar.session.ended", f"session/{second}")
    events = await told(lambda event: (event["type"], event["subject"]) == last)

    # Personal values are present, but redacted.
    created = next(event for event in events if event["type"] == "registrar.user.created")
    assert created["subject"] == f"user/{USER}" and "[redacted]" in json.dumps(created["data"]), created

    def of(identifier):
        return [event["type"].removeprefix("registrar.") for event in events if event["subject"].endswith(identifier)]

    for identifier in (USER, first, second):
        print(*of(identifier))
    factors = [event["type"] for event in events if event["type"].startswith("registrar.totp-configuration.")]
    print(*(name.removeprefix("registrar.") for name in factors))


asyncio.run(main())
