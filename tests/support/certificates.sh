# certificates.sh DIR - makes the certificates that tests of TLS need, by the openssl command.
#
#   ca         the authority that made all others but the stranger's
#   server     localhost, 127.0.0.1 and ::1        other      another server: other.example
#   client     CN worker-1, with a name of each sort
#   stranger   a client of another authority (stranger-ca)
#   old-server, old-client    have expired
#
# Each is NAME.pem with its NAME.key.
set -eu
cd "$1"

authority() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
		-subj "/CN=chand test $1" -keyout "$1.key" -out "$1.pem" 2>/dev/null
	mkdir "$1.d"
	: >"$1.d/index"
	echo 01 >"$1.d/serial"
}

# NAME AUTHORITY COMMON-NAME USE NAMES [END]
certificate() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$3" \
		-keyout "$1.key" -out "$1.csr" 2>/dev/null
	cat >"$1.cnf" <<-END
		[ca]
		default_ca = test
		[test]
		database = $2.d/index
		serial = $2.d/serial
		new_certs_dir = $2.d
		certificate = $2.pem
		private_key = $2.key
		default_md = sha256
		policy = policy
		x509_extensions = extensions
		[policy]
		commonName = supplied
		[extensions]
		extendedKeyUsage = $4
		subjectAltName = $5
	END
	openssl ca -batch -notext -config "$1.cnf" -in "$1.csr" -out "$1.pem" \
		-startdate 20200101000000Z -enddate "${6:-20491231235959Z}" 2>/dev/null
}

authority ca
authority stranger-ca
certificate server ca localhost serverAuth DNS:localhost,IP:127.0.0.1,IP:::1
certificate other ca other.example serverAuth DNS:other.example
certificate client ca worker-1 clientAuth \
	DNS:worker.example,URI:spiffe://example/worker,email:worker@example.org,IP:192.0.2.7
certificate stranger stranger-ca stranger clientAuth DNS:stranger.example
certificate old-server ca old-localhost serverAuth DNS:localhost 20200102000000Z
certificate old-client ca old-worker clientAuth DNS:old.example 20200102000000Z
