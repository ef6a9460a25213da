"""Tonight's roll of the compute hosts, shown beforehand."""
