"""Generates clients of every served document with stock generators, and runs one scenario each in Python.

Arguments: URL of the server, working folder, a bearer token, an API key as `id:secret`, the key's organization, and the
folder of the npm packages or an empty string.
"""

import base64
import importlib
import json
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import openapi_spec_validator

URL, FOLDER, TOKEN, KEY, ORGANIZATION, NPM = sys.argv[1:]
FOLDER = pathlib.Path(FOLDER)
DOCUMENTS = [
    "ecg-admins",
    "site-organizations",
    "cloud-organizations",
    "cloud-keys",
    "identity",
    "audit",
    "registrar",
]


def run(*command):
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def python_client(name):
    document = httpx.get(f"{URL}/openapi/{name}.json", trust_env=False)
    document.raise_for_status()
    openapi_spec_validator.validate(document.json())
    file = FOLDER / f"{name}.json"
    file.write_text(document.text)
    generator = [sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"]
    package = name.replace("-", "_")
    run(*generator, "--path", str(file), "--output-path", package, "--meta", "none", "--config", "generator.yaml")
    run(sys.executable, "-m", "compileall", "-q", package)


def typescript_clients():
    for name in DOCUMENTS:
        run("node", f"{NPM}/node_modules/openapi-typescript/bin/cli.js", f"{name}.json", "-o", f"{name}.ts")
    run("node", f"{NPM}/node_modules/typescript/bin/tsc", "--noEmit", "--strict", *(f"{name}.ts" for name in DOCUMENTS))


def client(package, prefix="Bearer", token=TOKEN):
    made = importlib.import_module(f"{package}.client").AuthenticatedClient
    return made(base_url=URL, token=token, prefix=prefix, httpx_args={"trust_env": False})


def call(package, path, calling, *arguments, status=200, **named):
    operation = importlib.import_module(f"{package}.api.{path}")
    answer = operation.sync_detailed(*arguments, client=calling, **named)
    assert answer.status_code == status, (package, path, answer)
    return answer.parsed


def model(package, module, name, value):
    return getattr(importlib.import_module(f"{package}.models.{module}"), name).from_dict(value)


def ecg_admins():
    package, calling = "ecg_admins", client("ecg_admins")
    person = {"firstName": "Ada", "lastName": "Lovelace", "salutation": 1.0}
    body = {"person": person, "addresses": [{"addressType": 2.0}], "phoneNumbers": []}
    body = model(package, "add_ecg_admin_dto", "AddEcgAdminDto", body)
    made = call(package, "ecg_admins.create_ecg_admin", calling, body=body, status=201)
    # The generated defaults of skip and take are 0.0 and 10.0.
    page = call(package, "ecg_admins.list_ecg_admins", calling)
    assert made.id in [item.id for item in page.items], page
    assert call(package, "ecg_admins.list_ecg_admin_audit_trails", calling, made.person.id).items
    assert call(package, "ecg_admins.deactivate_ecg_admin", calling, made.person.id).value


def site_organizations():
    package, calling = "site_organizations", client("site_organizations")
    body = {"organization": {"name": "Site"}, "modes": [], "orgAddressesDetails": []}
    body = model(package, "organizationmodeltitle", "ORGANIZATIONMODELTITLE", body)
    made = call(package, "organizations.create_organization", calling, body=body, status=201)
    order = importlib.import_module(f"{package}.models.list_organizations_order").ListOrganizationsOrder.DESC
    assert call(package, "organizations.list_organizations", calling, order=order, name="Site")
    assert call(package, "organizations.get_organization", calling, made.id)


def cloud(package):
    return client(package, "Basic", base64.b64encode(KEY.encode()).decode())


def cloud_organizations():
    package, calling = "cloud_organizations", cloud("cloud_organizations")
    body = model(package, "organization_patch_request", "OrganizationPatchRequest", {"name": "Acme CRO"})
    call(package, "organization.organization_update", calling, ORGANIZATION, body=body)
    [own] = call(package, "organization.organization_get_list", calling).result
    assert (str(own.id), own.name) == (ORGANIZATION, "Acme CRO"), own


def cloud_keys():
    package, calling = "cloud_keys", cloud("cloud_keys")
    body = model(package, "api_key_post_request", "ApiKeyPostRequest", {"name": "CI", "roles": ["developer"]})
    made = call(package, "keys.openapi_key_create", calling, ORGANIZATION, body=body).result
    keys = call(package, "keys.openapi_key_get_list", calling, ORGANIZATION).result
    assert made.key_secret and len(keys) == 2, (made, keys)


def identity():
    package, calling = "identity", client("identity")
    names = [one.attributes.display_name for one in call(package, "organizations.list_organizations", calling).data]
    assert "Acme CRO" in names, names


def audit():
    package, calling = "audit", client("audit")
    assert call(package, "audit.read_checkpoint", calling)
    assert call(package, "audit.list_events", calling, limit=2)


def registrar():
    package, calling = "registrar", client("registrar")
    assert call(package, "operation.check_health", calling)
    assert call(package, "documents.read_openapi_document", calling, "registrar.json")


# The generator knows texts and mails as bytes.
OVERRIDES = "".join(f"  {kind}: application/octet-stream\n" for kind in ["text/plain", "message/rfc822"])
(FOLDER / "generator.yaml").write_text(f"post_hooks: []\ncontent_type_overrides:\n{OVERRIDES}")
sys.path.insert(0, str(FOLDER))
with ThreadPoolExecutor(2) as pool:
    list(pool.map(python_client, DOCUMENTS))
if NPM:
    typescript_clients()
for scenario in [ecg_admins, site_organizations, cloud_organizations, cloud_keys, identity, audit, registrar]:
    scenario()
print(json.dumps({"documents": len(DOCUMENTS), "typescript": bool(NPM)}))
