# amqp.sh UNIT CONTAINER ENGINES LOGS PORT...: what ties nova-compute to the broker. LOGS as in
# facts.sh, the PORTs are the broker's.
# shellcheck shell=sh disable=SC2154  # common.sh sets log and engine
unit=$1 container=$2 engines=$3 logs=$4
shift 4
ports=''
for port; do
    need_number "$port"
    ports="$ports|$port"
done
ports=${ports#|}
need_unit "$unit"
need_container "$container"
need_engines "$engines"
need_logs "$logs"
# What domain/host/amqp_log.py understands is among these lines.
telling='AMQP server|Starting compute node|[Cc]onnection failed: '

say boot_id "$(boot_id)"
say zone "$(readlink /etc/localtime)"
nova_compute "$unit" "$container" "$engines"

choose_log "$logs"
say log "$log"
error=$({ read_log "$log" >/dev/null; } 2>&1) || say log_error "$(printf '%s' "$error" | one_line)"
# The predecessor first, so that lines come oldest first; logrotate names it LOG.1 or LOG-DATE.
older=$(newest_of "$log".1 "$log"-[0-9]* "$log".1.gz)
{
    case $older in
        '') ;;
        *.gz) gzip -dc -- "$older" | tail -c 16777216 ;;
        *) read_log "$older" ;;
    esac
    read_log "$log"
} 2>/dev/null | grep -a -E -e "$telling" | tail -n 200 | cut -c1-1000 | sed 's/^/line=/'
say newest "$(read_log "$log" 2>/dev/null | tail -n 200 | grep -a -E '^[0-9]{4}-' | tail -n 1 | cut -c1-300)"
say modified "$(date -u -r "$log" +%Y-%m-%dT%H:%M:%S%z 2>/dev/null)"

if apart as_root ss -tnp; then
    printf '%s\n' "$out" | grep -E ":(${ports:-5671|5672}) " | cut -c1-1000 | sed 's/^/socket=/'
    # Where else it is connected, for the person who must name the broker's port.
    printf '%s\n' "$out" | grep -v -E ":(${ports:-5671|5672}) " | grep -F nova-compute |
        head -n 20 | cut -c1-1000 | sed 's/^/other_socket=/'
else
    say sockets_error "$(printf '%s' "$error" | one_line)"
fi
say clock "$(host_clock)"
say end ok
