# reboot.sh BOOT_ID PATTERN...: reboot, unless the host has rebooted already or holds a guest.
# shellcheck shell=sh
expected=$1
shift
case $expected in *[!0-9a-f-]*) refuse 'this is not a boot_id' ;; esac

boot=$(boot_id)
say boot_id "$boot"
say clock "$(host_clock)"
if [ -z "$boot" ] || [ "$boot" != "$expected" ]; then
    say refused already_rebooted
    say end ok
    exit 0
fi
found=$(guests "$@")
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    say refused guests
    say end ok
    exit 0
fi
error=$(as_root systemctl reboot 2>&1)
say status $?
say message "$(printf '%s' "$error" | one_line)"
say end ok
