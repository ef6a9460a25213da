#!/bin/sh
# A maintenance that lasts until a test says go.
set -eu
echo "once more" >>/var/tmp/wait-for-go.runs
until [ -e /var/tmp/go ]; do sleep 0.3; done
rm /var/tmp/go
