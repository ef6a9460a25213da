#!/bin/sh
# Prints what is worth keeping about a host before its reboot; changes nothing.
set -eu
echo "kernel: $(uname -r)"
echo "packages to configure: $(dpkg --audit 2>/dev/null | grep -c '^ ' || true)"
echo "failed units: $(systemctl list-units --state=failed --no-legend --plain | wc -l)"
df -h / | tail -n 1
