"""The demo: one whole maintenance of a compute host, shown while it happens, then verified."""
