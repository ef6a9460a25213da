# state.sh UNIT CONTAINER ENGINES: nova-compute's state and processes.
# shellcheck shell=sh
need_unit "$1"
need_container "$2"
need_engines "$3"
nova_compute "$1" "$2" "$3"
say end ok
