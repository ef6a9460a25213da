# Put in front of every script that is sent to a host. POSIX sh; nothing is left on the host.
# shellcheck shell=sh
LC_ALL=C
PATH="$PATH:/usr/sbin:/sbin"
export LC_ALL PATH
exec 3<&0 </dev/null # what is uploaded stays on 3; no command can eat it by mistake

# say KEY VALUE: one line of the answer. A value of several lines would say what nobody said.
say() {
    case $2 in
        *"$line_break"*) printf '%s=%s\n' "$1" "$(printf '%s' "$2" | one_line)" ;;
        *) printf '%s=%s\n' "$1" "$2" ;;
    esac
}
line_break='
'

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

# What is sent may come from whoever holds the key: each script begins with these, and refuses what
# is not what it says, before anything is run with it. What passes holds no blank and no pattern.
refuse() { fail "refused: $1"; }

need_unit() {
    case $1 in '' | [!A-Za-z0-9]* | *[!A-Za-z0-9_.@-]*) refuse 'this is not the name of a unit' ;; esac
    [ ${#1} -le 255 ] || refuse 'the name of a unit has at most 255 characters'
}

need_container() {
    case $1 in [!A-Za-z0-9]* | *[!A-Za-z0-9_.-]*) refuse 'this is not the name of a container' ;; esac
    [ ${#1} -le 255 ] || refuse 'the name of a container has at most 255 characters'
}

need_engines() {
    case $1 in '' | docker | podman | 'docker podman' | 'podman docker') ;;
        *) refuse 'the engines are docker and podman' ;; esac
}

need_number() {
    case $1 in '' | *[!0-9]*) refuse 'this is not a number' ;; esac
    [ ${#1} -le 12 ] || refuse 'a number has at most 12 digits'
}

# need_logs LOG:LOG...: absolute paths, and no option that a program would take for one.
need_logs() {
    case $1 in
        *"$line_break"*) refuse 'the path of a log has no line break' ;;
        /* | '') ;;
        *) refuse 'the path of a log begins with a slash' ;;
    esac
    case $1 in *:[!/]* | *:) refuse 'the path of a log begins with a slash' ;; esac
}

# need_spec UNIT|CONTAINER|ROLE
need_spec() {
    case $1 in *\|*\|*) ;; *) refuse 'a service is told as UNIT|CONTAINER|ROLE' ;; esac
    need_unit "${1%%|*}"
    rest=${1#*|}
    need_container "${rest%%|*}"
    case ${rest#*|} in '' | broker | database | cache) ;; *) refuse 'the roles are broker, database and cache' ;; esac
}

need_script_unit() {
    need_unit "$1"
    case $1 in openstack-maintenance-*) ;; *) refuse 'this is not the unit of a maintenance script' ;; esac
}

# apart COMMAND...: gives the command's status; what it prints is in $out, and what it and sudo say
# beside that ("unable to resolve host", podman's greeting) in $error, never taken for an answer.
apart() {
    between="--- $$ ---"
    both=$({
        out=$("$@" 2>&4 4>&-)
        printf '%s' "$between$?$between$out"
    } 4>&1)
    error=${both%%"$between"*}
    both=${both#*"$between"}
    out=${both#*"$between"}
    return "${both%%"$between"*}"
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
    "$1" install -D -m 0700 -o root -g root -- /dev/stdin "/var/lib/openstack-maintenance/$2"
}
run_script() {
    "$1" systemd-run --unit="$2" --description='maintenance script' \
        --property=RemainAfterExit=yes -- "/var/lib/openstack-maintenance/$2"
}

# is_no_guest PROGRAM ARGUMENTS: QEMU that runs for the host itself: libvirt asks it what it can do
# (machine none), libguestfs looks into an image. A guest's arguments begin with -name guest=..., and
# what its owner can choose (-append) comes far behind.
is_no_guest() {
    case $2 in
        "$1 -S -no-user-config -nodefaults "*' -machine none'[,\ ]* | \
            "$1 -S -no-user-config -nodefaults "*' -M none '*) return 0 ;;
        "$1 -name guest=guestfs-"* | "$1 -name guestfs-"*) return 0 ;;
        "$1 -name "*) return 1 ;;
        *' -kernel '*/.guestfs-*/appliance.d/kernel*) return 0 ;;
    esac
    return 1
}

# Guests' processes, by the deployment's patterns, and by QEMU's own names whatever was sent: with no
# pattern at all, a host would look empty. Without process 1 in the list /proc hides the processes of
# other users (hidepid), and an empty answer would mean nothing.
guests() {
    processes=$(ps -eo pid=,comm=,args= | cut -c1-1000)
    printf '%s\n' "$processes" | grep -q '^ *1 ' ||
        fail 'guest processes cannot be seen: ps does not show process 1 (is /proc mounted with hidepid?)'
    printf '%s\n' "$processes" | while read -r pid comm args; do
        program=${args%% *}
        is_no_guest "$program" "$args" && continue
        program=${program##*/}
        for pattern in 'qemu-system*' qemu-kvm kvm "$@"; do
            # shellcheck disable=SC2254  # the pattern is meant as one
            case $comm in $pattern) say guest "$pid $comm $args" && continue 2 ;; esac
            # shellcheck disable=SC2254
            case $program in $pattern) say guest "$pid $program $args" && continue 2 ;; esac
        done
    done
}

show_unit() {
    TZ=UTC systemctl show -p Id -p LoadState -p ActiveState -p SubState -p MainPID \
        -p NRestarts -p ActiveEnterTimestamp -p UnitFileState -p Result -p ExecMainStatus \
        -p ExecMainStartTimestamp -p ExecMainExitTimestamp -- "$1" | sed 's/^/unit./'
}

unit_is_known() {
    case $(systemctl show -p LoadState -- "$1" 2>/dev/null) in
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
        if apart as_root "$candidate" inspect --type container --format "$container_format" -- "$1"; then
            engine=$candidate inspected=$out
            return 0
        fi
        case $error in
            *[Nn]o\ such*) ;;
            *) fail "$candidate cannot be asked about container $1: $(printf '%s' "$error" | one_line)" ;;
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

# strays UNIT CONTAINER_ID: processes called nova-compute that are in neither's cgroup.
strays() {
    for stray in $(grep -l -s -x -F -e nova-compute /proc/[0-9]*/comm); do
        stray=${stray#/proc/}
        stray=${stray%/comm}
        cgroups=$(cat "/proc/$stray/cgroup" 2>/dev/null)
        case $cgroups in
            '') continue ;; # it has ended meanwhile
            *"/$1"* | *"${2:-/$1}"*) continue ;;
        esac
        say stray "$stray $(printf '%s\n' "$cgroups" | tail -n 1 | cut -c1-200)"
    done
}

# nova_compute UNIT CONTAINER ENGINES: who manages it, its state and all its processes; sets $pids.
# Processes of a container are not in the cgroup of the unit that starts it.
nova_compute() {
    managed=no pids='' inspected=''
    if unit_is_known "$1"; then
        managed=yes
        show_unit "$1"
        pids=$(pids_of "/$1")
    fi
    if [ -n "$2" ] && find_container "$2" "$3"; then
        managed=yes
        say engine "$engine"
        say container "$inspected"
        pids="$pids $(pids_of "${inspected%%|*}")"
    fi
    for each in $pids; do say pid "$each"; done
    strays "$1" "${inspected%%|*}"
    [ $managed = yes ] || look_alikes "$3"
}

newest_of() {
    # shellcheck disable=SC2012  # log names hold no line breaks, and find cannot sort
    ls -1td -- "$@" 2>/dev/null | head -n 1
}

# choose_log LOG:LOG...: the one written last; the first where the folder cannot be looked into.
choose_log() {
    set -f # a path is a path, not a pattern
    IFS=:
    # shellcheck disable=SC2086  # split at the colons
    set -- $1
    unset IFS
    set +f
    log=$(newest_of "$@")
    [ -n "$log" ] || log=${1-}
}

# The end of a log, directly or as root; bounded, so that a huge log costs no more.
read_log() {
    if [ -r "$1" ]; then tail -c 16777216 -- "$1"; else as_root tail -c 16777216 -- "$1"; fi
}
