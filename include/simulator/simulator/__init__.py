"""A simulated cloud in virtual time: what the README of this folder describes."""
