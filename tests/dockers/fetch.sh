#!/bin/sh
# Unpacks the Docker of another Debian release, and all that it needs, into a folder that can be a root.
# The packages come from the machine's own Debian archive; nothing is installed on the machine.
set -eu

suite=${1:?"usage: fetch.sh SUITE FOLDER"}
root=${2:?"usage: fetch.sh SUITE FOLDER"}
packages="docker.io docker-cli docker-buildx iptables kmod busybox-static coreutils dash findutils grep mount sed \
util-linux"
if [ -x "$root/usr/sbin/dockerd" ]; then exit 0; fi

# shellcheck disable=SC2016 # apt's own variable
archive=$(apt-get indextargets --format '$(SITE)' 'Identifier: Packages' 'Origin: Debian' | sort -u | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
: >"$work/status"
echo "deb [signed-by=$keys] $archive $suite main" >"$work/sources.list"
cat >"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
CONF
export APT_CONFIG="$work/apt.conf"
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --download-only --no-install-recommends $packages >"$work/log" 2>&1 ||
  { cat "$work/log" >&2; exit 1; }

cd "$work/root"
for deb in "$work"/cache/archives/*.deb; do dpkg-deb -x "$deb" .; done
for top in bin sbin lib lib64; do [ -e "$top" ] || ln -s "usr/$top" "$top"; done
mkdir -p dev etc/docker mnt proc run sys tmp var/lib
rm -rf var/run usr/share/doc usr/share/man usr/share/locale
ln -s ../run var/run
ln -sf dash usr/bin/sh
echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
echo 'root:x:0:' >etc/group
# The guest's kernel has no NAT for the other back end.
for tool in iptables ip6tables; do ln -sf "/usr/sbin/$tool-legacy" "usr/sbin/$tool"; done

rm -rf "$root"
mkdir -p "$(dirname "$root")"
mv "$work/root" "$root"
