# Put in front of every script that is sent to a host. POSIX sh; nothing is left on the host.
# shellcheck shell=sh
LC_ALL=C
PATH="$PATH:/usr/sbin:/sbin"
export LC_ALL PATH
exec 3<&0 </dev/null # what is uploaded stays on 3; no command can eat it by mistake

say() { printf '%s=%s\n' "$1" "$2"; }

fail() {
    say error "$1"
    say end ok
    exit 0
}

# What may work a moment later, as while a host boots or goes down.
not_now() {
    say later "$1"
    say end ok
    exit 0
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

boot_id() { cat /proc/sys/kernel/random/boot_id; }

host_clock() { date +%Y-%m-%dT%H:%M:%S.%N%z; }

one_line() { tr '\n' ' ' | cut -c1-500; }

# All live processes whose cgroup carries this name: a unit or a container's id.
pids_of() {
    grep -l -s -F -e "$1" /proc/[0-9]*/cgroup | cut -d/ -f3
}

# needs COMMAND...: name it where sudo would refuse it. Nothing is run: sudo only says whether.
needs() { as_root -l "$@" >/dev/null 2>&1 || say sudo_missing "$*"; }

# Members of these groups read the journal without sudo.
reads_journal() { id -nG | tr ' ' '\n' | grep -qxE 'adm|systemd-journal'; }

# journal ARGUMENT...: as the login may read it, else as root, else whatever can be had.
journal() {
    { { reads_journal && journalctl --no-pager "$@" 2>/dev/null; } ||
        as_root journalctl --no-pager "$@" 2>/dev/null || journalctl --no-pager "$@" 2>&1; } |
        cut -c1-1000 | sed 's/^/output=/'
}

# What a maintenance script needs: VERB UNIT, where the verb is as_root or needs.
store_script() {
    "$1" install -D -m 0700 -o root -g root /dev/stdin "/var/lib/openstack-maintenance/$2"
}
run_script() {
    "$1" systemd-run --unit="$2" --description='maintenance script' \
        --property=RemainAfterExit=yes "/var/lib/openstack-maintenance/$2"
}

# Guests' processes, by patterns. Without process 1 in the list /proc hides the processes of
# other users (hidepid), and an empty answer would mean nothing.
guests() {
    processes=$(ps -eo pid=,comm=,args= | cut -c1-600)
    printf '%s\n' "$processes" | grep -q '^ *1 ' ||
        fail 'guest processes cannot be seen: ps does not show process 1 (is /proc mounted with hidepid?)'
    printf '%s\n' "$processes" | while read -r pid comm args; do
        program=${args%% *}
        program=${program##*/}
        for pattern in "$@"; do
            # shellcheck disable=SC2254  # the pattern is meant as one
            case $comm in $pattern) say guest "$pid $comm $args" && continue 2 ;; esac
            # shellcheck disable=SC2254
            case $program in $pattern) say guest "$pid $program $args" && continue 2 ;; esac
        done
    done
}

show_unit() {
    TZ=UTC systemctl show "$1" -p Id -p LoadState -p ActiveState -p SubState -p MainPID \
        -p NRestarts -p ActiveEnterTimestamp -p UnitFileState -p Result -p ExecMainStatus \
        -p ExecMainStartTimestamp -p ExecMainExitTimestamp | sed 's/^/unit./'
}

unit_is_known() {
    case $(systemctl show "$1" -p LoadState 2>/dev/null) in
        '') not_now 'systemd does not answer (systemctl show gave nothing)' ;;
        LoadState=not-found) return 1 ;;
    esac
}

# Sets $engine and $inspected for a container, from the first engine that has it.
# $inspected is ID|NAME|STATUS|PID|RESTARTS|RESTART POLICY|STARTED.
container_format='{{.Id}}|{{.Name}}|{{.State.Status}}|{{.State.Pid}}|{{.RestartCount}}|{{.HostConfig.RestartPolicy.Name}}|{{.State.StartedAt}}'
find_container() {
    engine='' inspected=''
    for candidate in $2; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if inspected=$(as_root "$candidate" inspect --type container --format "$container_format" "$1" 2>&1); then
            engine=$candidate
            return 0
        fi
        case $inspected in
            *[Nn]o\ such*) ;;
            *) fail "$candidate cannot be asked about container $1: $(printf '%s' "$inspected" | one_line)" ;;
        esac
    done
    return 1
}

look_alikes() {
    systemctl list-unit-files --no-legend --no-pager '*nova*' 2>/dev/null | cut -d' ' -f1 |
        sed 's/^/look_alike=/'
    for candidate in $1; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        as_root "$candidate" ps -a --format '{{.Names}}' 2>/dev/null | grep nova |
            sed "s/^/look_alike=$candidate container /"
    done
}

# nova_compute UNIT CONTAINER ENGINES: who manages it, its state and all its processes.
# Processes of a container are not in the cgroup of the unit that starts it.
nova_compute() {
    managed=no
    if unit_is_known "$1"; then
        managed=yes
        show_unit "$1"
        pids_of "/$1" | sed 's/^/pid=/'
    fi
    if [ -n "$2" ] && find_container "$2" "$3"; then
        managed=yes
        say engine "$engine"
        say container "$inspected"
        pids_of "${inspected%%|*}" | sed 's/^/pid=/'
    fi
    [ $managed = yes ] || look_alikes "$3"
}

newest_of() {
    # shellcheck disable=SC2012  # log names hold no line breaks, and find cannot sort
    ls -1td -- "$@" 2>/dev/null | head -n 1
}

# Of the candidates the one written last; the first where the folder cannot be looked into.
choose_log() {
    log=$(newest_of "$@")
    [ -n "$log" ] || log=$1
}

# The end of a log, directly or as root; bounded, so that a huge log costs no more.
read_log() {
    if [ -r "$1" ]; then tail -c 16777216 "$1"; else as_root tail -c 16777216 "$1"; fi
}
