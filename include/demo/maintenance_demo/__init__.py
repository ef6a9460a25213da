"""The demo: one whole maintenance of a compute host, told while it happens and then verified."""
