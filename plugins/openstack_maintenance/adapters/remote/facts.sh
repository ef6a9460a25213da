# facts.sh UNIT CONTAINER ENGINES LOGS SCRIPT_UNIT SHA256 PATTERN...: one look; changes nothing.
# LOGS are separated by colons. SCRIPT_UNIT and SHA256 are those of a maintenance script, or empty.
# shellcheck shell=sh disable=SC2154  # common.sh sets log and engine
unit=$1 container=$2 engines=$3 logs=$4 script_unit=$5 script_digest=$6
shift 6
need_unit "$unit"
need_container "$container"
need_engines "$engines"
need_logs "$logs"
[ -z "$script_unit" ] || need_script_unit "$script_unit"
case $script_digest in *[!0-9a-f]*) refuse 'this is not a sha256' ;; esac

say boot_id "$(boot_id)"
say clock "$(host_clock)"
say zone "$(readlink /etc/localtime)"
say hostname "$(hostname)"
say fqdn "$(timeout 5 hostname -f 2>/dev/null)"
TZ=UTC systemctl show -p UserspaceTimestamp

# Who wants a reboot; of a file, when it came to be there.
say kernel "$(uname -r)"
stat -c 'file=%Z %n' -- /run/reboot-required /boot/vmlinuz-* /boot/vmlinux-* 2>/dev/null
cat /run/reboot-required.pkgs 2>/dev/null | cut -c1-200 | sed 's/^/reboot_package=/'
if command -v needs-restarting >/dev/null 2>&1; then
    apart timeout 20 needs-restarting -r
    say needs_restarting $?
    printf '%s\n%s\n' "$out" "$error" | cut -c1-200 | tail -n 200 | sed 's/^/needs_restarting_line=/'
fi

nova_compute "$unit" "$container" "$engines"
# With no process in it, it may be the wrong one.
case $managed:$pids in yes:*[0-9]*) ;; yes:*) look_alikes "$engines" ;; esac
guests "$@"

choose_log "$logs"
say log "$log"
error=$( { read_log "$log" >/dev/null; } 2>&1 ) || say log_error "$(printf '%s' "$error" | one_line)"

# Everything that the run will do as root, before anything is done.
if [ "$(id -u)" -ne 0 ]; then
    if unit_is_known "$unit" || [ -z "$container" ]; then
        needs systemctl stop --no-block -- "$unit"
        needs systemctl start --no-block -- "$unit"
        needs systemctl reset-failed -- "$unit"
    elif [ -n "$engine" ]; then
        needs "$engine" stop --time 60 -- "$container"
        needs "$engine" start -- "$container"
    fi
    needs systemctl reboot
    needs ss -tnp
    # A log that is not there needs nothing; in a folder that cannot be looked into it may be.
    if [ ! -r "$log" ] && { [ -e "$log" ] || [ ! -x "$(dirname "$log")" ]; }; then
        needs tail -c 16777216 -- "$log"
    fi
    if [ -n "$script_unit" ]; then
        store_script needs "$script_unit"
        run_script needs "$script_unit"
        needs systemctl reset-failed -- "$script_unit"
    fi
fi
# Where a forced command decides what is run, its list decides about the script, too.
if [ -n "$script_unit" ] && [ -n "${MAINTENANCE_SHELL_ALLOWED-}" ]; then
    grep -q "^$script_digest scripts/" "$MAINTENANCE_SHELL_ALLOWED" || say script_refused yes
fi
say end ok
