#!/bin/sh
# A maintenance that fails until somebody mends the host.
echo "the disk is full"
[ -e /var/tmp/mended ] && rm /var/tmp/mended
