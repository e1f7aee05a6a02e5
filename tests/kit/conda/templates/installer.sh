#!/bin/sh
# @BANNER@
#
# NAME:  @NAME@
# VER:   @VERSION@
# PLAT:  linux-64
# MD5:   @MD5@

set -eu
unset CONDARC LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT

case "$0" in
    *.sh) ;;
    *)
        printf 'Please run this file by its own name, which ends in .sh\n' >&2
        return 1 2>/dev/null || exit 1
        ;;
esac

SELF=$0
PREFIX=${HOME:-/opt}/@FOLDER@
BATCH=0
FORCE=0

usage() {
    cat <<EOF
usage: $0 [options]

Installs @NAME@ @VERSION@ (@BANNER@)
-b           run without questions, taking the licence as accepted
-f           install even where something exists already
-h           print this help message and exit
-k           keep the package cache
-m           make no shortcuts
-p PREFIX    where to install, defaults to $PREFIX
-s           skip scripts before and after linking
-u           update an existing installation
EOF
}

while getopts bifhkp:smu option; do
    case "$option" in
        b) BATCH=1 ;;
        i) BATCH=0 ;;
        f | u) FORCE=1 ;;
        p) PREFIX=$OPTARG ;;
        k | m | s) ;;
        h)
            usage
            exit 2
            ;;
        *)
            printf "ERROR: did not recognize option '%s', please try -h\n" "$option" >&2
            exit 1
            ;;
    esac
done

printf '%s\n' '@BANNER@'
if [ "$BATCH" = 0 ]; then
    printf '\nWelcome to @NAME@ @VERSION@\n\nDo you accept the license terms? [yes|no]\n>>> '
    read -r answer || answer=no
    case "$answer" in
        [Yy][Ee][Ss]) ;;
        *)
            printf "The license agreement wasn't approved, aborting installation.\n"
            exit 2
            ;;
    esac
    printf '\n@NAME@ will now be installed into this location:\n%s\n\n[%s] >>> ' "$PREFIX" "$PREFIX"
    read -r answer || answer=
    PREFIX=${answer:-$PREFIX}
fi

case "$PREFIX" in
    *' '*)
        printf 'ERROR: Cannot install into directories with spaces\n' >&2
        exit 1
        ;;
    '')
        printf 'ERROR: the directory to install into has no name\n' >&2
        exit 1
        ;;
esac
if [ "$FORCE" = 0 ] && [ -e "$PREFIX" ]; then
    printf "ERROR: File or directory already exists: '%s'\n" "$PREFIX" >&2
    printf 'If you want to update an existing installation, use the -u option.\n' >&2
    exit 1
fi

payload() {
    tail -n +@PAYLOAD_LINE@ "$SELF"
}

if [ "$(payload | wc -c)" -ne @SIZE@ ]; then
    printf 'ERROR: the payload of %s is not complete, it should have @SIZE@ bytes\n' "$SELF" >&2
    exit 1
fi
found=$(payload | md5sum | cut -d ' ' -f 1)
if [ "$found" != @MD5@ ]; then
    printf 'WARNING: md5sum mismatch of tar archive\nexpected: @MD5@\n     got: %s\n' "$found" >&2
fi

umask 022
if ! mkdir -p "$PREFIX"; then
    printf "ERROR: Could not create directory: '%s'\n" "$PREFIX" >&2
    exit 1
fi
PREFIX=$(cd "$PREFIX" && pwd)
export PREFIX
printf 'PREFIX=%s\nUnpacking payload ...\n' "$PREFIX"
if [ "$FORCE" = 1 ]; then
    rm -f "$PREFIX"/conda-meta/*.json
fi
if ! payload | gzip -dc | tar -xf - -C "$PREFIX" --no-same-owner; then
    printf 'ERROR: could not unpack the payload\n' >&2
    exit 1
fi
if ! "$PREFIX/bin/python" -I "$PREFIX/.installer/relocate.py" "$PREFIX"; then
    printf 'ERROR: could not fit the files to %s\n' "$PREFIX" >&2
    exit 1
fi
rm -rf "$PREFIX/.installer"
for channel in @CHANNELS@; do
    printf 'channels:\n  - %s\n' "$channel" >"$PREFIX/.condarc"
done
printf 'installation finished.\n'
exit 0
