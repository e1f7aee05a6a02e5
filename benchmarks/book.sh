#!/bin/bash
# The job of site.yml as a plain script, in the order in which the book does it: housekeeping, tools, Miniconda, an
# environment, a self-signed certificate, a hashed password, Jupyter in the background. Written for comparison only:
# it checks nothing, hardens nothing, and cannot be run twice.
#   book.sh INSTALLER_URL [CHANNEL_ALIAS]
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get upgrade -y -qq
apt-get install -y -qq bzip2 gcc git htop screen vim wget openssl
apt-get upgrade -y -qq bash
apt-get clean

wget -q "$1" -O /tmp/Miniconda.sh
bash /tmp/Miniconda.sh -b -p "$HOME/miniconda3"
rm /tmp/Miniconda.sh
export PATH="$HOME/miniconda3/bin:$PATH"
printf 'channels: [conda-forge]\n%s' "${2:+channel_alias: $2
}" > "$HOME/.condarc"
conda create -y -q -n py4fi python=3.11 jupyterlab notebook ipykernel ipython pip numpy pandas scipy matplotlib \
    scikit-learn pytables openpyxl pyyaml
export PATH="$HOME/miniconda3/envs/py4fi/bin:$PATH"

mkdir -p "$HOME/.jupyter" "$HOME/notebook"
openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=droplet -keyout "$HOME/.jupyter/mykey.key" \
    -out "$HOME/.jupyter/mycert.pem" 2>/dev/null
cat > "$HOME/.jupyter/jupyter_server_config.py" <<PY
c.ServerApp.certfile = "$HOME/.jupyter/mycert.pem"
c.ServerApp.keyfile = "$HOME/.jupyter/mykey.key"
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = 8888
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
c.PasswordIdentityProvider.hashed_password = "$(python -c 'from jupyter_server.auth import passwd; print(passwd("jupyter"))')"
PY
cd "$HOME/notebook"
nohup jupyter lab >"$HOME/jupyter.log" 2>&1 </dev/null &
for _ in $(seq 300); do
    wget -q --no-check-certificate -O /dev/null https://127.0.0.1:8888/login && exit 0
    sleep 0.2
done
exit 1
