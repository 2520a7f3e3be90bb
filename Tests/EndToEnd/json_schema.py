"""As much of JSON Schema (2020-12) as the schemas in schemas/ use; the Python of a plain Debian has none."""

import json
import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "schemas")
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {"$schema", "$id", "$defs", "$ref", "title", "description", "type", "required", "properties", "items", "enum",
         "additionalProperties", "pattern", "minimum", "const", "anyOf"}


def load(name):
    with open(os.path.join(FOLDER, name)) as file:
        return json.load(file)


def problems(value, schema, root=None, place="$"):
    """What is wrong with `value`, one line each."""
    root = root or schema
    unknown = set(schema) - KNOWN
    if unknown:
        raise ValueError(f"this checker does not know {sorted(unknown)}")
    found = []
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        found += problems(value, target, root, place)
    if "anyOf" in schema and all(problems(value, option, root, place) for option in schema["anyOf"]):
        found.append(f"{place}: fits none of anyOf")
    kind = schema.get("type")
    if kind and not is_a(value, kind):
        return found + [f"{place}: {value!r} is no {kind}"]
    if "enum" in schema and value not in schema["enum"] or "const" in schema and value != schema["const"]:
        found.append(f"{place}: {value!r} is not allowed")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{place}: {value!r} does not match {schema['pattern']}")
    if isinstance(value, (int, float)) and value < schema.get("minimum", value):
        found.append(f"{place}: {value} is less than {schema['minimum']}")
    if isinstance(value, dict):
        found += [f"{place}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, member in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
            if inner is False:
                found.append(f"{place}: {name} is unknown")
            elif inner is not True:
                found += problems(member, inner, root, f"{place}.{name}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += problems(item, schema["items"], root, f"{place}[{index}]")
    return found


def is_a(value, kind):
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])
