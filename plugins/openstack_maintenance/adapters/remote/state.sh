# state.sh UNIT CONTAINER ENGINES: nova-compute's state and processes.
# shellcheck shell=sh
nova_compute "$1" "$2" "$3"
say end ok
