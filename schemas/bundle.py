#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the OpenAPI document from YAML into compact JSON, keeping the order of keys.

What every operation has in common is not written out in the YAML: this adds to each
operation the security that its x-role demands, the query parameter `pretty`, `dry_run` on
every mutation, the problem responses that any call (or any call with a body, or any
mutation) can end in, the headers of every answer, and to every media type the first of its
schema's examples. x-problems names the statuses that are an operation's own. The documents
that people write in files (policies, daemon configuration, …) also become schemas by
themselves, for editors and pipelines.
"""
import json
import re
import sys

import yaml

METHODS = ("get", "put", "post", "patch", "delete")
EVERYWHERE = ("Cache-Control", "X-Content-Type-Options", "Content-Security-Policy",
              "Cross-Origin-Resource-Policy", "Referrer-Policy")


class Loader(yaml.SafeLoader):
    """YAML 1.1 without its traps: `off` and `no` stay words, dates stay text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers
            if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), "tf")


def mapping_without_duplicates(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.YAMLError(f"{node.start_mark}: written twice: {sorted(twice)}")
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


Loader.add_constructor("tag:yaml.org,2002:map", mapping_without_duplicates)


def complete(method, operation, known):
    """`known`: names of the components' responses."""
    statuses = set(operation.pop("x-problems", []))
    role = operation["x-role"]
    mutates = method in ("put", "patch", "delete") or "Shield-Changed" in str(operation)
    parameters = operation.setdefault("parameters", [])
    statuses |= {400, 403, 406}
    if role == "none":
        operation["security"] = []
    else:
        operation["security"] = [{"token": []}]
        statuses |= {401, 429, 503}
    if role not in ("none", "metrics"):
        parameters.append({"$ref": "#/components/parameters/pretty"})
    if mutates:
        parameters.append({"$ref": "#/components/parameters/dry_run"})
        parameters.append({"$ref": "#/components/parameters/reason"})
    if "requestBody" in operation:
        statuses |= {413, 415, 422}
    responses = operation["responses"]
    for status in sorted(statuses - {int(own) for own in responses}):
        if f"Problem{status}" not in known:
            raise ValueError(f"{operation['operationId']}: components.responses has no "
                             f"Problem{status}")
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    operation["responses"] = {str(key): responses[key] for key in sorted(responses, key=int)}


def complete_problem(name, response):
    """The media type of a Problem, with the codes that belong to its status."""
    status, codes = int(name.removeprefix("Problem")), response.pop("x-codes")
    example = {"type": f"urn:l7shield:problem:{codes[0]}",
               "title": codes[0].replace("_", " ").capitalize(), "status": status,
               "code": codes[0], "detail": response["description"],
               "instance": "/v1/policies/login-guessing", "errors": []}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"},
                        {"properties": {"status": {"const": status},
                                        "code": {"enum": codes}}}]}
    response["content"] = {"application/problem+json": {"schema": schema,
                                                        "example": example}}


def complete_response(response):
    """The headers of every answer."""
    headers = response.setdefault("headers", {})
    for name in EVERYWHERE:
        headers[name] = {"$ref": f"#/components/headers/{name}"}


def example_of(schema, schemas):
    """The first example of the schema, of what it refers to, or a page of one; or None."""
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].split("/")[3]], schemas)
    if "items" in schema.get("properties", {}):
        item = example_of(schema["properties"]["items"]["items"], schemas)
        return None if item is None else {"items": [item], "next_cursor": None}
    return None


def add_examples(value, schemas):
    """To every media type, wherever it stands, unless it has some."""
    for media in value.get("content", {}).values():
        example = example_of(media["schema"], schemas)
        if example is not None and not {"example", "examples"} & set(media):
            media["example"] = example


def complete_all(document):
    components = document["components"]
    for name, response in components["responses"].items():
        if name.startswith("Problem"):
            complete_problem(name, response)
        complete_response(response)
    for path in document["paths"].values():
        for method in METHODS:
            if method not in path:
                continue
            operation = path[method]
            complete(method, operation, components["responses"])
            add_examples(operation.get("requestBody", {}), components["schemas"])
            for response in operation["responses"].values():
                if "$ref" not in response:
                    complete_response(response)
                    add_examples(response, components["schemas"])


def standalone(schemas, name):
    """One schema by itself, with those that it refers to under $defs."""
    definitions = {}

    def moved(value):
        if isinstance(value, list):
            return [moved(item) for item in value]
        if not isinstance(value, dict):
            return value
        out = {key: moved(item) for key, item in value.items()}
        if isinstance(out.get("$ref"), str):
            target = out["$ref"].removeprefix("#/components/schemas/")
            out["$ref"] = "#/$defs/" + target
            needed = target.split("/")[0]
            if needed not in definitions:
                definitions[needed] = None  # breaks the circle of a recursive schema
                definitions[needed] = moved(schemas[needed])
        return out

    out = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name}
    out.update(moved(schemas[name]))
    out["$defs"] = dict(sorted(definitions.items()))
    return out


def write(path, document, **style):
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(document, stream, ensure_ascii=False, **style)
        stream.write("\n")


def main(source, target, *files):
    """`files`: NAME=PATH of schemas to write by themselves."""
    with open(source, encoding="utf-8") as stream:
        document = yaml.load(stream, Loader)
    complete_all(document)
    write(target, document, separators=(",", ":"))
    for name, path in (entry.split("=", 1) for entry in files):
        write(path, standalone(document["components"]["schemas"], name), indent=2)


main(*sys.argv[1:])
