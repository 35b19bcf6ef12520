"""The HTTP API of a node on its unix socket.

One file per noun (`pods`, `apply`, `streams`, `logs`, `events`, `history`, `info`); each holds its handlers and,
beside them, its part of the route table with the words of the OpenAPI document. A handler reads the request,
calls one method of `tank.node.service.Node` and answers JSON; it decides nothing. Errors leave as
`{"error": {kind, message, problems}}` through one middleware. Who may open the socket is root's equal: the
socket's mode and group are the only authorisation, and a request with an `Origin`, which only a browser sends,
is refused (S19, S22, S23).
"""
