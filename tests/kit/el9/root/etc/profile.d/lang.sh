# The locale of a login shell, from where EL keeps it.
if [ -r /etc/locale.conf ]; then
    . /etc/locale.conf
    [ -z "${LANG-}" ] || export LANG
fi
