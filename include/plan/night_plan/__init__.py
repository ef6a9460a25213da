"""Tonight's roll of the compute hosts, told beforehand."""
