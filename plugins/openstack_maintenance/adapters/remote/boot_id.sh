# boot_id.sh: which boot this is.
# shellcheck shell=sh
say boot_id "$(boot_id)"
say clock "$(host_clock)"
say end ok
