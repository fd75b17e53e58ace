"""Signs the status of a text message as the gateway does, by the library that Twilio gives its customers to check it.

Standard input is JSON: the token, the address that the gateway got with the message, and the members of the form. The
output is JSON: the form as it is sent, and the signatures of the address as it is and without its port, which Twilio may
leave out.
"""

import json
import sys
from urllib.parse import urlencode, urlparse

from twilio.request_validator import RequestValidator, remove_port

asked = json.load(sys.stdin)
address, form = asked["address"], asked["form"]
validator = RequestValidator(asked["token"])
signatures = [validator.compute_signature(spelled, form) for spelled in (address, remove_port(urlparse(address)))]
assert all(validator.validate(address, form, signature) for signature in signatures)
print(json.dumps({"form": urlencode(form), "signatures": signatures}))
