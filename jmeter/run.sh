#!/bin/sh
# What `make jmeter` runs: users with sessions, the plan flash-sale.jmx, the verdict.
# Ends with the verdict's exit status: 0 green, 1 red, 2 could not be told. README.md
# beside this file explains the settings:
#
#   TARGET   the site, such as http://127.0.0.1:8080. Unset: the script runs a demo of
#            its own on free ports and a temporary folder.
#   USERS, UNITS, SALE, RAMP_UP, FLASHGATE_LOADTEST_KEY, OUT, REPORT, JMETER, HEAP
#   FLASHGATE_DATA, or MYSQL_DSN with REDIS_URL: where TARGET keeps its orders
#   USERS_CSV  an existing file of users; then SALE must exist, too
set -eu
cd "$(dirname "$0")/.."

USERS=${USERS:-500}
UNITS=${UNITS:-100}
RAMP_UP=${RAMP_UP:-5}
REPORT=${REPORT:-yes}
started=$(date +%Y%m%d-%H%M%S)
SALE=${SALE:-jmeter-$started-$$}
OUT=${OUT:-data/jmeter/$started-$$}
TARGET=${TARGET:-}
USERS_CSV=${USERS_CSV:-}

fail() {
	echo "jmeter: $*" >&2
	exit 2
}

tmp=$(mktemp -d)
demo=""
client=""
# Ends exactly what this script has started.
finish() {
	status=$?
	trap - EXIT HUP INT TERM
	for pid in $client $demo; do
		kill -TERM "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$tmp"
	exit "$status"
}
trap finish EXIT
trap 'exit 2' HUP INT TERM

if [ -n "$TARGET" ]; then
	[ -n "${FLASHGATE_LOADTEST_KEY:-}" ] || fail "set FLASHGATE_LOADTEST_KEY as the gateway has it: buyers must be told the captchas' answers"
	[ -n "${FLASHGATE_DATA:-}${MYSQL_DSN:-}" ] || fail "set FLASHGATE_DATA or MYSQL_DSN: the verdict reads the orders of $TARGET there"
elif [ -n "$USERS_CSV" ]; then
	fail "USERS_CSV names users of a site: say which, with TARGET"
fi

command -v "${GO:-go}" >/dev/null || fail "Go is needed for the users and the verdict"
"${GO:-go}" build -o "$tmp/" ./jmeter/users ./jmeter/verdict || fail "the programs for users and verdict do not build"
mkdir -p "$OUT"

# JMeter: an installed one when JMETER names its command, else the one of pom.xml,
# which is assembled at the first run.
jmeter_jar() {
	config=jmeter/target/config.json
	[ -f "$config" ] || return 1
	home=$(sed -n 's/.*"jmeterDirectoryPath":"\([^"]*\)".*/\1/p' "$config")
	jar=$home/bin/$(sed -n 's/.*"runtimeJarName":"\([^"]*\)".*/\1/p' "$config")
	version=$(sed -n 's/.*<jmeter.version>\(.*\)<.*/\1/p' jmeter/pom.xml)
	[ "${jar##*/}" = "ApacheJMeter-$version.jar" ] && [ -f "$jar" ]
}
if [ -z "${JMETER:-}" ]; then
	command -v java >/dev/null || fail "there is no java: install default-jre-headless, or set JMETER to an installed jmeter"
	if ! jmeter_jar; then
		command -v mvn >/dev/null || fail "there is no mvn: install maven, or set JMETER to an installed jmeter"
		echo "jmeter: assembling JMeter from Maven Central (once)" >&2
		rm -rf jmeter/target
		mvn -B -q -f jmeter/pom.xml jmeter:configure >"$tmp/mvn.log" 2>&1 || {
			cat "$tmp/mvn.log" >&2
			fail "Maven could not assemble JMeter"
		}
		jmeter_jar || fail "Maven has left no JMeter in jmeter/target"
	fi
fi

# A demo of its own. Ports are drawn, and drawn again when one is taken.
start_demo() {
	base=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
	rm -rf "$tmp/data"
	FLASHGATE_ADDR=127.0.0.1:$base FLASHGATE_ADMIN=127.0.0.1:$((base + 1)) \
		SHOP_ADDR=127.0.0.1:$((base + 2)) WORKER_ADDR=127.0.0.1:$((base + 3)) \
		FLASHGATE_DATA=$tmp/data FLASHGATE_LOADTEST_KEY=$FLASHGATE_LOADTEST_KEY HOME=$tmp \
		"$tmp/demo" >"$tmp/demo.out" 2>"$OUT/demo.log" &
	demo=$!
	waited=0
	until TARGET=$(sed -n 's/^url: //p' "$tmp/demo.out") && [ -n "$TARGET" ]; do
		if ! kill -0 "$demo" 2>/dev/null || [ "$waited" -ge 600 ]; then
			kill -TERM "$demo" 2>/dev/null || true
			wait "$demo" 2>/dev/null || true
			demo=""
			return 1
		fi
		sleep 0.1
		waited=$((waited + 1))
	done
	FLASHGATE_DATA=$tmp/data
}
if [ -z "$TARGET" ]; then
	# On the embedded backends, whatever the environment is set up for.
	unset MYSQL_DSN REDIS_URL AMQP_URL FLASHGATE_KEYS || true
	FLASHGATE_LOADTEST_KEY=${FLASHGATE_LOADTEST_KEY:-jmeter-$$}
	"${GO:-go}" build -o "$tmp/demo" ./deploy/demo || fail "the demo does not build"
	tries=1
	until start_demo; do
		grep -q 'cannot listen' "$OUT/demo.log" && [ "$tries" -lt 5 ] || {
			cat "$OUT/demo.log" >&2
			fail "the demo did not start"
		}
		tries=$((tries + 1))
	done
fi
export FLASHGATE_DATA

scheme=${TARGET%%://*}
host=${TARGET#*://}
host=${host%%/*}
case $host in
*:*) port=${host##*:} host=${host%:*} ;;
*) port=80 && [ "$scheme" = http ] || port=443 ;;
esac
cookie=session
[ "$scheme" = http ] || cookie=__Host-session

if [ -n "$USERS_CSV" ]; then
	# JMeter takes a relative name as one beside the plan.
	case $USERS_CSV in /*) ;; *) USERS_CSV=$PWD/$USERS_CSV ;; esac
else
	USERS_CSV=$tmp/users.csv
	"$tmp/users" --csv "$USERS_CSV" --sale "$SALE" --units "$UNITS" "$USERS" || fail "the users or the sale were not made"
fi

set -- -n -t jmeter/flash-sale.jmx -q jmeter/flashgate.properties -l "$OUT/results.jtl" -j "$OUT/jmeter.log" \
	"-Jscheme=$scheme" "-Jhost=$host" "-Jport=$port" "-Jcookie=$cookie" "-Jusers=$USERS" "-Jramp_up=$RAMP_UP" \
	"-Jsale=$SALE" "-Jdata=$USERS_CSV" "-Jkey=$FLASHGATE_LOADTEST_KEY"
[ "$REPORT" != yes ] || set -- "$@" -e -o "$OUT/report"

# In the background, so that a signal reaches this script at once. Thousands of threads
# wait most of their time: small stacks.
echo "jmeter: $USERS buyers at $TARGET, sale $SALE" >&2
if [ -n "${JMETER:-}" ]; then
	"$JMETER" "$@" &
else
	# shellcheck disable=SC2086 # HEAP is a list of options
	java ${HEAP:--Xms256m -Xmx2g} -Xss256k -Djava.util.prefs.userRoot="$tmp" -Djava.awt.headless=true -jar "$jar" "$@" &
fi
client=$!
wait "$client" || fail "JMeter failed; its log is $OUT/jmeter.log"
client=""

echo "jmeter: the results are in $OUT" >&2
set -- --results "$OUT/results.jtl" --sale "$SALE" --users "$USERS"
if [ -n "${MYSQL_DSN:-}" ]; then
	set -- "$@" --mysql "$MYSQL_DSN"
else
	set -- "$@" --data "$FLASHGATE_DATA"
fi
"$tmp/verdict" "$@"
