"""Names of pods: who answers them, and what (R49).

A small process of its own answers, so that neither a stopped nor a killed daemon is noticed: `server` is its program,
which reads hostile packets without any power. It answers on sockets that were opened inside each pod's namespace and
handed to it; `keeper` is the daemon's side, which opens them, tells it all names at once, and starts it anew.
`zone`, `answers`, `packets` and `told` are pure.
"""
