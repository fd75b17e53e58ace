"""Reads the stream as a client that knows only the AsyncAPI document.

Validates every message against its description, and prints position, message id and subject.
"""

import asyncio
import json
import sys

import jsonschema_rs
import nats

URL, DOCUMENT = sys.argv[1:]
with open(DOCUMENT) as file:
    COMPONENTS = json.load(file)["components"]


def check(event):
    name = event["type"].removeprefix("registrar.")
    schema = {"$ref": f"#/components/messages/{name}/payload", "components": COMPONENTS}
    jsonschema_rs.validate(schema, event)
    # The format allows further members, but today the document must describe all of them.
    described = COMPONENTS["messages"][name]["payload"]["allOf"][1]["properties"]["data"].get("properties", {})
    undescribed = event["data"].keys() - described.keys() - {"type"}
    assert not undescribed, f"{name}: {undescribed}"


async def main():
    client = await nats.connect(URL)
    context = client.jetstream()
    messages = (await context.stream_info("REGISTRAR")).state.messages
    subscription = await context.subscribe("registrar.events.>", ordered_consumer=True)
    for _ in range(messages):
        message = await subscription.next_msg(timeout=20)
        event = json.loads(message.data)
        check(event)
        print(event["position"], message.headers["Nats-Msg-Id"], message.subject)
    await client.close()


asyncio.run(main())
