# script_state.sh UNIT LINES: a maintenance script's unit, and the end of what it wrote.
# shellcheck shell=sh
need_script_unit "$1"
need_number "$2"
show_unit "$1"
if unit_is_known "$1"; then
    journal -q -o cat -b -n "$2" "_SYSTEMD_UNIT=$1" # not -u: systemd says things, too
fi
say end ok
