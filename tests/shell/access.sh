#!/bin/sh
# Who may do what, through chanctl: tokens, rules, quotas, and their exit codes.
. "$top_srcdir/tests/support/tap.sh"
. "$top_srcdir/tests/support/daemon.sh"

conf=$tap_dir/chand.conf
unset CHAN_TOKEN CHAN_TOKEN_FILE

# A token for a file, and a line for the configuration.
exits 0 "make a token" chanctl token ci
same "the token is 64 hexadecimal digits" 64 "$(tr -d '\n' <"$out" | tr -cd 0-9a-f | wc -c | tr -d ' ')"
cp "$out" "$tap_dir/ci.token"
cp "$err" "$conf"
same "its digest is what sha256sum says" \
	"token \"ci\" { digest = \"sha256:$(tr -d '\n' <"$out" | sha256sum | cut -d' ' -f1)\" }" \
	"$(cat "$err")"
exits 0 "another is another" chanctl token ci
check "which differs" sh -c '! cmp -s "$1" "$2"' - "$out" "$tap_dir/ci.token"
exits 0 "as JSON" chanctl token x --json
prints "it has all three" '"name":"x","token":"[0-9a-f]*","digest":"sha256:[0-9a-f]*"'
exits 64 "a name that is none" chanctl token 'no spaces'
chanctl token stranger >"$tap_dir/stranger.token" 2>"$err"

cat >>"$conf" <<'END'
rule "ci" { who = {"token:ci"} may = {make, send, list} channels = {"ci.*"} }
quota "ci" { who = {"token:ci"} channels = 2 }
END
check "the configuration is right" chand --check-config --config "$conf"
# Until here nobody may ping without a token.
CHAN_TOKEN_FILE=$tap_dir/ci.token
export CHAN_TOKEN_FILE
daemon_start --config "$conf"

check "what is allowed" chanctl make ci.1 --cap 10
check "send" chanctl send ci.1 hello
exits 77 "receive" chanctl recv ci.1
says "it says what, who, and what to do" "open 'ci.1': token ci may not receive from it.*Ask who runs"
exits 77 "make elsewhere" chanctl make other
exits 77 "remove" chanctl rm ci.1
exits 77 "close" chanctl close ci.1
exits 77 "stat elsewhere" chanctl stat other
check "ls" chanctl ls
prints "it shows what one may list" '^ci.1'
exits 77 "select" chanctl select recv:ci.1
check "a channel more" chanctl make ci.2
exits 69 "and one over the quota" chanctl make ci.3
says "it names the quota" "channels of its quota"

unset CHAN_TOKEN_FILE
exits 77 "without a token" chanctl ls
says "nobody of the rules" "no rule of the broker's configuration is about user"
exits 77 "with a wrong one" chanctl --token-file "$tap_dir/stranger.token" ls
says "it is not known" "does not know the token"
check "its option" chanctl ls --token-file "$tap_dir/ci.token"
check "its variable" env CHAN_TOKEN="$(cat "$tap_dir/ci.token")" chanctl ls
exits 64 "a file that is not there" chanctl --token-file "$tap_dir/none" ls

# New rules, for a session that lives.
echo 'rule "local" { who = {"user:*"} may = {all} channels = {"*"} }' >>"$conf"
kill -HUP "$daemon_pid"
becomes "everybody on this machine may list" "ci.1 ci.2" sh -c 'chanctl ls |
	sed -n "s/^\(ci[^ ]*\).*/\1/p" | xargs'
check "and receive" chanctl recv ci.1
same "what was sent" hello "$(cat "$out")"
grep -q "$(cat "$tap_dir/ci.token")" "$tap_dir/log"
same "no token in the log" 1 $?

tap_end
