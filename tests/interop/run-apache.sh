#!/bin/bash
# Apache with mod_ssl and the prefork model, a process a connection, with RSA and P-256 keys in the
# cluster through OpenSSL's PKCS#11 engine: in a storm of handshakes both nodes are killed in turn and
# Apache restarts gracefully, and no handshake fails.
#
# Reads top_srcdir and top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/tls.sh
. "$(dirname "$0")/tls.sh"
PATH=$PATH:/usr/sbin
need apache2
start_tls
port=7443
modules=/usr/lib/apache2/modules
mapfile -t targets < <(targets_at "$port" rsa12 ec12 rsa13 ec13)

stop_server() {
    [ ! -f "$work/apache.pid" ] || kill "$(cat "$work/apache.pid")"
}
trap 'stop_storm; stop_server; stop_all' EXIT

write_server() {
    cat >"$work/apache.conf" <<END
ServerRoot $work
ServerName localhost
PidFile $work/apache.pid
ErrorLog $work/apache.log
DefaultRuntimeDir $work
Mutex file:$work ssl-cache
LoadModule mpm_prefork_module $modules/mod_mpm_prefork.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule ssl_module $modules/mod_ssl.so
${server_user:+User $server_user}
${server_user:+Group $server_user}
StartServers 4
MinSpareServers 2
MaxSpareServers 8
MaxRequestWorkers 8
MaxConnectionsPerChild 200
Listen $host:$port
SSLCryptoDevice pkcs11
SSLSessionCache none
<VirtualHost $host:$port>
    ServerName localhost
    SSLEngine on
    SSLProtocol -all +TLSv1.2 +TLSv1.3
    SSLCertificateFile $work/rsa.crt
    SSLCertificateKeyFile "$key_rsa"
    SSLCertificateFile $work/p256.crt
    SSLCertificateKeyFile "$key_p256"
</VirtualHost>
END
}

server() { # OPTION...
    OPENSSL_CONF=$work/openssl.cnf apache2 -f "$work/apache.conf" "$@"
}

starts() {
    server -k start && soon test -s "$work/apache.pid" || return 1
    serves_soon "$(cat "$work/apache.pid")" "${targets[0]}" || { tail "$work/apache.log"; return 1; }
}

# Done when the log says that it serves again; the process is the same.
restarts() {
    local master

    master=$(cat "$work/apache.pid")
    server -k graceful || return 1
    for _ in $(seq 1200); do
        if grep -q 'Graceful restart requested' "$work/apache.log" &&
            [ "$(grep -c 'resuming normal operations' "$work/apache.log")" -eq 2 ]; then
            [ "$(cat "$work/apache.pid")" = "$master" ]
            return
        fi
        sleep 0.05
    done
    tail "$work/apache.log"
    return 1
}

write_server
check "Apache starts with its keys in the cluster" starts
[ "$failed" -eq 0 ] || finish
check "RSA and P-256 serve TLS 1.2 and 1.3" shake_hands 40 "${targets[@]}"
begin_storm "${targets[@]}"
check "both nodes are killed in turn" roll_nodes
check "with one node left handshakes go on" shake_hands 40 "${targets[@]}"
check "with one node left Apache restarts gracefully" restarts
check "the new processes serve" shake_hands 40 "${targets[@]}"
check "no handshake of the storm failed" end_storm
tail -n 1 "$work/storm.out"
finish
