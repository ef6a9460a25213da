# script_start.sh UNIT LINES AGAIN: run standard input as a transient unit, once per boot.
# A unit that exists is attached to; a failed one runs again only where AGAIN is yes.
# shellcheck shell=sh
unit=$1 lines=$2 again=$3
need_script_unit "$unit"
need_number "$lines"

start() {
    # From a pipe: where sshd gives a socket, /dev/stdin cannot be opened.
    error=$(cat | store_script as_root "$unit" 2>&1) ||
        fail "the script cannot be stored for $unit: $(printf '%s' "$error" | one_line)"
    error=$(run_script as_root "$unit" 2>&1) && return
    unit_is_known "$unit" || # another run was faster: attach
        fail "systemd-run refused: $(printf '%s' "$error" | one_line)"
}

if ! unit_is_known "$unit"; then
    start <&3
elif [ "$again" = yes ] && [ "$(systemctl show -p ActiveState -- "$unit")" = ActiveState=failed ]; then
    as_root systemctl reset-failed -- "$unit" 2>/dev/null
    start <&3
fi
show_unit "$unit"
# What the script itself printed: -u would mix in what systemd says about the unit.
journal -q -o cat -b -n "$lines" "_SYSTEMD_UNIT=$unit"
say end ok
