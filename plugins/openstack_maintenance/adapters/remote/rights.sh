# rights.sh ORDER ENGINES SPEC...: what the login may not do here that a maintenance needs.
# ORDER is restart or reboot, a SPEC is UNIT|CONTAINER|ROLE.
# shellcheck shell=sh disable=SC2154  # common.sh sets engine
order=$1 engines=$2
shift 2
case $order in restart | reboot) ;; *) refuse 'the orders are restart and reboot' ;; esac
need_engines "$engines"
for spec; do need_spec "$spec"; done

if [ "$(id -u)" -ne 0 ]; then
    [ "$order" != reboot ] || needs systemctl reboot
    for spec; do
        [ "$order" = restart ] || break
        unit=${spec%%|*}
        rest=${spec#*|}
        if unit_is_known "$unit" || [ -z "${rest%%|*}" ]; then
            needs systemctl restart --no-block -- "$unit"
            needs systemctl reset-failed -- "$unit"
        elif find_container "${rest%%|*}" "$engines"; then
            needs "$engine" restart --time 60 -- "${rest%%|*}"
        fi
    done
fi
say end ok
