"""Images: from a registry to unpacked layers."""
