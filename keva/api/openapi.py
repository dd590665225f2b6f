"""The OpenAPI 3.1 document, made from the endpoints and the models that serve them."""

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from keva import __version__, models
from keva.api.registry import Endpoint
from keva.envelopes import ENVELOPES
from keva.identity import EVERYTHING, READ, WRITE

_INFO = {
    "title": "Keva Tickets API",
    "version": __version__,
    "description": "Create and manage support tickets via the API.",
}
_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer keva_live_...`"}
}
# No parameter of its own: a document cannot say that two of them must not differ.
_WORKSPACE = (
    "The header `X-Workspace-Id` picks a workspace as `workspace_id` does; when both are sent and differ, it is 400."
)
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "string", "pattern": "^[0-9]+$"}}}
_CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string"}}}
_ALLOW = {"Allow": {"schema": {"type": "string"}}}
_LIMITS = {
    f"X-RateLimit-{name}": {
        "description": "With a rate limit only",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    }
    for name in ("Limit", "Remaining", "Reset")
}
# What any call may be refused with; a body brings two more.
_REFUSALS: dict[int, tuple[str, dict[str, Any]]] = {
    400: ("What was sent cannot be taken", {}),
    401: ("No API key, or a wrong one", _CHALLENGE),
    403: ("The API key lacks the scope", {}),
    404: ("No such route, ticket or workspace that the API key reaches", {}),
    405: ("No such method here", _ALLOW),
    408: ("The request did not arrive in time", {}),
    413: ("The body is over 4 MiB", {}),
    415: ("The body is not application/json", {}),
    429: ("Over the rate limit", _RETRY_AFTER),
    431: ("The head is over 32 KiB", {}),
    500: ("A bug of the service", {}),
    503: ("Not now: nothing was stored", _RETRY_AFTER),
}
_OF_A_BODY = (413, 415)
_NEEDED = {READ: f"the scope `{READ}`", WRITE: f"the scope `{WRITE}`", EVERYTHING: "both scopes and all workspaces"}
_SIGNED = [
    {"name": name, "in": "header", "required": True, "description": told, "schema": {"type": "string"}}
    for name, told in {
        "webhook-id": "The event's id, the same at every try",
        "webhook-timestamp": "When this try was made, in epoch seconds",
        "webhook-signature": "By Standard Webhooks 1.0: `v1,` and HMAC-SHA256 of `id.timestamp.body` in base64",
    }.items()
]
_IDS = {
    "ticket_id": TypeAdapter(models.TicketId).json_schema(),
    "webhook_id": TypeAdapter(models.WebhookId).json_schema(),
}
_HEALTHY = {
    "type": "object",
    "properties": {"status": {"const": "ok"}},
    "required": ["status"],
    "additionalProperties": False,
}


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    endpoints = list(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(re.sub(r"<(\w+)>", r"{\1}", endpoint.path), {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths | {"/healthz": {"get": _health()}},
        "webhooks": {kind: {"post": _webhook(kind, model)} for kind, model in ENVELOPES.items()},
        "components": {"securitySchemes": _SCHEMES, "schemas": _schemas(endpoints)},
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": f"Needs a key with {_NEEDED[endpoint.scope]}. {_WORKSPACE}",
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint.query)],
        "responses": {str(endpoint.status): _success(endpoint)},
    }
    if endpoint.body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(endpoint.body)}}}
    for status in _REFUSALS:
        if endpoint.body or status not in _OF_A_BODY:
            operation["responses"][str(status)] = _refusal(status)
    return operation


def _health() -> dict[str, Any]:
    healthy = {"description": "It does", "content": {"application/json": {"schema": _HEALTHY}}}
    return {
        "operationId": "get_health",
        "summary": "Whether the desk answers and takes writes",
        "security": [],
        "responses": {"200": healthy, **{str(status): _refusal(status) for status in (405, 503)}},
    }


def _webhook(kind: str, envelope: type[BaseModel]) -> dict[str, Any]:
    """What a receiver is sent, and what it should answer."""
    return {
        "operationId": f"on_{kind.replace('.', '_')}",
        "summary": (envelope.__doc__ or "").rstrip("."),
        "security": [],
        "parameters": _SIGNED,
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(envelope)}}},
        "responses": {"2XX": {"description": "Delivered"}, "410": {"description": "No more, please"}},
    }


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    ids = re.findall(r"<(\w+)>", endpoint.path)
    return [
        {"name": name, "in": "path", "required": True, "schema": _IDS.get(name, {"type": "string"})} for name in ids
    ]


def _query_parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    parameters = []
    for name, schema in _schema(query)["properties"].items():
        parameters.append({"name": name, "in": "query", "required": False, "schema": schema})
    return parameters


def _success(endpoint: Endpoint) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": endpoint.summary, "headers": dict(_LIMITS)}
    if endpoint.answer:
        answer["content"] = {"application/json": {"schema": _ref(endpoint.answer)}}
    if endpoint.answer is models.OneCreatedTicket:
        answer["headers"]["Location"] = {"description": "The ticket's path", "schema": {"type": "string"}}
        followers = ("get_ticket", "update_ticket", "list_messages", "add_message")
        parameters = {"ticket_id": "$response.body#/data/id"}
        answer["links"] = {name: {"operationId": name, "parameters": parameters} for name in followers}
    return answer


def _refusal(status: int) -> dict[str, Any]:
    description, headers = _REFUSALS[status]
    content = {"application/json": {"schema": _ref(models.ErrorBody)}}
    return {"description": description, "content": content} | ({"headers": headers} if headers else {})


class _Plain(GenerateJsonSchema):
    """Without titles, which say a name again, and without the null that stands for 'not sent'."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        given = super().default_schema(schema)
        if given.get("default", "") is None:
            del given["default"]
        return given


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(schema_generator=_Plain)


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas(endpoints: list[Endpoint]) -> dict[str, Any]:
    of_calls = [model for endpoint in endpoints for model in (endpoint.answer, endpoint.body) if model]
    wanted: list[type[BaseModel]] = [*of_calls, models.ErrorBody, *ENVELOPES.values()]
    _, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(wanted)],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Plain,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    for schema in schemas.values():
        schema.pop("title", None)
        for field in schema.get("properties", {}).values():
            _tell_default(field)
    return schemas


def _tell_default(field: dict[str, Any]) -> None:
    """In words: generators take a field with a `default` for one that is always there, in what is sent too."""
    if "default" in field:
        told = f"default: {json.dumps(field.pop('default'), ensure_ascii=False)}"
        field["description"] = f"{field['description']} ({told})" if "description" in field else told
