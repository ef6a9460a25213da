"""Hosts behind SSH: what they are made of, how they live, what they answer, how they fail."""
