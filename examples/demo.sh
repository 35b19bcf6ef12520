#!/bin/sh
# A tour of half a minute: `sudo ./dev demo`. It makes an image, serves it from a registry on loopback, runs a pod with
# an address of its own on a network of its own, reaches it, kills it, watches it heal, and takes everything away again.
# It needs tank, crun, conmon, busybox, umoci, skopeo, docker-registry, curl and ip on PATH, and root.
set -eu

here=$(mktemp -d /tmp/tank-demo.XXXXXX)
link=tkdemo$$
neighbour=tank-demo-$$
registry_pid=''
daemon_pid=''
export TANK_DATA_DIR="$here/data" TANK_RUN_DIR="$here/run" TANK_CONFIG="$here/tank.toml"
export TANK_HOST="unix://$here/run/tank.sock"

end() { # a child of ours, and wait for its end
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

clean_up() {
    code=$?
    trap - EXIT INT TERM
    if [ -n "$daemon_pid" ]; then
        [ $code = 0 ] || tail -n 20 "$here/daemon.log" >&2
        tank delete demo --grace 0s >/dev/null 2>&1 && tank wait demo --for gone --timeout 20s >/dev/null 2>&1
        end "$daemon_pid"
    fi
    [ -z "$registry_pid" ] || end "$registry_pid"
    ip link delete "$link" 2>/dev/null || true
    ip netns delete "$neighbour" 2>/dev/null || true
    awk -v here="$here/" 'index($5, here) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l
    rm -rf "$here"
    exit $code
}
trap clean_up EXIT
trap 'exit 130' INT TERM

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') blue=$(printf '\033[36m') plain=$(printf '\033[0m'); else bold='' blue='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$blue" "$*" "$plain"; "$@"; }
wait_for() { # until a command succeeds, for ten seconds at most
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || { echo "demo: waited in vain for: $*" >&2; exit 1; }
        sleep 0.05
    done
}

say '1. An image, made here and now: busybox with a page, pushed to a registry on loopback.'
umoci init --layout "$here/layout"
umoci new --image "$here/layout:web"
umoci unpack --image "$here/layout:web" "$here/bundle"
root=$here/bundle/rootfs
mkdir -p "$root/bin" "$root/www" "$root/tmp"
cp "$(command -v busybox)" "$root/bin/busybox"
for name in $("$root/bin/busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"; done
echo 'hello from a pod' >"$root/www/index.html"
umoci repack --image "$here/layout:web" "$here/bundle"
umoci config --image "$here/layout:web" --config.cmd /bin/httpd --config.cmd -f --config.cmd -h --config.cmd /www
port=5099
while ss -Hltn "sport = :$port" 2>/dev/null | grep -q .; do port=$((port + 1)); done
cat >"$here/registry.yml" <<END
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $here/registry}}
http: {addr: 127.0.0.1:$port}
END
docker-registry serve "$here/registry.yml" >"$here/registry.log" 2>&1 &
registry_pid=$!
push() { skopeo copy --quiet --dest-tls-verify=false "oci:$here/layout:web" "docker://127.0.0.1:$port/hello:1"; }
wait_for push
echo "127.0.0.1:$port/hello:1"

say '2. A network to be on: one end of a cable is this machine, the other a neighbour in a namespace of its own.'
ip netns add "$neighbour"
ip link add "$link" type veth peer name lan0 netns "$neighbour"
ip link set "$link" up
ip -n "$neighbour" address add 192.0.2.1/24 dev lan0
ip -n "$neighbour" link set lan0 up
echo "$link is the uplink, 192.0.2.1 the neighbour"

say '3. The daemon, with directories of its own.'
: >"$here/tank.toml"
tank serve >"$here/daemon.log" 2>&1 &
daemon_pid=$!
wait_for tank list
show tank version

say '4. What is wanted, and that it be so.'
cat >"$here/pod.yaml" <<END
name: demo
network:
  nics:
    - {name: eth0, parent: $link, ip: 192.0.2.5/24}
containers:
  - name: web
    image: 127.0.0.1:$port/hello:1
    limits: {memory: 64MiB, pids: 32}
END
cat "$here/pod.yaml"
show tank apply -f "$here/pod.yaml" --wait
show tank list

say '5. Its address is one of the network: the neighbour asks it for a page.'
ask() { ip netns exec "$neighbour" curl -s --max-time 2 http://192.0.2.5/; }
wait_for ask
show ip netns exec "$neighbour" curl -s http://192.0.2.5/
# shellcheck disable=SC2016
show tank exec demo -- sh -c 'echo "inside: $(hostname), $(ip -o -4 addr show eth0)"'

say '6. Something kills it. Nobody starts it again but the loop.'
pid() { tank status demo -o json | python3 -c 'import json, sys; print(json.load(sys.stdin)["containers"][0]["pid"] or "")'; }
before=$(pid)
healed() { now=$(pid) && [ -n "$now" ] && [ "$now" != "$before" ]; }
show kill -9 "$before"
wait_for healed
wait_for ask
echo "process $before is dead, process $(pid) runs, and the neighbour gets its page:"
ask
show tank list
show tank events demo

say '7. The daemon itself is killed, and started again: the pod does not notice.'
before=$(pid)
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null || true
echo "no daemon; still: $(ask)"
tank serve >>"$here/daemon.log" 2>&1 &
daemon_pid=$!
wait_for tank list
echo "process $before before, process $(pid) after"

say '8. No longer wanted.'
show tank delete demo --grace 1s
show tank wait demo --for gone --timeout 20s
show tank list

say 'How to go on'
cat <<'END'
  sudo ./dev install          Tank as a service of this machine
  docs/tutorial.md            from nothing to a pod on your own network
  docs/README.md              all pages
  sudo ./dev test             everything is tried, as continuous integration does
END
