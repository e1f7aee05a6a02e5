#!/bin/sh
# The last step of the image, inside it, over Debian's packages and the files of root/: what is Debian's becomes EL's.
set -eu

standin=/usr/lib/pystack-standin
system=/usr/lib/systemd/system

release_files() {
    rm -f /etc/debian_version
    ln -s rocky-release /etc/redhat-release
    ln -s rocky-release /etc/system-release
    echo 'Stand-in for Rocky Linux 9.6, made of Debian 12: not Rocky Linux.' | tee /etc/issue >/etc/motd
}

# Out of PATH, not out of the image: the RPMs are made of packages that apt fetches.
hide_debian_tools() {
    mkdir -p "$standin/debian"
    for tool in apt apt-cache apt-cdrom apt-config apt-get apt-key apt-mark; do
        mv "/usr/bin/$tool" "$standin/debian/"
    done
    mv /usr/sbin/update-ca-certificates /usr/sbin/dpkg-reconfigure "$standin/debian/"
    rm -f /etc/cron.daily/apt-compat /etc/cron.daily/dpkg
}

places() {
    mkdir -p /etc/sysconfig /etc/yum.repos.d /etc/pki/rpm-gpg
}

commands() {
    ln -sf dnf-3 /usr/bin/yum
    ln -sf bash /usr/bin/sh
    ln -s /usr/bin/python3 /usr/libexec/platform-python
    ln -s cron /usr/sbin/crond
    # EL 9's Python knows no PEP 668.
    rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
}

units() {
    systemctl --quiet disable ssh.service cron.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
    rm -f "$system"/ssh.* "$system"/ssh@.service "$system"/cron.service "$system"/apt-* "$system"/dpkg-*
    rm -rf /etc/systemd/system/sshd.service /etc/systemd/system/ssh.service.d
    rm -f /etc/ssh/ssh_host_*
    systemctl --quiet enable sshd.service crond.service
}

groups() {
    groupdel sudo
    # EL's number, which Debian gives to uucp.
    groupmod --gid 986 uucp
    groupadd --gid 10 wheel
    chmod 440 /etc/sudoers
}

locale_and_time() {
    rm -f /etc/default/locale /etc/timezone
    sed -i 's#/etc/default/locale#/etc/locale.conf#' /etc/pam.d/*
}

certificate_authorities() {
    shared=/usr/share/pki/ca-trust-source
    mkdir -p /etc/pki/tls/certs /etc/pki/tls/private
    mkdir -p /etc/pki/ca-trust/source/anchors /etc/pki/ca-trust/source/blocklist
    mkdir -p /etc/pki/ca-trust/extracted/openssl /etc/pki/ca-trust/extracted/pem "$shared/anchors" "$shared/blocklist"
    cat /usr/share/ca-certificates/mozilla/*.crt >"$shared/anchors/mozilla.pem"
    extracted=/etc/pki/ca-trust/extracted
    ln -s "$extracted/pem/tls-ca-bundle.pem" /etc/pki/tls/certs/ca-bundle.crt
    ln -s "$extracted/openssl/ca-bundle.trust.crt" /etc/pki/tls/certs/ca-bundle.trust.crt
    ln -s certs/ca-bundle.crt /etc/pki/tls/cert.pem
    rm -rf /etc/ssl/certs
    ln -s /etc/pki/tls/certs /etc/ssl/certs
    ln -sf /etc/pki/tls/cert.pem /usr/lib/ssl/cert.pem
    update-ca-trust extract
}

release_files
groups
places
commands
units
locale_and_time
certificate_authorities
PYTHONPATH=$standin python3 -m el9.places /usr/lib/x86_64-linux-gnu
PYTHONPATH=$standin python3 -m el9.seed
hide_debian_tools
rm -rf "$standin/el9" "$standin/finish.sh"
