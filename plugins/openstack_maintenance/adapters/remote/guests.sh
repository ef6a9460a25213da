# guests.sh PATTERN...: the guests' processes on the host; changes nothing.
# shellcheck shell=sh
guests "$@"
say boot_id "$(boot_id)"
say end ok
