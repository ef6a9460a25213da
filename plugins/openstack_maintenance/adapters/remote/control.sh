# control.sh stop|start|restart UNIT CONTAINER ENGINES: ask the service manager, then say how
# the service looks.
# The command's exit status proves nothing and is only reported.
# shellcheck shell=sh disable=SC2154  # common.sh sets log and engine
order=$1 unit=$2 container=$3 engines=$4
case $order in start | stop | restart) ;; *) refuse 'the orders are start, stop and restart' ;; esac
need_unit "$unit"
need_container "$container"
need_engines "$engines"

if unit_is_known "$unit"; then
    if [ "$order" != stop ] && [ "$(systemctl show -p ActiveState -- "$unit")" = ActiveState=failed ]; then
        as_root systemctl reset-failed -- "$unit" 2>/dev/null # or the start limit refuses the start
    fi
    error=$(as_root systemctl "$order" --no-block -- "$unit" 2>&1)
    say status $?
elif [ -n "$container" ] && find_container "$container" "$engines"; then
    case $order in
        start) error=$(as_root "$engine" start -- "$container" 2>&1) ;;
        *) error=$(as_root "$engine" "$order" --time 60 -- "$container" 2>&1) ;;
    esac
    say status $?
fi
say message "$(printf '%s' "$error" | one_line)"
nova_compute "$unit" "$container" "$engines"
say end ok
