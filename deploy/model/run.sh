#!/bin/sh
# Checks the model of the protocol with Spin: what must hold, and the mutants, each of
# which must be refuted. See README.md.
#
#   run.sh               everything; the figures are the last lines
#   run.sh --quick       the smallest configuration and one mutant
#   run.sh --list        the names
#   run.sh --only NAME   one of them
#   run.sh --show NAME   one of them, and the story of what refutes it
#
# Exits with 1 when a promise is broken, a mutant is not refuted, or a search is not
# exhaustive. One run at a time; none may take more than 5.5 GB of memory.
set -eu
cd "$(dirname "$0")"

missing=""
command -v spin >/dev/null 2>&1 || missing="$missing spin"
command -v gcc >/dev/null 2>&1 || missing="$missing gcc"
if [ -n "$missing" ]; then
	echo "make model needs$missing; on Debian, as root: apt-get install --no-install-recommends spin gcc libc6-dev" >&2
	exit 1
fi

mode=all wanted=""
case "${1-}" in
"") ;;
--quick | --list) mode=${1#--} ;;
--only | --show)
	mode=${1#--} wanted=${2-}
	if [ -z "$wanted" ]; then
		echo "$1 needs a name; run.sh --list has them" >&2
		exit 2
	fi
	;;
*)
	echo "unknown option $1; known are --quick, --list, --only NAME, --show NAME" >&2
	exit 2
	;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/flashgate-model.XXXXXX")
pan=""
trap 'rm -rf "$work"' EXIT
trap 'if [ -n "$pan" ]; then kill "$pan" 2>/dev/null || true; fi; exit 1' HUP INT PIPE TERM

begin=$(date +%s)
held=0 refuted=0 spare=0 limits=0 failed="" states_of_all=0 states_held=0 found=""

# search NAME MACROS HOW: makes the verifier, runs it, and sets states, depth, seconds,
# broken (the promise that is) and complete.
search() {
	rm -rf "$work/run"
	mkdir "$work/run"
	cp ./*.pml "$work/run"
	case $3 in
	promises) compile="-O2 -DSAFETY" options="-E -m20000 -w25" ;;
	shortest) compile="-O1 -DSAFETY -DBFS" options="-E -w22" ;;
	cycles) compile="-O2 -DNP" options="-E -l -m20000 -w25" ;;
	leads_to) compile="-O1 -DNOFAIR" options="-E -a -m20000 -w25" ;;
	esac
	if [ "$mode" = quick ]; then compile="$compile -O0"; fi # making it takes longest
	(
		cd "$work/run"
		# shellcheck disable=SC2086 # one word per macro
		spin $2 -a flashgate.pml >spin.out 2>&1 && gcc -w -DNOREDUCE -DMEMLIM=5500 $compile -o pan pan.c >gcc.out 2>&1
	) || {
		cat "$work/run/spin.out" "$work/run/gcc.out" >&2 || true
		echo "$1: the verifier could not be made" >&2
		exit 1
	}
	# shellcheck disable=SC2086
	(cd "$work/run" && exec ./pan $options >pan.out 2>&1) &
	pan=$!
	wait "$pan" || true
	pan=""
	out="$work/run/pan.out"
	states=$(awk '/states, stored/ { printf "%.0f", $1; exit }' "$out")
	depth=$(awk '/depth reached/ { for (i = 1; i < NF; i++) if ($i == "reached") { sub(",", "", $(i + 1)); print $(i + 1); exit } }' "$out")
	seconds=$(awk '/elapsed time/ { print $4; exit }' "$out")
	broken=$(sed -n -e 's/^pan:1: assertion violated \([A-Za-z0-9_]*\).*/\1/p' \
		-e 's/^pan:1: acceptance cycle.*/accepted_leads_to_final/p' \
		-e 's/^pan:1: non-progress cycle.*/every_run_ends/p' "$out")
	if [ -z "$broken" ]; then
		broken=$(sed -n 's/^pan:1: \(.*\)/error: \1/p' "$out")
	fi
	complete=yes
	if [ -z "$states" ] || grep -qE 'too small|out of memory|not completed|reached -DMEMLIM|aborted' "$out"; then
		complete=no
	fi
	states_of_all=$((states_of_all + ${states:-0}))
}

line() { printf '%-9s %-28s %9s states  depth %3s  %5s s  %s\n' "$1" "$2" "${states:-?}" "${depth:-?}" "${seconds:-?}" "$3"; }

fail() {
	failed="$failed $1"
	if [ -s "$out" ]; then
		grep -E '^(pan|error|Warning)|too small|memory' "$out" | sed 's/^/          /' || true
	fi
}

# mine KIND NAME: whether this run is wanted.
mine() {
	case $mode in
	list) printf '%-9s %s\n' "$1" "$2" && return 1 ;;
	only | show) [ "$2" = "$wanted" ] || return 1 ;;
	quick) case $2 in smallest | no-fence) ;; *) return 1 ;; esac ;;
	esac
	found=yes
}

# holds KIND NAME HOW MACROS: nothing is broken, and all has been searched.
holds() {
	mine "$1" "$2" || return 0
	search "$2" "$4" "$3"
	if [ -z "$broken" ] && [ "$complete" = yes ]; then
		line "$1" "$2" holds
		if [ "$1" = spare ]; then spare=$((spare + 1)); else held=$((held + 1)) states_held=$((states_held + states)); fi
	else
		line "$1" "$2" "VIOLATED: ${broken:-the search is not complete}"
		fail "$2"
		story "$4"
	fi
}

# refutes KIND NAME PROMISE MACROS [HOW]: the promise is broken.
refutes() {
	mine "$1" "$2" || return 0
	search "$2" "$4" "${5-shortest}"
	if [ "$broken" = "$3" ]; then
		line "$1" "$2" "refuted: $broken"
		case $1 in
		mutant) refuted=$((refuted + 1)) ;;
		limit) limits=$((limits + 1)) ;;
		esac
	else
		line "$1" "$2" "NOT REFUTED by $3${broken:+, but by $broken}"
		fail "$2"
	fi
	story "$4"
}

# story MACROS: what happened, if it is asked for.
story() {
	if [ "$mode" = show ] && [ -s "$work/run/flashgate.pml.trail" ]; then
		# shellcheck disable=SC2086
		(cd "$work/run" && spin -t $1 flashgate.pml) | grep -E '^ *(gateway [0-9]|reconciler [0-9]|relay|rescue|worker|follower|shop|operator|redis|broker): ' | sed 's/^ */    /'
	fi
}

# What holds, each in all its states. Two gateways, one relay, one worker, one follower;
# one publish of the relay goes wrong. one, two: reconcilers.
one="-DHONOURED -DRECONCILERS=1"
two="-DHONOURED"
holds model smallest promises "$one -DCOMES_BACK_EMPTY -DDEATHS=1"
holds model accepted-leads-to-final leads_to "$one -DCOMES_BACK_EMPTY -DDEATHS=1 -DLEADS_TO"
holds model every-run-ends cycles "$two -DCOMES_BACK_EMPTY -DREPEATED=0"
holds model empty promises "$two -DCOMES_BACK_EMPTY -DDEATHS=1"
holds model empty-twice promises "$two -DCOMES_BACK_EMPTY -DLOSSES=2 -DREPEATED=0"
holds model older promises "$two -DCOMES_BACK_OLDER"
holds model older-twice promises "$one -DCOMES_BACK_OLDER -DLOSSES=2 -DDEATHS=1"
holds model there-and-back promises "-DRECONCILERS=1 -DCOMES_BACK_EMPTY -DCOMES_BACK_OLDER -DLOSSES=2 -DREPEATED=0"
holds model flushed promises "-DFLUSHED -DREPEATED=0"
holds model late promises "-DCOMES_BACK_EMPTY -DLATE -DREPEATED=0"
holds model late-and-older promises "-DRECONCILERS=1 -DCOMES_BACK_EMPTY -DCOMES_BACK_OLDER -DLATE -DDEATHS=1"
holds model cancel promises "$one -DCOMES_BACK_EMPTY -DCANCELS=1 -DDEATHS=1"
holds model cancel-and-older promises "$one -DCOMES_BACK_OLDER -DCANCELS=1"
holds model cancel-and-restock promises "$one -DCOMES_BACK_EMPTY -DCANCELS=1 -DRESTOCKS=1 -DREPEATED=0"
holds model one-user promises "$one -DCOMES_BACK_EMPTY -DCOMES_BACK_OLDER -DCANCELS=1 -DONE_USER -DSEED=2"
holds model three-orders promises "$one -DCOMES_BACK_EMPTY -DIDS=3 -DSEED=2"
holds model dead-letters promises "$one -DLOSSES=0 -DBURIALS=1 -DDEATHS=1 -DREPEATED=3"
holds model dead-letters-and-loss promises "-DRECONCILERS=1 -DCOMES_BACK_EMPTY -DCOMES_BACK_OLDER -DBURIALS=1"
holds model queue-loses promises "$one -DLOSSES=0 -DDROPS=1 -DWITH_RESCUE -DDEATHS=1 -DREPEATED=3"
holds model rescue-and-loss promises "$two -DCOMES_BACK_EMPTY -DWITH_RESCUE -DREPEATED=0 -DQUEUE=12"
holds model returns promises "$one -DCOMES_BACK_EMPTY -DRETURNS=1 -DDEATHS=1"
holds model answered promises "$two -DCOMES_BACK_EMPTY -DANSWERED -DREPEATED=0"
holds model drawn-earlier promises "$two -DCOMES_BACK_EMPTY -DDRAWN_EARLIER -DREPEATED=0"
holds model no-loss promises "$two -DLOSSES=0 -DDEATHS=1"

# Limits: where only the weaker form of P2 can hold.
refutes limit flushed-honoured P2_granted_is_honoured "$two -DFLUSHED -DREPEATED=0"
refutes limit late-honoured P2_granted_is_honoured "$one -DCOMES_BACK_EMPTY -DLATE"
refutes limit there-and-back-honoured P2_granted_is_honoured "$one -DCOMES_BACK_EMPTY -DCOMES_BACK_OLDER -DLOSSES=2 -DREPEATED=0"
refutes limit dead-letters-honoured P2_granted_is_honoured "$one -DCOMES_BACK_EMPTY -DBURIALS=1"

# Mutants: one safeguard less.
refutes mutant no-incarnation-check P2_granted_is_honoured "$one -DCOMES_BACK_OLDER -DM_NO_INCARNATION"
refutes mutant no-seq-check P4_sum_at_the_gate "$one -DLOSSES=0 -DM_NO_SEQ"
refutes mutant no-memory-of-decided P5_one_unit_for_an_id "$one -DLOSSES=0 -DSEED=2 -DM_NO_MEMORY"
refutes mutant no-memory-no-settle P4_nothing_held_when_quiet "$one -DLOSSES=0 -DSEED=2 -DM_NO_MEMORY -DM_NO_SETTLE -DWITHOUT_P5"
refutes mutant no-wait-for-d P2_granted_is_honoured "$one -DCOMES_BACK_EMPTY -DM_NO_WAIT"
refutes mutant no-fence P2_granted_is_honoured "$one -DCOMES_BACK_EMPTY -DM_NO_FENCE"
refutes mutant fence-before-returned P2_granted_is_honoured "$one -DCOMES_BACK_EMPTY -DRETURNS=1 -DM_FENCE_ANYWAY"
refutes mutant fence-after-a-death P2_granted_is_honoured "$one -DCOMES_BACK_EMPTY -DRETURNS=1 -DDEATHS=1 -DM_REDELIVERED_FENCES"
refutes mutant same-fence-numbers P2_granted_is_honoured "$two -DCOMES_BACK_EMPTY -DM_SAME_FENCE_NUMBERS"
refutes mutant open-over-an-open-gate P2_granted_is_honoured "$two -DLOSSES=0 -DM_OPEN_OVER_AN_OPEN_GATE"
refutes mutant open-in-any-incarnation P2_granted_is_honoured "$two -DCOMES_BACK_EMPTY -DM_OPEN_IN_ANY_INCARNATION"
refutes mutant open-without-mark P2_granted_is_honoured "$two -DLOSSES=0 -DM_NO_MARK"
refutes mutant ack-before-commit P2_accepted_is_durable "$one -DCOMES_BACK_EMPTY -DDEATHS=1 -DWITH_RESCUE -DM_ACK_BEFORE_COMMIT"
refutes mutant ack-waits-for-redis P2_the_gate_opens_again "$one -DCOMES_BACK_EMPTY -DM_ACK_WAITS_FOR_THE_GATE"
refutes mutant dedupe-by-message P5_one_row_for_an_id "$one -DLOSSES=0 -DDEATHS=1 -DM_DEDUPE_BY_MESSAGE"
refutes mutant unconditional-update P1_never_oversold "-DRECONCILERS=1 -DLATE -DCOMES_BACK_EMPTY -DM_UNCONDITIONAL_UPDATE"
refutes mutant release-on-unknown P2_granted_is_honoured "$one -DLOSSES=0 -DM_RELEASE_ON_UNKNOWN"
refutes mutant returned-is-confirmed P2_accepted_is_durable "$one -DLOSSES=0 -DM_RETURNED_IS_CONFIRMED"
refutes mutant id-unchecked P5_one_unit_for_an_id "$one -DLOSSES=0 -DSEED=2 -DM_ID_UNCHECKED"
refutes mutant outbox-outside-the-script P2_accepted_is_durable "$one -DLOSSES=0 -DWITH_RESCUE -DM_OUTBOX_OUTSIDE"
refutes mutant expire-at-the-gate P4_sum_at_the_gate "$one -DLOSSES=0 -DM_EXPIRE_AT_THE_GATE"
refutes mutant restock-at-the-gate-first P4_sum_at_the_gate "$one -DLOSSES=0 -DRESTOCKS=1 -DM_RESTOCK_AT_THE_GATE_FIRST"
refutes mutant dead-letter-released P2_granted_is_honoured "$one -DLOSSES=0 -DBURIALS=1 -DM_DEAD_LETTER_RELEASED"
refutes mutant no-relay P4_nothing_held_when_quiet "$one -DLOSSES=0 -DM_NO_RELAY"
refutes mutant no-rescue P2_accepted_is_final "$one -DLOSSES=0 -DDROPS=1 -DM_NO_RESCUE"

# The two searches for cycles can fail.
refutes mutant no-rescue-leads-to accepted_leads_to_final "$one -DLOSSES=0 -DDROPS=1 -DM_NO_RESCUE -DLEADS_TO" leads_to
refutes mutant endless-faults every_run_ends "$one -DLOSSES=0 -DM_ENDLESS_FAULTS" cycles

# Not needed within these bounds: what is left out here, nothing misses.
holds spare epoch-without-compare promises "$two -DCOMES_BACK_EMPTY -DREPEATED=0 -DM_NO_COMPARE_AND_SET"
holds spare open-in-any-epoch promises "$two -DCOMES_BACK_EMPTY -DM_OPEN_IN_ANY_EPOCH"
holds spare nothing-to-settle promises "-DRECONCILERS=1 -DCOMES_BACK_EMPTY -DCOMES_BACK_OLDER -DLATE -DDEATHS=1 -DNOTHING_TO_SETTLE"

if [ "$mode" = list ]; then exit 0; fi
if [ -z "$found" ]; then
	echo "there is no run named $wanted; run.sh --list has the names" >&2
	exit 2
fi
if [ "$mode" = all ]; then echo; fi
echo "model: $held configurations hold, $states_held states, each searched to its end"
echo "mutants: $refuted refuted; $limits limits of P2 shown; $spare safeguards not missed"
echo "all: $states_of_all states, $(($(date +%s) - begin)) s"
if [ -n "$failed" ]; then
	echo "failed:$failed" >&2
	exit 1
fi
