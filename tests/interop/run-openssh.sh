#!/bin/bash
# OpenSSH against a pair of nodes: users' keys, a host's key and a certificate authority's key of the
# token, with ssh, ssh-agent, ssh-keygen and a real sshd, while each node is killed once.
#
# It runs as root and as any user. Reads top_srcdir, top_builddir. Ends with "N passed, N failed".
# shellcheck source=tests/interop/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/interop/steady.sh
. "$(dirname "$0")/steady.sh"
PATH=$PATH:/usr/sbin:/sbin
need ssh ssh-keygen ssh-agent ssh-add sshd
case $(getent passwd "$(id -un)") in
*/nologin | */false) skip "this user has no shell to log in to" ;;
esac
start_pair
server='' agent=''

stop_programs() {
    steady_end
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
    [ -z "$agent" ] || { kill "$agent" && wait "$agent"; } 2>/dev/null
}
trap 'stop_programs; stop_all' EXIT

# The PIN is asked for by a program, as on a desktop.
export SSH_ASKPASS=$work/askpass SSH_ASKPASS_REQUIRE=force
# shellcheck disable=SC2016 # the program's own
printf '#!/bin/sh\necho "$1" >>"%s"\ncat "%s"\n' "$work/asked" "$PIN_FILE" >"$SSH_ASKPASS"
chmod +x "$SSH_ASKPASS"

make_keys() {
    local key=("$top_builddir/quadhsm" key generate --partition interop --pin-file "$PIN_FILE")

    "${key[@]}" --type rsa:2048 --label rsa && "${key[@]}" --type ec:P-256 --label p256 &&
        "${key[@]}" --type ec:P-384 --label host && "${key[@]}" --type ec:P-256 --label ca
}

# Public keys are read without a PIN; each line ends with the key's label.
lists_keys() {
    ssh-keygen -D "$MODULE" >"$work/keys" || return 1
    for label in rsa p256 host ca; do
        grep " $label\$" "$work/keys" >"$work/$label.pub" || return 1
    done
    [ ! -e "$work/asked" ]
}

start_agent() {
    export SSH_AUTH_SOCK=$work/agent.sock
    # It starts no module outside of the places that it is told.
    ssh-agent -D -a "$SSH_AUTH_SOCK" -P "$(realpath "$MODULE")" >"$work/agent.log" 2>&1 &
    agent=$!
    wait_for "the agent" test -S "$SSH_AUTH_SOCK"
}

agent_loads() {
    ssh-add -s "$MODULE" && prints ' p256 ' ssh-add -l && prints ' rsa ' ssh-add -l
}

agent_signs() { # LABEL...
    local label

    for label in "$@"; do
        ssh-add -T "$work/$label.pub" || return 1
    done
}

write_files() {
    {
        echo "ListenAddress $host"
        echo "Port 2222"
        echo "HostKey $work/host"
        echo "HostKeyAgent $SSH_AUTH_SOCK"
        echo "AuthorizedKeysFile $work/authorized"
        echo "TrustedUserCAKeys $work/ca.pub"
        echo "PermitRootLogin prohibit-password"
        echo "StrictModes no"
        echo "UsePAM no"
        echo "PidFile none"
    } >"$work/sshd.conf"
    cat "$work/rsa.pub" "$work/p256.pub" >"$work/authorized"
    echo "[$host]:2222 $(cut -d' ' -f1,2 "$work/host.pub")" >"$work/known_hosts"
}

# Its host key is the agent's, and so the token's.
start_server() {
    # What Debian's unit does, where no sshd runs.
    [ "$(id -u)" -ne 0 ] || install -d -m 755 /run/sshd
    write_files
    "$(command -v sshd)" -D -e -f "$work/sshd.conf" >"$work/sshd.log" 2>&1 &
    server=$!
    wait_for "sshd" grep 'Server listening' "$work/sshd.log"
}

# Nothing of the user's own configuration counts.
log_in() { # OPTION...
    ssh -F none -p 2222 -o UserKnownHostsFile="$work/known_hosts" -o StrictHostKeyChecking=yes \
        -o PreferredAuthentications=publickey "$@" "$host" 'test -n "$SSH_CONNECTION"'
}

# The client itself loads the module; the PIN is asked for.
logs_in_directly() { # KEY_ALGORITHM
    rm -f "$work/asked"
    log_in -I "$MODULE" -o IdentityAgent=none -o IdentityFile=none \
        -o PubkeyAcceptedAlgorithms="$1" && grep -q interop "$work/asked"
}

logs_in_by_agent() { # [LABEL]
    log_in -o IdentityFile="$work/${1:-p256}.pub" -o IdentitiesOnly=yes
}

# The authority's key signs a user's, with which that user logs in.
authority_signs() {
    rm -f "$work/user"*
    ssh-keygen -q -t ed25519 -N '' -f "$work/user" &&
        ssh-keygen "$@" -s "$work/ca.pub" -I user -n "$(id -un)" -V +1h "$work/user.pub" &&
        log_in -i "$work/user" -o IdentitiesOnly=yes -o IdentityAgent=none
}

check "keys are made" make_keys
check "public keys are listed, without a PIN" lists_keys
start_agent
check "the agent loads the module" agent_loads
check "the agent signs" agent_signs rsa p256 host ca
start_server
check "ssh logs in with an RSA key" logs_in_directly rsa-sha2-256,rsa-sha2-512
check "ssh logs in with a P-256 key" logs_in_directly ecdsa-sha2-nistp256
check "ssh logs in with an agent's RSA key" logs_in_by_agent rsa
check "ssh logs in with an agent's P-256 key" logs_in_by_agent p256
check "ssh-keygen certifies a user's key, who logs in" authority_signs -D "$MODULE"
check "ssh-keygen certifies by the agent" authority_signs -U
check "the agent signs while each node is killed once" steady_outlives agent_signs rsa p256
steady_say "ssh-agent, two signatures each"
check "logins go on while each node is killed once" steady_outlives logs_in_by_agent
steady_say "logins, with the host's and the user's signature"
check "the agent waits while both nodes are gone, and goes on" steady_outlives_both agent_signs p256
steady_say "ssh-agent, both nodes gone"
check_not "a key that is not the token's is refused" \
    log_in -i "$work/user" -o CertificateFile=none -o IdentitiesOnly=yes -o IdentityAgent=none
finish
