# amqp.sh UNIT CONTAINER ENGINES LOGS: what ties nova-compute to the broker. LOGS as in facts.sh.
# shellcheck shell=sh disable=SC2154  # common.sh sets log and engine
unit=$1 container=$2 engines=$3 logs=$4
telling='AMQP server|Starting compute node|[Cc]onnection failed: '

say boot_id "$(boot_id)"
say zone "$(readlink /etc/localtime)"
nova_compute "$unit" "$container" "$engines"

IFS=:
# shellcheck disable=SC2086  # split at the colons
choose_log $logs
unset IFS
say log "$log"
# The predecessor first, so that lines come oldest first; logrotate names it LOG.1 or LOG-DATE.
older=$(newest_of "$log".1 "$log"-[0-9]* "$log".1.gz)
{
    case $older in
        '') ;;
        *.gz) gzip -dc "$older" 2>/dev/null | tail -c 16777216 ;;
        *) read_log "$older" 2>/dev/null ;;
    esac
    if error=$( { read_log "$log" >/dev/null; } 2>&1 ); then
        read_log "$log" 2>/dev/null
    else
        say log_error "$(printf '%s' "$error" | one_line)" >&2
    fi
} 2>&1 | grep -a -E "^log_error=|$telling" | tail -n 200 | cut -c1-1000 |
    sed '/^log_error=/!s/^/line=/'
say newest "$(read_log "$log" 2>/dev/null | tail -n 200 | grep -a -E '^[0-9]{4}-' | tail -n 1 | cut -c1-300)"
say modified "$(date -u -r "$log" +%Y-%m-%dT%H:%M:%S%z 2>/dev/null)"

if sockets=$(as_root ss -tnp 2>&1); then
    printf '%s\n' "$sockets" | grep -E ':567[12] ' | sed 's/^/socket=/'
else
    say sockets_error "$(printf '%s' "$sockets" | one_line)"
fi
say clock "$(host_clock)"
say end ok
