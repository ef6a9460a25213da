# journal.sh UNIT LINES: the end of a unit's journal.
# shellcheck shell=sh
need_unit "$1"
need_number "$2"
journal -o short-iso -n "$2" -u "$1"
say end ok
