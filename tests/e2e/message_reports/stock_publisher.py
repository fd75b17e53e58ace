"""Signs notifications about a mail as Amazon does: moto's SNS publishes and signs them, in the form of moto's SES.

Arguments: the name of the topic, the Message-ID of the mail, and its recipient. The output is a JSON list of three
notifications, that the mail is delayed, was delivered, and bounced: each as a subscriber gets it by HTTP, with the
certificate for its signature. moto signs in version 2; the first one is signed here once more in version 1, as the
documentation of SNS says.
"""

import base64
import copy
import datetime
import http.server
import json
import os
import sys
import threading

TOPIC, MAIL, RECIPIENT = sys.argv[1:]
# Read by boto3, which asks other machines for credentials where it is given none.
os.environ |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}

import boto3
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from moto import mock_aws
from moto.ses import feedback

REGION = "eu-west-1"
now = datetime.datetime.now(datetime.timezone.utc)


def mail():
    mail = copy.deepcopy(feedback.COMMON_MAIL["mail"])
    mail["destination"] = [RECIPIENT]
    # Amazon has an identifier of its own; ours stands among the headers.
    mail["headers"].append({"name": "Message-ID", "value": MAIL})
    mail["commonHeaders"]["messageId"] = MAIL
    return mail


def notification(kind, seconds_ago, fate, **changes):
    at = (now - datetime.timedelta(seconds=seconds_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fate = {**copy.deepcopy(fate), "timestamp": at, **changes}
    return json.dumps({"notificationType": kind, kind.lower(): fate, "mail": mail()})


def bounce(kind, seconds_ago):
    recipient = {**feedback.BOUNCE["bouncedRecipients"][0], "emailAddress": RECIPIENT}
    return notification("Bounce", seconds_ago, feedback.BOUNCE, bounceType=kind, bouncedRecipients=[recipient])


class Subscriber(http.server.BaseHTTPRequestHandler):
    received = []

    def do_POST(self):
        self.received.append(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def published(texts):
    """What a subscriber gets of moto's SNS, each with its certificate."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Subscriber)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with mock_aws():
        sns = boto3.client("sns", region_name=REGION)
        topic = sns.create_topic(Name=TOPIC)["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://127.0.0.1:{server.server_port}/")
        for text in texts:
            # Without a subject, which moto does not sign and Amazon does.
            sns.publish(TopicArn=topic, Message=text)
            message = Subscriber.received[-1]
            yield message, requests.get(json.loads(message)["SigningCertURL"]).text
    server.shutdown()


def signed_in_version_1(message):
    """The message under another key, by SHA-1."""
    message = {**json.loads(message), "SignatureVersion": "1", "Subject": "Amazon SES Email Event Notification"}
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    certificate = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    certificate = certificate.serial_number(x509.random_serial_number())
    certificate = certificate.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = certificate.sign(key, hashes.SHA256())
    signed = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    text = "".join(f"{member}\n{message[member]}\n" for member in signed)
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA1())
    message["Signature"] = base64.b64encode(signature).decode()
    return json.dumps(message), certificate.public_bytes(serialization.Encoding.PEM).decode()


delivery = notification("Delivery", 2, feedback.DELIVERY, recipients=[RECIPIENT])
delayed, delivered, bounced = published([bounce("Transient", 3), delivery, bounce("Permanent", 1)])
told = [signed_in_version_1(delayed[0]), delivered, bounced]
print(json.dumps([{"message": message, "certificate": certificate} for message, certificate in told]))
