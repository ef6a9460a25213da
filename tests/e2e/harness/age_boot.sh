#!/bin/sh
# Runs on a host: until its next boot, systemd says that this one was forty days ago.
cat >/usr/local/bin/systemctl <<END
#!/bin/sh
case "\$*" in
*UserspaceTimestamp*) ;;
*) exec /usr/bin/systemctl "\$@" ;;
esac
answer=\$(/usr/bin/systemctl "\$@") || exit
if [ "\$(cat /proc/sys/kernel/random/boot_id)" = $(cat /proc/sys/kernel/random/boot_id) ]; then
    old=\$(date --date="40 days ago" "+%a %Y-%m-%d %H:%M:%S %Z")
    answer=\$(echo "\$answer" | sed "s/^UserspaceTimestamp=.*/UserspaceTimestamp=\$old/")
fi
echo "\$answer"
END
chmod +x /usr/local/bin/systemctl
