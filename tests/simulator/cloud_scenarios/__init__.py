"""What clients ask of a cloud, for the simulated one and for the lab's real one."""
