#!/bin/sh
# tls:// through chanctl: what works, and what is said when one side does not trust the other.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"
tap_cleanup='kill $server 2>/dev/null; '$tap_cleanup
server=
certificates=$tap_dir/certificates
mkdir "$certificates"
sh "$top_srcdir/tests/support/certificates.sh" "$certificates" || {
	echo "Bail out! no certificates could be made"
	exit 1
}
unset CHAN_TLS_CERT CHAN_TLS_KEY
CHAN_TLS_CA=$certificates/ca.pem
export CHAN_TLS_CA

# configure LINE...: the configuration, from here on.
configure() {
	{
		echo "listen = {\"unix:$tap_dir/chand.sock\", \"tls://127.0.0.1:0\", \"tls://[::1]:0\", \"tcp://127.0.0.1:0\"}"
		printf '%s\n' "$@"
	} >"$tap_dir/conf"
}

# use NAME: a certificate of that name and its key, as lines of the configuration.
use() {
	printf 'tls_certificate = "%s.pem"\ntls_key = "%s.key"\n' "$certificates/$1" "$certificates/$1"
}

reloads() {
	grep -c "configuration reloaded" "$tap_dir/log"
}

# reload TIMES: has the daemon read the configuration again, which has happened so often then.
reload() {
	kill -HUP "$daemon_pid"
	becomes "reload" "$1" reloads
}

listens() { # SCHEME-AND-HOST
	sed -n "s|.*listening on \($1:[0-9]*\)\$|\1|p" "$tap_dir/log"
}

# over ARGUMENT...: chanctl, by TLS.
over() {
	chanctl --url "$tls" "$@"
}

configure "$(use server)"
unset CHAN_URL
CHAN_URL=unix:$tap_dir/chand.sock
export CHAN_URL
chand --config "$tap_dir/conf" 2>"$tap_dir/log" &
daemon_pid=$!
chanctl ping --timeout 20s >/dev/null 2>&1
tls=$(listens tls://127.0.0.1)
port=${tls##*:}
plain=$(listens tcp://127.0.0.1)

# What works.
check "make" over make jobs --type string --cap 100
check "send" over send jobs one two
check "recv" over recv jobs
same "the value" one "$(cat "$out")"
check "by name" chanctl --url "tls://localhost:$port" recv jobs
six=$(listens 'tls://\[::1\]')
[ -z "$six" ] || check "by an IPv6 address" chanctl --url "$six" ping
head -c 900000 /dev/urandom >"$tap_dir/large"
check "a large value there" sh -c "chanctl --url $tls make large --type bytes --cap 1 && chanctl --url $tls send large - <$tap_dir/large"
check "and back" sh -c "chanctl --url $tls recv large --raw | cmp - $tap_dir/large"
seq 1 20000 >"$tap_dir/numbers"
chanctl range jobs >"$tap_dir/range" &
receiver=$!
check "a stream" sh -c "chanctl --url $tls send jobs --lines --close <$tap_dir/numbers"
check "all of it" wait $receiver
check "in its order" cmp "$tap_dir/numbers" "$tap_dir/range"
for version in 1_2 1_3; do
	echo | openssl s_client -connect "127.0.0.1:$port" -tls$version -alpn chand/1 -verify_return_error \
		-CAfile "$CHAN_TLS_CA" >"$out" 2>&1
	prints "TLS $version" "Verify return code: 0 (ok)"
	prints "and the protocol's name" "ALPN protocol: chand/1"
done
echo | openssl s_client -connect "127.0.0.1:$port" -tls1_1 >"$out" 2>&1
prints "nothing older" "alert protocol version"
echo | openssl s_client -connect "127.0.0.1:$port" -alpn h2 >"$out" 2>&1
prints "no other protocol" "alert no application protocol"

# Whom the client does not trust.
exits 77 "an unknown authority" over --tls-ca "$certificates/stranger-ca.pem" ping
says "who signed" "signed by 'chand test ca', whom nobody here knows"
says "what to do" "CHAN_TLS_CA, --tls-ca"
exits 77 "the system's authorities" env -u CHAN_TLS_CA chanctl --url "$tls" ping
check "by --tls-ca" env -u CHAN_TLS_CA chanctl --url "$tls" --tls-ca "$certificates/ca.pem" ping
exits 0 "insecure" env -u CHAN_TLS_CA chanctl --url "$tls" --insecure ping
says "loudly" "warning: --insecure: whoever answers is taken for the broker"
exits 64 "no file" over --tls-ca /nonexistent/ca.pem ping
says "which, and why" "/nonexistent/ca.pem, cannot be read: No such file"
exits 64 "another file" over --tls-ca "$certificates/ca.key" ping
says "what is wrong" "holds no authority's certificate"
exits 64 "another's key" over --tls-cert "$certificates/client.pem" --tls-key "$certificates/other.key" ping
says "that it is" "belongs to the certificate in"

# What is something else.
exits 76 "without TLS where TLS is spoken" chanctl --url "tcp://127.0.0.1:$port" ping
says "what to do" "speaks TLS; dial it by tls://"
exits 76 "with TLS where none is" chanctl --url "tls://${plain#tcp://}" ping
says "what to do" "does not speak TLS; dial it by tcp://"

# serve OPTION...: another TLS server; its port.
serve() {
	[ -z "$server" ] || kill "$server"
	: >"$tap_dir/server" # or the port of the one before is read
	openssl s_server -accept 127.0.0.1:0 -www "$@" >"$tap_dir/server" 2>&1 &
	server=$!
	becomes "another server" 1 grep -c '^ACCEPT' "$tap_dir/server"
	other_port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$tap_dir/server")
}
serve -cert "$certificates/server.pem" -key "$certificates/server.key" -alpn h2
exits 76 "who speaks another protocol" chanctl --url "tls://127.0.0.1:$other_port" ping
says "that it does" "speaks TLS, but is no broker"
serve -cert "$certificates/server.pem" -key "$certificates/server.key"
exits 76 "who speaks none by name" chanctl --url "tls://127.0.0.1:$other_port" ping
says "that it does" "speaks TLS, but is no broker"
serve -cert "$certificates/old-server.pem" -key "$certificates/old-server.key" -alpn chand/1
exits 77 "an expired certificate" chanctl --url "tls://localhost:$other_port" ping
says "since when" "expired at 2020-01-02 00:00 UTC; the broker needs a new one"
kill "$server"
server=

# A new certificate, and a connection that stays up meanwhile.
chanctl make patient --type string
over recv patient >"$tap_dir/patient" 2>&1 &
receiver=$!
waiting patient receivers 1
configure "$(use other)"
reload 1
exits 77 "the new certificate is for somebody else" over ping
says "for whom, and what to do" "is for other.example and not for 127.0.0.1; dial it by a name that it has"
configure "$(use old-server)"
reload 2
check "a certificate that has expired is not used" grep "old-server.pem expired at 2020-01-02.*the certificate in use stays" "$tap_dir/log"
exits 77 "the one before is" over ping
says "the same" "is for other.example"
configure "tls_certificate = \"$certificates/server.pem\"" "tls_key = \"$certificates/other.key\""
reload 3
check "nor one whose key is another's" grep "is not the key of the certificate" "$tap_dir/log"
exits 78 "which --check-config says, too" chand --check-config --config "$tap_dir/conf"
says "by the file" "other.key is not the key of the certificate in .*server.pem"
configure "$(use server)"
check "--check-config: all is well" chand --check-config --config "$tap_dir/conf"
check "the connection stayed up" chanctl send patient still-here
check "its receive, too" wait $receiver
same "the value" still-here "$(cat "$tap_dir/patient")"

# Clients' certificates.
required='tls_client_certificates = required'
authority="tls_client_ca = \"$certificates/ca.pem\""
configure "$(use server)" "$required" "$authority"
reload 4
exits 77 "no certificate" over ping
says "what to do" "wants a certificate of its clients.*CHAN_TLS_CERT and CHAN_TLS_KEY"
exits 77 "a stranger's" over --tls-cert "$certificates/stranger.pem" --tls-key "$certificates/stranger.key" ping
says "why" "does not take our certificate, .*stranger.pem: .*unknown ca"
exits 77 "one that has expired" over --tls-cert "$certificates/old-client.pem" --tls-key "$certificates/old-client.key" ping
says "why" "does not take our certificate, .*old-client.pem: .*expired"
check "a good one" over --tls-cert "$certificates/client.pem" --tls-key "$certificates/client.key" ping
check "by the environment" env CHAN_TLS_CERT="$certificates/client.pem" CHAN_TLS_KEY="$certificates/client.key" chanctl --url "$tls" ping
check "the daemon says whom it refused" grep "TLS handshake with 127.0.0.1 port [0-9]* failed: " "$tap_dir/log"
configure "$(use server)" "$required" "$authority" "tls_version_min = 1.3"
reload 5
echo | openssl s_client -connect "127.0.0.1:$port" -tls1_2 >"$out" 2>&1
prints "TLS 1.3 only" "alert protocol version"
configure "$(use server)" 'tls_client_certificates = optional' "$authority"
reload 6
check "optional: none" over ping
check "optional: a good one" over --tls-cert "$certificates/client.pem" --tls-key "$certificates/client.key" ping
exits 77 "optional: a stranger's" over --tls-cert "$certificates/stranger.pem" --tls-key "$certificates/stranger.key" ping
tap_end
