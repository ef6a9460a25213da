"""Tonight's maintenance of the compute hosts, shown beforehand."""
