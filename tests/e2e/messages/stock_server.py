"""A stock mail server: aiosmtpd takes mails, and Python's own parser reads them.

Arguments: the security (clear, starttls or tls), the files of certificate and key, and the only credentials; without
credentials none are asked for. It prints its port, and then a JSON object a line: of every attempt to sign in, and of
every mail with the texts of its parts. It ends with its standard input.
"""

import asyncio
import email
import json
import os
import ssl
import sys
import threading
from email.policy import default

from aiosmtpd.smtp import SMTP, AuthResult

SECURITY, CERTIFICATE, KEY, *CREDENTIALS = sys.argv[1:]


def tell(**event):
    print(json.dumps(event), flush=True)


def authenticate(server, session, envelope, mechanism, data):
    right = [data.login.decode(), data.password.decode()] == CREDENTIALS
    tell(event="sign-in", mechanism=mechanism, right=right, encrypted=encrypted(server))
    # The server itself tells the client of the failure.
    return AuthResult(success=right, handled=False)


def encrypted(server):
    return server.transport.get_extra_info("ssl_object") is not None


def defects(message):
    for part in message.walk():
        found = [*part.defects, *(defect for value in part.values() for defect in value.defects)]
        yield from (type(defect).__name__ for defect in found)


def mailboxes(header):
    return [[mailbox.display_name, mailbox.addr_spec] for mailbox in header.addresses]


def text(part):
    return part.get_content().replace("\r\n", "\n")


class Handler:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=default)
        tell(
            event="mail",
            encrypted=encrypted(server),
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            # A line ends with CR and LF, and neither stands alone.
            lines=not set(envelope.content.replace(b"\r\n", b"")) & set(b"\r\n"),
            ascii=envelope.content.isascii(),
            headers=[[name, str(value)] for name, value in message.items()],
            defects=list(defects(message)),
            addresses={"from": mailboxes(message["from"]), "to": mailboxes(message["to"])},
            date=message["date"].datetime.isoformat(),
            kind=message.get_content_type(),
            parts=[[part.get_content_type(), part.get_content_charset(), text(part)] for part in message.iter_parts()],
        )
        return "250 accepted"


def context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


def protocol():
    starts = SECURITY == "starttls"
    return SMTP(
        Handler(),
        hostname="mail.registrar.example",
        tls_context=context() if starts else None,
        require_starttls=starts,
        auth_required=bool(CREDENTIALS),
        # It does not count TLS from the start as TLS here.
        auth_require_tls=starts,
        authenticator=authenticate,
    )


def end_with_input():
    sys.stdin.buffer.read()
    os._exit(0)


async def main():
    wrapped = context() if SECURITY == "tls" else None
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=wrapped)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


threading.Thread(target=end_with_input, daemon=True).start()
asyncio.run(main())
