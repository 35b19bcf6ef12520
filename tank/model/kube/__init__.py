"""Kubernetes documents: what they say becomes a spec of Tank's, and a pod of Tank's becomes such a document.

    text -> trees by Kubernetes' YAML rules (scalars) -> documents -> pod, container, volumes, … -> the spec as a plain
    mapping, which then takes the same way as any other -> Pod

Each field has one of three fates, and the tables of fields (`nouns.Noun`) say which: it is translated; it means
nothing on one machine, and is told as a loss; or it would change what the pod does and cannot be honoured, and is
refused. Nothing is passed over in silence but what a cluster wrote itself, such as the status.
"""
