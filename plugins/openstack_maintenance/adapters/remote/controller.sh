# controller.sh ENGINES TIME_UNITS SPEC...: all services of a controller at one look. A SPEC is
# UNIT|CONTAINER|ROLE; its answers carry its number from 0, TIME_UNITS count on from there.
# Broker, database and cache are asked at the same time, each within its own limit; while they
# are, nothing else prints, and no line is longer than a pipe takes in one piece.
# shellcheck shell=sh disable=SC2154,SC2086  # common.sh sets container_format; lists are split
engines=$1 time_units=$2
shift 2
need_engines "$engines"
case $time_units in *[!A-Za-z0-9_.@\ -]*) refuse 'this is not the name of a unit' ;; esac
for each in $time_units; do need_unit "$each"; done
for spec; do need_spec "$spec"; done

within() {
    limit=$1
    shift
    if [ "$(id -u)" -eq 0 ]; then timeout -k 2 "$limit" "$@"; else timeout -k 2 "$limit" sudo -n "$@"; fi
}

# ask_within SECONDS COMMAND...: what it answers in $out; where it fails, what it says beside that.
ask_within() {
    apart within "$@"
    status=$?
    [ "$status" -eq 0 ] || out="$out $error"
}

# tell ROLE STATUS TEXT
tell() {
    say "$1.exit" "$2"
    printf '%s\n' "$3" | fold -w 1000 | head -n 60 | while IFS= read -r line; do say "$1.out" "$line"; done
}

# The first words of the three are what runs a command inside a container, or nothing.
broker() {
    ask_within 10 "$@" rabbitmqctl -q --formatter json cluster_status
    case $status:$out in
        0:* | 124:* | 137:* | *nodedown* | *sudo:* | *nable\ to*) ;;
        *) ask_within 10 "$@" rabbitmqctl cluster_status ;; # before 3.7
    esac
    tell broker "$status" "$out"
}

query="select 1; show global status where variable_name in ('wsrep_cluster_size', 'wsrep_cluster_status', 'wsrep_cluster_state_uuid', 'wsrep_local_state_comment', 'wsrep_connected', 'wsrep_ready')"
# kolla gives its own health check's login to the container. One line: it stands in sudoers, too.
# shellcheck disable=SC2016  # expanded in the container
ask_inside='client=$(command -v mariadb || command -v mysql); [ -z "$MYSQL_USERNAME" ] || export MYSQL_PWD="$MYSQL_PASSWORD"; exec "$client" ${MYSQL_USERNAME:+-u "$MYSQL_USERNAME"} ${MYSQL_HOST:+-h "$MYSQL_HOST"} -N -B --connect-timeout=5 -e "$0"'
database() {
    if [ $# -gt 0 ]; then
        set -- "$@" sh -c "$ask_inside"
    else
        client=$(command -v mariadb || command -v mysql) || client=mysql
        set -- "$client" -N -B --connect-timeout=5 -e
    fi
    ask_within 8 "$@" "$query"
    tell database "$status" "$out"
}

# Where it listens, else on the loopback; bash is the one tool that is on every controller.
cache() {
    address=$(ss -tln 2>/dev/null | sed -n 's/.* \([^ ]*\):11211 .*/\1/p' | head -n 1)
    case $address in '' | '*' | 0.0.0.0 | '[::]') address=127.0.0.1 ;; esac
    # shellcheck disable=SC2016  # expanded in bash
    apart timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/11211" && printf "version\r\nquit\r\n" >&3 &&
        IFS= read -r -t 3 line <&3 && printf "%s\n" "$line"' "$(printf '%s' "$address" | tr -d '[]')"
    out=$(printf '%s' "$out" | tr -d '\r')
    case $out in VERSION*) tell cache 0 "$out" ;; *) tell cache 1 "$out $error" ;; esac
}

show_units() {
    TZ=UTC systemctl show -p Id -p LoadState -p ActiveState -p SubState -p UnitFileState \
        -p NRestarts -p ActiveEnterTimestamp -p MainPID -- "$@" 2>/dev/null ||
        TZ=UTC as_root systemctl show -p Id -p LoadState -p ActiveState -p SubState \
            -p UnitFileState -p NRestarts -p ActiveEnterTimestamp -p MainPID -- "$@" 2>/dev/null
}

# unit_ended: the block of one unit is complete; remembers what needs a second look.
unit_ended() {
    case $load in
        '' | not-found) ;;
        *)
            known="$known $number=$active "
            case $active:$restarts in
                active:0 | active:) ;;
                *) [ "$number" -lt "$services" ] && bad="$bad $number:$id" ;;
            esac
            [ "$active" = active ] && [ "$number" -ge "$services" ] && keeps_time=yes
            ;;
    esac
    load='' active='' restarts='' id=''
    number=$((number + 1))
}

look() {
    say clock "$(host_clock)"
    say boot_id "$(boot_id)"
    say hostname "$(hostname)"
    TZ=UTC systemctl show -p UserspaceTimestamp

    services=$#
    units='' names=''
    for spec; do
        units="$units ${spec%%|*}"
        rest=${spec#*|}
        [ -z "${rest%%|*}" ] || names="$names ${rest%%|*}"
    done
    shown=$(show_units $units $time_units)
    [ -n "$shown" ] || not_now 'systemd does not answer (systemctl show gave nothing)'
    number=0 known='' bad='' keeps_time='' told='' off=''
    load='' active='' restarts='' id=''
    while IFS= read -r line; do
        case $line in
            '')
                unit_ended
                continue
                ;;
            Id=*) id=${line#*=} ;;
            LoadState=*) load=${line#*=} ;;
            ActiveState=*) active=${line#*=} ;;
            NRestarts=*) restarts=${line#*=} ;;
        esac
        told="$told
s$number.unit.$line"
    done <<END
$shown

END
    containers "$@"
    probes "$@"
    for each in $bad; do
        told="$told
$(journal -o short-iso -n 10 -u "${each#*:}" | sed "s/^output=/s${each%%:*}.journal=/")"
    done
    wait
    printf '%s\n' "$told"
    say clock_end "$(host_clock)"
    say end ok
}

# Of services that systemd does not know: their containers, all in one question.
containers() {
    found=''
    for candidate in $engines; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        [ -n "$names" ] || continue
        apart as_root "$candidate" inspect --type container --format "$container_format" -- $names
        case $?:$error in
            0:* | *[Nn]o\ such*) ;;
            *) told="$told
container_error=$candidate: $(printf '%s' "$error" | one_line | cut -c1-300)" ;;
        esac
        while IFS= read -r line; do
            case $line in *\|*\|*\|*\|*) found="$found
$candidate|$line" ;; esac
        done <<END
$out
END
    done
    number=0
    for spec; do
        rest=${spec#*|}
        name=${rest%%|*}
        case $known in *" $number="*) name='' ;; esac
        [ -z "$name" ] || container "$number" "$name"
        number=$((number + 1))
    done
}

# container NUMBER NAME
container() {
    while IFS='|' read -r engine id title state rest; do
        [ "${title#/}" = "$2" ] || continue
        told="$told
s$1.engine=$engine
s$1.container=$id|$title|$state|$rest"
        [ "$state" = running ] && state=active
        known="$known $1=$state "
        [ "$state" = active ] || told="$told
$(as_root "$engine" logs --tail 10 -- "$2" 2>&1 | cut -c1-1000 | sed "s/^/s$1.journal=/")"
        return
    done <<END
$found
END
}

# engine_of NAME: the engine that has this container, whoever starts it.
engine_of() {
    while IFS='|' read -r engine id title rest; do
        [ "${title#/}" = "$1" ] && printf '%s' "$engine" && return
    done <<END
$found
END
}

# probe ROLE CONTAINER: ask in the container where there is one.
probe() {
    role=$1 container=$2 engine=''
    set --
    [ -z "$container" ] || engine=$(engine_of "$container")
    [ -z "$engine" ] || set -- "$engine" exec -- "$container"
    case $role in
        broker) broker "$@" ;;
        database) database "$@" ;;
        cache) cache ;;
    esac
}

# Only what runs is asked: a question can start it (mariadb.socket, epmd).
probes() {
    number=0 asked=''
    for spec; do
        role=${spec##*|}
        rest=${spec#*|}
        case " $asked " in *" $role "*) role='' ;; esac
        case $role:$known in
            :* | *:) ;;
            *" $number=active "*)
                probe "$role" "${rest%%|*}" &
                asked="$asked $role"
                ;;
            *" $number="*)
                state=${known#*" $number="}
                off="$off
$role.exit=off
$role.out=${spec%%|*} is ${state%% *}"
                ;;
        esac
        number=$((number + 1))
    done
    # Said only where no other unit of the role runs.
    for role in broker database cache; do
        case " $asked " in
            *" $role "*) ;;
            *) told="$told
$(printf '%s' "$off" | grep "^$role\\." | head -n 2)" ;;
        esac
    done
    if [ -n "$keeps_time" ]; then
        { timeout 5 timedatectl show -p NTPSynchronized 2>/dev/null ||
            timeout 5 timedatectl | sed -n 's/.*ynchronized: */NTPSynchronized=/p'; } &
    fi
}

# Through a pipe: where sshd gives a socket, lines of several writers could mix.
look "$@" | cat
