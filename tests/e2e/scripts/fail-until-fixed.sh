#!/bin/sh
# A maintenance that fails until somebody fixes the host.
echo "the disk is full"
[ -e /var/tmp/fixed ] && rm /var/tmp/fixed
