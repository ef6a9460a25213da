"""The rights of the SSH login on compute hosts and controllers, as files to install there."""
