"""The pod's interfaces."""
