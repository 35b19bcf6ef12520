"""Kubernetes documents beside apply: what they are in Tank, and a pod as one of them."""

from __future__ import annotations

from aiohttp import web

from tank.api import routes
from tank.api.apply import told
from tank.api.documents import read_stated
from tank.api.routes import POD, Parameter, Route, answer, node
from tank.model.dump import dump_pod
from tank.model.kube.export import export


async def translate(request: web.Request) -> web.StreamResponse:
    """The specs that the documents state, and what is lost. Changes nothing."""
    stated = await read_stated(request)
    inputs = [each.key for each in stated.stored]
    return answer({"pods": [dump_pod(pod) for pod in stated.pods], "inputs": inputs, "losses": told(stated.losses)})


async def exported(request: web.Request) -> web.StreamResponse:
    """The desired spec as a Kubernetes Pod."""
    desired = await node(request).get(routes.name(request))
    document, losses = export(desired.spec)
    return answer({"document": document, "losses": told(losses)})


_FORMAT = Parameter(name="format", about="yaml, toml or json, where the Content-Type does not say")
ROUTES = (
    Route(
        method="POST",
        path="/v1/import",
        handler=translate,
        about="The specs that Kubernetes documents mean, and what is lost; changes nothing",
        parameters=(_FORMAT,),
        answers="object",
        body=True,
    ),
    Route(
        method="GET",
        path="/v1/pods/{name}/kube",
        handler=exported,
        about="The desired spec as a Kubernetes Pod",
        parameters=(POD,),
        answers="object",
    ),
)
