#!/bin/sh
# Make a kind cluster ready for recording: docker.io leads to registry.py on the host's bridge.
#   prepare.sh NODE_CONTAINER BUSYBOX MKIMAGE GATEWAY WORK_FOLDER [RUNC]
# BUSYBOX is a static busybox binary, MKIMAGE the script that packs a folder into an image archive,
# RUNC a binary that replaces the node's. Ends by running the registry in the foreground.
set -eu
node=$1 busybox=$2 mkimage=$3 gateway=$4 work=$5 runc=${6:-}
root=$work/root
mkdir -p "$root/bin" "$root/tmp" "$root/etc" "$root/root"
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
done
echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"
chmod 1777 "$root/tmp"
for tag in 1.35.0 1.36.1; do
  echo "$tag" > "$root/etc/release"  # so that the two differ
  "$mkimage" "$work/$tag.tar" "busybox:$tag" "$root" --cmd sh
done

[ -z "$runc" ] || docker cp "$runc" "$node:/usr/sbin/runc"
docker exec -i "$node" sh -c 'mkdir -p /etc/containerd/certs.d/docker.io
  grep -q certs.d /etc/containerd/config.toml ||
    printf "\n[plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"/etc/containerd/certs.d\"\n" \
      >> /etc/containerd/config.toml
  cat > /etc/containerd/certs.d/docker.io/hosts.toml' <<Y
server = "http://$gateway:5000"
Y
docker exec "$node" systemctl restart containerd
exec python3 "$(dirname "$0")/registry.py" "$gateway" 5000 \
  "1.35.0=$work/1.35.0.tar" "1.36.1=$work/1.36.1.tar"
