"""The lab: a small real OpenStack in containers, for demonstrations and end-to-end tests."""
