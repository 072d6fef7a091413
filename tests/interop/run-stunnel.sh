#!/bin/bash
# stunnel with RSA and P-256 keys in the cluster through OpenSSL's PKCS#11 engine, and HAProxy behind
# it, which cannot use such keys itself: in a storm of handshakes both nodes are killed in turn, and no
# handshake fails.
#
# Reads top_srcdir and top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/tls.sh
. "$(dirname "$0")/tls.sh"
PATH=$PATH:/usr/sbin
need stunnel haproxy
start_tls
servers=()
mapfile -t targets < <(targets_at 7443 rsa12 rsa13; targets_at 7444 ec12 ec13)

stop_servers() {
    [ "${#servers[@]}" -eq 0 ] || kill "${servers[@]}" 2>/dev/null
}
trap 'stop_storm; stop_servers; stop_all' EXIT

write_stunnel() {
    cat >"$work/stunnel.conf" <<END
foreground = yes
pid =
output = $work/stunnel.log
syslog = no
engine = pkcs11
engineCtrl = MODULE_PATH:$MODULE
engineCtrl = INIT

[rsa]
accept = $host:7443
connect = $host:7480
protocol = proxy
sslVersionMin = TLSv1.2
cert = $work/rsa.crt
engineId = pkcs11
key = $key_rsa

[p256]
accept = $host:7444
connect = $host:7480
protocol = proxy
sslVersionMin = TLSv1.2
cert = $work/p256.crt
engineId = pkcs11
key = $key_p256
END
}

write_haproxy() {
    cat >"$work/haproxy.cfg" <<END
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend behind_stunnel
    bind $host:7480 accept-proxy
    http-request return status 200 content-type text/plain lf-string "%ci by HAProxy\n"
END
}

starts() {
    haproxy -db -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 &
    servers+=($!)
    listens_soon "${servers[0]}" 7480 || { cat "$work/haproxy.log"; return 1; }
    stunnel "$work/stunnel.conf" >"$work/stunnel.out" 2>&1 &
    servers+=($!)
    serves_soon "${servers[1]}" "${targets[0]}" || { tail "$work"/stunnel.*; return 1; }
}

# HAProxy answers no handshake of ours, so that stunnel's first one does not show that it is there.
listens_soon() { # PROCESS PORT
    for _ in $(seq 1200); do
        if (exec 3<>"/dev/tcp/$host/$2") 2>/dev/null; then
            return 0
        fi
        kill -0 "$1" 2>/dev/null || break
        sleep 0.05
    done
    echo "nothing listens at port $2"
    return 1
}

# HAProxy answers, and knows the client's address.
answers() { # PORT
    printf 'GET / HTTP/1.0\r\n\r\n' |
        openssl s_client -connect "$host:$1" -CAfile "$work/both.crt" -quiet -ign_eof >"$work/page" 2>&1
    grep -q '^127\.0\.0\.1 by HAProxy' "$work/page" || {
        cat "$work/page" "$work/haproxy.log"
        tail -n 20 "$work/stunnel.log"
        return 1
    }
}

all_run() {
    kill -0 "${servers[@]}"
}

write_haproxy
write_stunnel
check "stunnel starts with its keys in the cluster" starts
[ "$failed" -eq 0 ] || finish
check "RSA and P-256 serve TLS 1.2 and 1.3" shake_hands 40 "${targets[@]}"
check "HAProxy answers behind RSA" answers 7443
check "HAProxy answers behind P-256" answers 7444
begin_storm "${targets[@]}"
check "both nodes are killed in turn" roll_nodes
check "with one node left handshakes go on" shake_hands 40 "${targets[@]}"
check "HAProxy still answers" answers 7443
check "nobody was restarted" all_run
check "no handshake of the storm failed" end_storm
tail -n 1 "$work/storm.out"
finish
