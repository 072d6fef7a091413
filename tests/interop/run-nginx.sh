#!/bin/bash
# nginx, its master and its workers, with RSA and P-256 keys in the cluster through OpenSSL's PKCS#11
# engine: in a storm of handshakes each node hangs for a moment, both are killed in turn and nginx
# reloads, and no handshake fails.
#
# Reads top_srcdir and top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/tls.sh
. "$(dirname "$0")/tls.sh"
PATH=$PATH:/usr/sbin
need nginx
start_tls
port=7443
mapfile -t targets < <(targets_at "$port" rsa12 ec12 rsa13 ec13)

stop_server() {
    [ ! -f "$work/nginx.pid" ] || kill "$(cat "$work/nginx.pid")"
}
trap 'stop_storm; stop_server; stop_all' EXIT

write_server() {
    cat >"$work/nginx.conf" <<END
${server_user:+user $server_user;}
worker_processes 2;
pid $work/nginx.pid;
error_log $work/nginx.log;
env QUADHSM_CONFIG;
events {
    worker_connections 256;
}
http {
    access_log off;
    client_body_temp_path $work/temp;
    proxy_temp_path $work/temp;
    fastcgi_temp_path $work/temp;
    uwsgi_temp_path $work/temp;
    scgi_temp_path $work/temp;
    server {
        listen $host:$port ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $work/rsa.crt;
        ssl_certificate_key "engine:pkcs11:$key_rsa";
        ssl_certificate $work/p256.crt;
        ssl_certificate_key "engine:pkcs11:$key_p256";
        location / {
            return 200 "from nginx\n";
        }
    }
}
END
}

server() { # OPTION...
    OPENSSL_CONF=$work/openssl.cnf nginx -c "$work/nginx.conf" -e "$work/nginx.log" "$@"
}

# The master writes its number when the process that was started here may have ended already.
starts() {
    server && soon test -s "$work/nginx.pid" && serves_soon "$(cat "$work/nginx.pid")" "${targets[0]}"
}

workers() {
    local master

    master=$(cat "$work/nginx.pid")
    tr ' ' '\n' <"/proc/$master/task/$master/children" | grep . | sort
}

# The workers of before have ended when this returns; the master is the same.
reloads() {
    local master old

    master=$(cat "$work/nginx.pid")
    old=$(workers)
    server -s reload || return 1
    for _ in $(seq 1200); do
        if [ -z "$(comm -12 <(echo "$old") <(workers))" ] && [ "$(workers | wc -l)" -eq 2 ]; then
            [ "$(cat "$work/nginx.pid")" = "$master" ]
            return
        fi
        sleep 0.05
    done
    echo "workers before: $old now: $(workers)"
    return 1
}

# Handshakes that begin while there is no node wait for one.
survives_the_loss_of_all() {
    local waiting result

    kill_node alpha
    shake_hands 8 "${targets[@]}" >"$work/waiting" 2>&1 &
    waiting=$!
    start_node alpha
    restart_node beta
    wait "$waiting"
    result=$?
    cat "$work/waiting"
    return "$result"
}

# Workers whose first handshake finds no node: it fails in time, and those after it go well.
begins_without_nodes() {
    local target

    reloads || return 1
    # A worker reads it with its first handshake.
    sed -i 's/^timeout_ms:.*/timeout_ms: 500/' "$QUADHSM_CONFIG"
    kill_node alpha
    kill_node beta
    not shake_hands 8 "${targets[@]}" || return 1
    start_node alpha
    restart_node beta
    for target in "${targets[@]}"; do
        serves_soon "$(cat "$work/nginx.pid")" "$target" || return 1
    done
}

write_server
check "nginx starts with its keys in the cluster" starts
[ "$failed" -eq 0 ] || finish
check "RSA and P-256 serve TLS 1.2 and 1.3" shake_hands 40 "${targets[@]}"
before=$(workers)
begin_storm "${targets[@]}"
check "the first node hangs" freeze_node alpha 1
check "the second node hangs" freeze_node beta 1
check "both nodes are killed in turn" roll_nodes
check "with one node left handshakes go on" shake_hands 40 "${targets[@]}"
check "the workers are those of before" [ "$(workers)" = "$before" ]
check "with one node left nginx reloads" reloads
check "the new workers serve" shake_hands 40 "${targets[@]}"
check "no handshake of the storm failed" end_storm
check "when all nodes have died and are back nothing is restarted" survives_the_loss_of_all
check "so it is with workers that are new then" begins_without_nodes
tail -n 1 "$work/storm.out"
finish
