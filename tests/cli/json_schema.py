"""A JSON Schema validator for the few keywords docs/report.schema.json uses.

A keyword it does not know is an error, so a schema cannot pass by being ignored.
"""

import re

ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description"}

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}


def errors(schema, value, root=None, path="$"):
    """All the ways value breaks schema, as 'path: what' lines."""
    root = schema if root is None else root
    found = []
    for keyword, rule in schema.items():
        if keyword in ANNOTATIONS or keyword in ("patternProperties", "additionalProperties"):
            continue  # the last two are looked at together with properties
        if keyword == "$ref":
            found += errors(root["$defs"][rule.removeprefix("#/$defs/")], value, root, path)
        elif keyword == "type":
            names = rule if isinstance(rule, list) else [rule]
            if not any(TYPES[name](value) for name in names):
                found.append(f"{path}: {value!r} is not {' or '.join(names)}")
        elif keyword == "const" and value != rule:
            found.append(f"{path}: {value!r} is not {rule!r}")
        elif keyword == "enum" and value not in rule:
            found.append(f"{path}: {value!r} is not one of {rule}")
        elif keyword == "minimum" and TYPES["number"](value) and value < rule:
            found.append(f"{path}: {value} is below {rule}")
        elif keyword == "pattern" and isinstance(value, str) and not re.search(rule, value):
            found.append(f"{path}: {value!r} does not match {rule}")
        elif keyword == "required" and isinstance(value, dict):
            found += [f"{path}: {name} is missing" for name in rule if name not in value]
        elif keyword == "propertyNames" and isinstance(value, dict):
            for name in value:
                found += errors(rule, name, root, f"{path}.{name}")
        elif keyword == "items" and isinstance(value, list):
            for index, item in enumerate(value):
                found += errors(rule, item, root, f"{path}[{index}]")
        elif keyword in ("minItems", "maxItems") and isinstance(value, list):
            if (len(value) < rule) if keyword == "minItems" else (len(value) > rule):
                found.append(f"{path}: {len(value)} items, {keyword} is {rule}")
        elif keyword not in (
            "const enum minimum pattern required propertyNames items minItems maxItems properties".split()
        ):
            raise AssertionError(f"the schema uses {keyword!r}, which this validator does not know")
    if isinstance(value, dict):
        found += property_errors(schema, value, root, path)
    return found


def property_errors(schema, value, root, path):
    found = []
    for name, item in value.items():
        rules = [rule for pattern, rule in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
        if name in schema.get("properties", {}):
            rules.append(schema["properties"][name])
        other = schema.get("additionalProperties", True)
        if not rules and other is False:
            found.append(f"{path}: {name} is not in the schema")
        elif not rules and isinstance(other, dict):
            rules.append(other)
        for rule in rules:
            found += errors(rule, item, root, f"{path}.{name}")
    return found
