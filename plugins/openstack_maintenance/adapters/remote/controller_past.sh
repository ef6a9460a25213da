# controller_past.sh UNTIL ENGINES SPEC...: what a controller keeps of a night that ended at UNTIL
# (seconds since 1970). A SPEC is UNIT|CONTAINER|ROLE; its answers carry its number from 0.
# shellcheck shell=sh disable=SC2086,SC2154  # lists are split; common.sh sets engine and inspected
until=$1 engines=$2
shift 2
need_number "$until"
need_engines "$engines"
for spec; do need_spec "$spec"; done
show='-p Id -p LoadState -p ActiveState -p SubState -p UnitFileState -p NRestarts -p ActiveEnterTimestamp -p InactiveEnterTimestamp -p MainPID'

say clock "$(host_clock)"
say boot_id "$(boot_id)"
say hostname "$(hostname)"
TZ=UTC systemctl show -p UserspaceTimestamp

units=''
for spec; do units="$units ${spec%%|*}"; done
shown=$(TZ=UTC systemctl show $show -- $units 2>/dev/null || TZ=UTC as_root systemctl show $show -- $units 2>/dev/null)
[ -n "$shown" ] || not_now 'systemd does not answer (systemctl show gave nothing)'
number=0 matches=''
while IFS= read -r line; do
    case $line in
        '') number=$((number + 1)) ;;
        *) say "s$number.unit.${line%%=*}" "${line#*=}" ;;
    esac
    case $line in Id=*) matches="$matches UNIT=${line#*=}" ;; esac
done <<END
$shown
END

number=0
for spec; do
    rest=${spec#*|}
    if [ -n "${rest%%|*}" ] && find_container "${rest%%|*}" "$engines"; then
        say "s$number.engine" "$engine"
        say "s$number.container" "$inspected"
    fi
    number=$((number + 1))
done

# systemd's own words about these units, and the ends of boots: d93f... is journald's farewell.
reads_journal || as_root journalctl -q -n 1 >/dev/null 2>&1 ||
    say journal_error 'the login may not read it: put it into the group systemd-journal'
TZ=UTC
export TZ
journal -q --list-boots | sed 's/^output=/boot=/'
fields=--output-fields=MESSAGE_ID,MESSAGE,UNIT,JOB_RESULT,JOB_TYPE,_BOOT_ID
journalctl -q -n 1 $fields >/dev/null 2>&1 || fields='' # before systemd 236
journal -q -o json $fields -n 8000 --until "@$until" _PID=1 $matches + \
    MESSAGE_ID=d93fb3c9c24d451a97cea615ce59c00b | sed 's/^output=/event=/'
say end ok
