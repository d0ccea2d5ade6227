#!/bin/sh
# Fetches what the test guest runs (its kernel, LVM, file system tools, Docker) from the machine's own
# Debian or Ubuntu archive and unpacks it into .guest/root. Nothing is installed on the machine, so no
# daemon starts there and none of its packages change.
set -eu

root=${1:?"usage: fetch.sh FOLDER"}
# prometheus is for promtool, which checks the alert rules; the guest itself needs all the others.
packages="user-mode-linux lvm2 e2fsprogs xfsprogs thin-provisioning-tools docker.io iptables iproute2 \
kmod busybox-static util-linux procps prometheus"

# Everything that decides what lands in the folder; a folder made from the same is kept.
recipe=$(cat "$0" /etc/os-release | sha256sum)
if [ "$(cat "$root/.recipe" 2>/dev/null)" = "$recipe" ]; then exit 0; fi

echo "guest: fetching $packages"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/debs/partial" "$work/root"
apt-get update -qq
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --download-only --no-install-recommends \
  -o Dir::Cache::archives="$work/debs" -o APT::Sandbox::User=root $packages >"$work/log" 2>&1 ||
  { cat "$work/log" >&2; exit 1; }
for deb in "$work"/debs/*.deb; do
  [ -e "$deb" ] && dpkg-deb -x "$deb" "$work/root"
done

# Packages built before the merge of /bin into /usr/bin would hide the machine's own links to /usr.
for top in bin sbin lib lib64; do
  [ -d "$work/root/$top" ] || continue
  mkdir -p "$work/root/usr/$top"
  cp -a "$work/root/$top/." "$work/root/usr/$top/"
  rm -rf "${work:?}/root/$top"
done
rm -rf "$work/root/usr/share/doc" "$work/root/usr/share/man" "$work/root/usr/share/locale"
echo "$recipe" >"$work/root/.recipe"
rm -rf "$root"
mkdir -p "$(dirname "$root")"
mv "$work/root" "$root"
