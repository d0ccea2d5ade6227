#!/bin/sh
# The guest's first process. Boots with the host's root read-only (hostfs), lays a root of its own over it
# (the unpacked packages, then the host, changes in memory only), runs the job it was given, halts.
# Kernel parameters: guest_root= the unpacked packages, guest_share= the one writable folder of the host.
# shellcheck disable=SC2154 # guest_root and guest_share come from the kernel, as environment variables
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

busybox=$guest_root/usr/bin/busybox

if [ "${1-}" != inside ]; then
  mount -t tmpfs -o mode=755 tmpfs /tmp
  "$busybox" insmod "$guest_root"/usr/lib/uml/modules/*/kernel/fs/overlayfs/overlay.ko
  mkdir /tmp/packages /tmp/upper /tmp/work /tmp/new
  mount -t hostfs -o "ro,$guest_root" none /tmp/packages
  mount -t overlay -o "lowerdir=/tmp/packages:/,upperdir=/tmp/upper,workdir=/tmp/work" overlay /tmp/new ||
    { echo "guest: its root could not be laid over the host's"; "$busybox" halt -f; }
  mkdir -p /tmp/new/.host
  cd /tmp/new && pivot_root . .host && exec chroot . /bin/sh "$0" inside
fi

mount -t proc proc /proc
umount -l /.host
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/mapper
mount -t devpts devpts /dev/pts
for place in /dev/shm /run /tmp /mnt; do mount -t tmpfs tmpfs "$place"; done
mkdir /run/lock /run/lvm /mnt/share
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t hostfs -o "$guest_share" none /mnt/share
rm -rf /lib/modules && ln -s /usr/lib/uml/modules /usr/lib/modules 2>/dev/null
for module in dm-mod dm-thin-pool dm-snapshot loop overlay; do modprobe "$module"; done
ip link set lo up
hostname guest

# No udev runs here, and there is no other machine whose locks LVM would have to respect.
mkdir -p /etc/lvm
cat >/etc/lvm/lvm.conf <<'CONF'
activation { udev_sync = 0 udev_rules = 0 verify_udev_operations = 0 monitoring = 0 }
devices { use_devicesfile = 0 }
global { event_activation = 0 }
CONF
for tool in iptables ip6tables; do ln -sf "/usr/sbin/$tool-legacy" "/usr/sbin/$tool"; done

# A kernel that resets itself would run the job again: to the host it shall have died instead.
if [ -e /mnt/share/booted ]; then busybox halt -f; fi
touch /mnt/share/booted

sh /mnt/share/job >/mnt/share/output 2>&1 </dev/null
echo $? >/mnt/share/status
sync
halt -f 2>/dev/null || busybox halt -f
