"""Changes to the requests that schemathesis derives from the identity contract.

Generated identifiers do not exist, and a 400 or 404 hides everything else: three of four valid requests get the
identifiers of existing resources.
"""

import itertools
import json
import os
import urllib.request

import schemathesis

# Names of operations, and identifiers of existing resources by their path; both from the test.
OFFERED = set(os.environ["REGISTRAR_TEST_OFFERED"].split())
KNOWN = json.loads(os.environ["REGISTRAR_TEST_KNOWN"])

# Known values, by name of the member or parameter.
NAMES = {
    "feature-name": "features",
    "filter[group-id]": "individual-groups",
    "filter[individual-id]": "individuals",
    "filter[leader-id]": "users",
    "filter[organization-id]": "organizations",
    "filter[user-id]": "users",
    "individual-group-id": "individual-groups",
    "individual-group-ids": "individual-groups",
    "individual-id": "individuals",
    "individual-ids": "individuals",
    "leader-ids": "users",
    "organization": "organizations",
    "organization-code": "organization-codes",
    "organization-id": "organizations",
    "organizations": "organizations",
    "owner-id": "organizations",
    "patient-ids": "individuals",
    "refresh-token": "refresh-token",
    "remove-from-group": "other-group",
    "role-id": "roles",
    "theme-id": "organization-themes",
    "to-parent-group-id": "division",
    "user-id": "users",
    "user-ids": "users",
}

# Users of commands that would disturb others or need a certain user.
PEOPLE = {
    "change-email": "caller",
    "confirm-phone": "phoned",
    "delete-service-document-agreements": "caller",
    "disable": "leaver",
    "enable": "leaver",
    "switch-organization": "caller",
}

# Commands with an empty body.
EMPTY = {"create-totp-configuration", "delete-user-service-document-agreements", "disable-user", "enable-user"}

# Operations that count wrong codes: sixty of a network lock it, so each request comes from another one.
COUNTED = {
    "confirm-forgot-password",
    "confirm-sign-up",
    "get-onboarding-info",
    "get-organization-code-info",
    "list-service-documents",
    "sign-up",
}

numbers = itertools.count(1)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Removes operations that are not offered yet, and lets a channel be without an invitation."""
    invites = raw_schema["components"]["schemas"]["OnboardingRequestAttributes"]["properties"]["last-invite"]["properties"]
    for channel, invite in invites.items():
        invites[channel] = {"anyOf": [invite, {"type": "null"}]}
    for path, item in list(raw_schema["paths"].items()):
        for method, operation in list(item.items()):
            if isinstance(operation, dict) and operation.get("operationId") not in OFFERED:
                del item[method]
        if not any(isinstance(operation, dict) for operation in item.values()):
            del raw_schema["paths"][path]


@schemathesis.hook
def before_call(context, case, kwargs):
    number = next(numbers)
    operation = case.operation.definition.raw.get("operationId")
    if not (case.meta is None or case.meta.generation.mode.is_positive):
        return
    if operation in COUNTED:
        case.headers["X-Forwarded-For"] = f"10.{number // 250 % 250}.{number % 250}.1"
    if number % 4 == 0:
        return
    parameters, body = case.path_parameters or {}, case.body
    parts = case.path.split("/")
    if "id" in parameters and parts[2] == "mfa-totp":
        parameters["id"] = new_device()
    elif operation == "resend-onboarding-invitation":
        # An address gets three messages in ten minutes.
        parameters["id"] = new_request(number)
    elif "id" in parameters and parts[2] in KNOWN:
        parameters["id"] = KNOWN[PEOPLE.get(parts[-2], parts[2])]
    know(case.query or {})
    if isinstance(body, dict):
        know(body)
        data = body.get("data")
        if isinstance(data, dict) and "id" in data and "id" in parameters:
            data["id"] = parameters["id"]
        improve(operation, body, number)


@schemathesis.hook
def after_call(context, case, response):
    """Keeps the identifier of a created resource, unless the path has a known one."""
    parts = case.path.split("/")
    if case.method == "POST" and len(parts) == 4 and response.status_code == 201:
        answer = response.json()
        data = answer.get("data") if isinstance(answer, dict) else None
        if isinstance(data, dict) and "id" in data:
            KNOWN.setdefault(parts[2], data["id"])


def know(members):
    for name, value in members.items():
        if isinstance(value, dict):
            know(value)
        elif name in NAMES and isinstance(value, str):
            members[name] = KNOWN[NAMES[name]]
        elif name in NAMES and value and isinstance(value, list):
            members[name] = [KNOWN[NAMES[name]]]
    for identifier, address in [("user-id", "email"), ("user-ids", "user-emails")]:
        if identifier in members:
            members.pop(address, None)


def improve(operation, body, number):
    """Replaces values whose schemas only give a type."""
    data = body.get("data")
    attributes = data.get("attributes") if isinstance(data, dict) else None
    attributes = attributes if isinstance(attributes, dict) else {}
    if operation in EMPTY:
        body.clear()
    elif operation == "change-user-email":
        body["email"] = f"caller{number}@example.com"
    elif operation == "change-user-password":
        body["new-password"] = f"another horse entirely, quite blue, {number}"
    elif operation in ("confirm-forgot-password", "confirm-sign-up", "resend-invitation"):
        # Five wrong codes lock a name, and so do two messages.
        body["username"] = f"nobody{number}@example.com"
        if "email" in body:
            body["email"] = body["username"]
    elif operation == "confirm-user-phone":
        body["phone-number"] = "+12025550123"
    elif operation == "create-feature":
        attributes["id"] = f"new-{number}"
    elif operation == "create-individual":
        attributes["individual-id"] = f"00000000-0000-4000-8000-{number:012x}"
    elif operation == "create-individual-group":
        attributes["name"] = f"Group {number}"
    elif operation == "create-organization":
        attributes["name"] = f"new-{number}"
        attributes.pop("timezone", None)
    elif operation == "create-organization-theme":
        attributes["domain"] = f"new-{number}.example.com"
    elif operation == "update-organization-theme" and "domain" in attributes:
        attributes["domain"] = f"other-{number}.example.com"
    elif operation in ("create-organization-feature", "create-user-feature"):
        attributes["feature-name"] = KNOWN["spare-features"][number % 40]
    elif operation == "create-organization-general-message":
        attributes["name"] = f"message-{number}"
    elif operation == "create-organization-code":
        attributes["id"] = f"new-{number}"
    elif operation == "update-organization-code":
        # Closed, the known code would be unknown to all who look it up.
        attributes.pop("expires-at", None)
    elif operation == "create-onboarding-request":
        onboard(attributes, number)
    elif operation == "update-onboarding-request":
        attributes["email"] = f"corrected{number}@unknown.example"
    elif operation == "update-onboarding-text-status" and "status" in attributes:
        attributes["status"] = "delivered"
    elif operation == "get-onboarding-info":
        attributes.update(KNOWN["onboarding-code"])
        attributes.pop("phone-number", None)
    elif operation == "create-registration-invitation":
        attributes["invited-email"] = f"friend{number}@unknown.example"
    elif operation in ("update-organization-feature", "update-user-feature"):
        attributes["force"] = True
    elif operation in ("create-organization-email-template", "create-organization-sms-template"):
        write(attributes, number)
    elif operation in ("update-organization-email-template", "update-organization-sms-template"):
        write(attributes, number)
        # Another purpose conflicts with other templates sooner or later.
        for name in ("format", "locale", "type"):
            attributes.pop(name, None)
    elif operation == "disable-totp-configuration":
        body["password"] = KNOWN["password"]
    elif operation == "internal-auth-v1":
        body.update(KNOWN["workload"])
    elif operation == "internal-auth":
        attributes["token"] = KNOWN["workload-token"]
    elif operation in ("create-url-shortener", "update-url-shortener"):
        attributes.update({"netloc": "links.example.org", "full-path": f"/{number}", "expires-at": None})
    elif operation == "login":
        body.clear()
        body.update(username="admin@example.com", password=KNOWN["password"])
    elif operation == "remove-organization-user":
        attributes["user-id"] = KNOWN["leaver"]
    elif operation == "sign-up":
        body["username"] = f"new{number}@example.com"
        body["password"] = f"another horse entirely, quite blue, {number}"
        if "organization-code" in body:
            body.update({"first-name": "New", "last-name": f"Person {number}"})
        if number % 4 != 1:
            for name in ("contact-phone-mobile", "email", "enrollment-data", "preferred-name"):
                body.pop(name, None)
            for name in ("service-document-agreements", "set-username", "source"):
                body.pop(name, None)


def write(attributes, number):
    """Puts texts that are in the language of templates into those that there are."""
    texts = {"subject": "Subject", "support-email": "help@example.com", "support-email-title": "Help", "template": "Text"}
    for name, text in texts.items():
        if name in attributes:
            attributes[name] = text if "@" in text else f"{text} {number}"


def onboard(attributes, number):
    """Makes the person another one each time, with nothing that does not fit together."""
    for name in ("auto-sign-up", "notifications", "password", "phone-number", "provider-roles", "username"):
        attributes.pop(name, None)
    attributes["patient-email"] = f"person{number}@unknown.example"
    if attributes.get("onboard-type") == "provider":
        attributes.pop("patient", None)
        attributes["provider-roles"] = ["org.provider"]
    else:
        attributes["patient"] = new_individual(number)


def new_device():
    return create("mfa-totp", {})


def new_individual(number):
    identifier = f"00000000-0000-4000-8001-{number:012x}"
    attributes = {"individual-id": identifier, "owner-id": KNOWN["organizations"]}
    return create("individuals", {"data": {"type": "individuals", "attributes": attributes}})


def new_request(number):
    address = f"again{number}@unknown.example"
    attributes = {"organization": KNOWN["organizations"], "onboard-type": "provider", "patient-email": address}
    return create("onboarding-requests", {"data": {"type": "onboarding-requests", "attributes": attributes}})


def create(kind, body):
    """Creates a resource beside the run; returns its identifier."""
    request = urllib.request.Request(
        os.environ["REGISTRAR_URL"] + f"/v1/{kind}/",
        json.dumps(body).encode(),
        {"Authorization": "Bearer " + os.environ["REGISTRAR_TOKEN"], "Content-Type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        return json.load(answer)["data"]["id"]
