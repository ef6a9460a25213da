"""What the nightly look at a controller costs beyond its SSH connection."""
