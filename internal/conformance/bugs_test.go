package conformance_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// bugs are the safeguards that the model can be without, each with a case that
// must notice.
var bugs = map[string]string{
	"reserve: no validation":                       "Stock/BadReservation",
	"reserve: foreign id after the others":         "Stock/BadReservation",
	"reserve: context ignored":                     "Stock/CancelledContext",
	"reserve: closed is sold out":                  "Stock/UnknownSale",
	"reserve: batch answered backwards":            "Stock/BatchInOrder",
	"reserve: no id check":                         "Stock/RepeatWhileHeld",
	"reserve: decided ids are forgotten":           "Stock/RepeatAfterDecision",
	"reserve: window before id":                    "Stock/RepeatAfterEverything",
	"reserve: no window":                           "Stock/Window",
	"reserve: other payload accepted":              "Stock/Conflict",
	"reserve: accepted while in the outbox":        "Outbox/Publish",
	"reserve: no bound":                            "Stock/Bound",
	"reserve: not atomic":                          "Stock/ConcurrentBuyers",
	"reserve: limit without this one's units":      "Stock/UserLimitCountsUnits",
	"reserve: unconditional stock":                 "Stock/SoldOut",
	"reserve: stock before limit":                  "Stock/OrderOfChecks",
	"reserve: no user limit":                       "Stock/UserLimit",
	"reserve: refusal takes the share":             "Stock/SoldOut",
	"gate: not durable":                            "Stock/Crash",
	"published: stays in the outbox":               "Outbox/Published",
	"published: leaves held":                       "Outbox/Published",
	"lease: newest first":                          "Outbox/LeaseOrder",
	"lease: age ignored":                           "Outbox/LeaseAge",
	"lease: leased twice":                          "Outbox/ConcurrentLease",
	"lease: for ever":                              "Outbox/LeaseEnds",
	"apply: no seq check":                          "Applier/Repeats",
	"apply: gaps are skipped":                      "Applier/BySeq",
	"apply: placed stays held":                     "Applier/Placed",
	"apply: placed stays in the outbox":            "Applier/Placed",
	"apply: placed unheld is not counted":          "Applier/PlacedUnheld",
	"apply: what was not held is released":         "Applier/RejectedUnheld",
	"apply: cancel keeps the share":                "Stock/CancelGivesBack",
	"apply: cancelled ids are forgotten":           "Stock/RepeatAfterCancel",
	"apply: restock ignored":                       "Stock/SaleChanges",
	"apply: window ignored":                        "Stock/SaleChanges",
	"settle: missing":                              "Stock/RepeatAfterRejection",
	"settle: seq ignored":                          "Applier/SettleTooEarly",
	"settle: not idempotent":                       "Applier/SettleTooEarly",
	"reserve: no epoch":                            "Opener/New",
	"reserve: no seq":                              "Stock/Position",
	"reserve: sold out without an end":             "Stock/Position",
	"freed: everything, always":                    "Stock/Freed",
	"freed: one too early":                         "Stock/Freed",
	"freed: a cancel is not told":                  "Stock/Freed",
	"freed: a rejection is not told":               "Stock/Freed",
	"freed: a restock is not told":                 "Stock/Freed",
	"freed: a moved window is not told":            "Stock/Freed",
	"freed: a window that opens is not told":       "Stock/FreedByAnotherWindow",
	"freed: settling is not told":                  "Applier/FreedBySettling",
	"freed: an opening is not told":                "Opener/FreedByOpening",
	"open: epoch ignored":                          "Opener/Refused",
	"open: incarnation ignored":                    "Opener/Refused",
	"open: not atomic":                             "Opener/Concurrent",
	"open: lower epochs replace higher ones":       "Opener/Refused",
	"open: an open gate is opened again":           "Opener/Refused",
	"open: seq is not taken over":                  "Opener/FromSnapshot",
	"open: rows that are not live count":           "Opener/FromSnapshot",
	"open: rows that are not live are unknown":     "Opener/FromSnapshot",
	"open: the bound is not taken over":            "Opener/Bound",
	"open: a part of the orders":                   "Opener/ManyOrders",
	"open: decided ids stay held":                  "Opener/Survivors",
	"open: dead letters are published again":       "Opener/Survivors",
	"open: what was published stays out":           "Opener/Survivors",
	"open: leases go on":                           "Opener/Survivors",
	"open: what is held is free":                   "Opener/Survivors",
	"open: what is held is not in the share":       "Opener/SurvivorsShare",
	"open: free is never below zero":               "Opener/SurvivorsPastStock",
	"open: a restart is not noticed":               "Opener/RestartCloses",
	"open: a restart keeps the incarnation":        "Opener/RestartDuringOpening",
	"waiting: what is in the outbox too":           "Opener/Waiting",
	"waiting: age ignored":                         "Opener/Waiting",
	"waiting: one page":                            "Opener/WaitingMany",
	"requeue: what is leased too":                  "Opener/Requeue",
	"requeue: as old as it was":                    "Opener/Requeue",
	"requeue: nothing":                             "Opener/Requeue",
	"order: reads lag behind":                      "Stock/HeldThenRow",
	"decide: context ignored":                      "Ledger/CancelledContext",
	"decide: a bad one ends the batch":             "Ledger/Neighbours",
	"decide: seq without a row":                    "Ledger/Seq",
	"decide: seq for each row":                     "Ledger/FullBatch",
	"decide: no duplicate check":                   "Ledger/Duplicate",
	"decide: mismatch is a duplicate":              "Ledger/Mismatch",
	"decide: duplicate of this batch's seq":        "Ledger/Duplicate",
	"decide: dead letters are forgotten":           "Ledger/DeadLetteredAlready",
	"decide: no validation":                        "Ledger/Invalid",
	"decide: unknown sale is sold out":             "Ledger/UnknownSale",
	"decide: not atomic":                           "Ledger/ConcurrentBatches",
	"decide: no limit":                             "Ledger/UserLimit",
	"decide: unconditional stock":                  "Ledger/SoldOut",
	"decide: rejection takes the share":            "Ledger/SoldOut",
	"dead letter: replaced":                        "Ledger/DeadLetterIsIdempotent",
	"expire: paid orders too":                      "Ledger/Expire",
	"expire: too early":                            "Ledger/ExpireNext",
	"expire: more than asked for":                  "Ledger/ExpireAtMost",
	"expire: next is not told":                     "Ledger/ExpireNext",
	"expire: keeps the units":                      "Ledger/Expire",
	"cancel: keeps the share":                      "Orders/Cancel",
	"cancel: not atomic":                           "Orders/ConcurrentCancel",
	"cancel: gives back twice":                     "Orders/Cancel",
	"cancel: paid orders too":                      "Orders/WrongState",
	"pay: not idempotent":                          "Orders/Pay",
	"pay: late":                                    "Orders/PayLate",
	"pay: revives":                                 "Orders/WrongState",
	"orders: oldest first":                         "Orders/OfUser",
	"orders: anybody's":                            "Orders/OwnerOnly",
	"database: not durable":                        "Ledger/Crash",
	"epoch: of an unknown sale is lost":            "Reconciliation/RaiseEpochOfUnknown",
	"epoch: not atomic":                            "Reconciliation/ConcurrentRaise",
	"epoch: raised from any":                       "Reconciliation/RaiseEpoch",
	"log: the epoch stays":                         "Reconciliation/EpochInLog",
	"snapshot: not one moment":                     "Reconciliation/SnapshotIsOneMoment",
	"snapshot: newest first":                       "Reconciliation/Snapshot",
	"snapshot: one page":                           "Reconciliation/SnapshotOfMany",
	"snapshot: every row is live":                  "Reconciliation/Snapshot",
	"snapshot: unreadable dead letters too":        "Reconciliation/SnapshotDead",
	"audit: the caller's clock":                    "Reconciliation/Audits",
	"audits: oldest first":                         "Reconciliation/Audits",
	"events: paid again":                           "Events/Repeats",
	"events: an expiry is not told":                "Events/Cancelled",
	"events: sold out again":                       "Events/SoldOut",
	"events: a restock is not told":                "Events/Restocked",
	"events: not durable":                          "Events/Crash",
	"deliver: at most is ignored":                  "Events/DeliverAtMost",
	"deliver: what is being sent too":              "Events/WhileSending",
	"deliver: forgotten when send fails":           "Events/SendFails",
	"create: no validation":                        "Sales/CreateInvalid",
	"create: replaces":                             "Sales/CreateTwice",
	"create: believes the caller":                  "Sales/Create",
	"sales: not by id":                             "Sales/List",
	"restock: seeded alone":                        "Sales/Restock",
	"change: restocked before it is refused":       "Sales/ChangeInvalid",
	"close: does nothing":                          "Sales/Close",
	"dead letters: newest first":                   "DeadLetters/List",
	"replay: not atomic":                           "DeadLetters/ConcurrentReplayAndDrop",
	"replay: loses what it cannot decide":          "DeadLetters/ReplayStillUndecidable",
	"replay: keeps the dead letter":                "DeadLetters/Replay",
	"drop: unknown is no error":                    "DeadLetters/Unknown",
	"drop: no row":                                 "DeadLetters/Drop",
	"drop: replaces the row":                       "DeadLetters/DropMismatch",
	"log: what was left before":                    "ChangeLog/Concurrent",
	"log: cancel is not told":                      "ChangeLog/CancelAndExpiry",
	"log: drop is not told":                        "ChangeLog/DeadLetters",
	"log: after is included":                       "ChangeLog/Pages",
	"fence: lowered":                               "Fence/Highest",
	"fence: forged":                                "Fence/NotDrawn",
	"fence: drawn above what is recorded":          "Fence/Drawn",
	"fence: drawn by two":                          "Fence/ConcurrentDraws",
	"fence: overtakes":                             "Fencer/BehindEverything",
	"queue: not durable":                           "Queue/CrashUndelivered",
	"queue: unacked are lost in a crash":           "Queue/CrashUnacked",
	"queue: tags come again":                       "Queue/Ack",
	"queue: newest first":                          "Queue/Order",
	"publish: context ignored":                     "Queue/PublishCancelled",
	"publish: large messages are lost":             "Queue/LargeMessage",
	"receive: max ignored":                         "Queue/AtMostMax",
	"receive: gives out what is in flight":         "Queue/InFlight",
	"receive: does not wait":                       "Queue/Waits",
	"ack: removes nothing":                         "Queue/Delivers",
	"return: loses it":                             "Queue/Return",
	"return: attempts are not counted":             "Queue/Return",
	"session: no absolute end":                     "Sessions/OverAlready",
	"session: no idle end":                         "Sessions/IdleEnd",
	"session: use is not counted":                  "Sessions/UseKeepsAlive",
	"session: role forgotten":                      "Sessions/Create",
	"session: one of the user's stays":             "Sessions/DeleteOfUser",
	"session: cache outlives the logout":           "Sessions/Delete",
	"users: a part is written":                     "Users/MobileTaken",
	"users: number looked up before it is written": "Users/ConcurrentMobile",
	"users: number not unique":                     "Users/MobileTaken",
	"users: number by its end":                     "Users/Unknown",
	"goods: never replaced":                        "Goods/Put",
	"shop: not durable":                            "Users/Crash",
	"limiter: keys in lower case":                  "Limiter/Keys",
	"limiter: never recovers":                      "Limiter/Recovers",
	"limiter: not atomic":                          "Limiter/Concurrent",
	"limiter: one too many":                        "Limiter/Counts",
	"limiter: a refusal costs":                     "Limiter/RefusalCostsNothing",
	"limiter: retry too early":                     "Limiter/RetryAfter",
	"limiter: not counted when half is gone":       "Limiter/OverTime",
	"limiter: reset forgets all":                   "Limiter/Reset",
	"limiter: a look costs":                        "Limiter/Inspect",
	"marks: takes anything":                        "Marks/BadInput",
	"marks: the first one stays":                   "Marks/Replace",
	"marks: one delete, all gone":                  "Marks/Delete",
	"marks: for ever":                              "Marks/End",
	"limiter: advisory refuses":                    "Limiter/Advisory",
	"limiter: one refusal, the others are charged": "Limiter/AllOrNothing",
	"limiter: takes anything":                      "Limiter/BadInput",
	"limiter: a cost of one":                       "Limiter/Cost",
	"one-time: keeps the first end":                "OneTime/ReplacedLivesOn",
	"one-time: keeps the first value":              "OneTime/Replaced",
	"one-time: take is not atomic":                 "OneTime/OneWinner",
	"one-time: taken again":                        "OneTime/TakenOnce",
	"one-time: no end":                             "OneTime/Expires",
	"one-time: empty is nothing":                   "OneTime/Values",
	"swap: writes where nothing is":                "OneTime/Swap",
	"swap: whatever there is":                      "OneTime/Swap",
	"swap: returns what is there now":              "OneTime/Swap",
	"swap: empty is any":                           "OneTime/SwapValues",
	"swap: keeps the caller's bytes":               "OneTime/SwapValues",
	"swap: begins a new life":                      "OneTime/SwapKeepsTheEnd",
	"swap: no end":                                 "OneTime/SwapKeepsTheEnd",
	"swap: not atomic":                             "OneTime/SwapOneWinner",
	"page: no end":                                 "Pages/Expires",
	"page: any size is kept":                       "Pages/Size",
	"page: written over the old bytes":             "Pages/Replaces",
	"page: delete keeps it":                        "Pages/Delete",
	"page: clear stops early":                      "Pages/Clear",
}

// verdict is what became of a case in a process with a bug.
type verdict struct {
	out string
	err error
}

// TestSuitesCatchPlantedBugs runs the named case in a process with the bug: it must
// fail there, by its own judgement and not by a panic.
func TestSuitesCatchPlantedBugs(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Many at once, because some wait for what never comes.
	slots := make(chan struct{}, 12)
	verdicts := map[string]chan verdict{}
	for bug, where := range bugs {
		done := make(chan verdict, 1)
		verdicts[bug] = done
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			suite, name, _ := strings.Cut(where, "/")
			cmd := exec.Command(self, "-test.run=^TestSuites$/^"+suite+"$/^"+name+"$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), "FLASHGATE_PLANTED_BUG="+bug)
			out, err := cmd.CombinedOutput()
			done <- verdict{string(out), err}
		}()
	}
	for bug, where := range bugs {
		t.Run(bug, func(t *testing.T) {
			v := <-verdicts[bug]
			if exit, ok := errors.AsType[*exec.ExitError](v.err); !ok || exit.ExitCode() != 1 {
				t.Fatalf("%s does not catch it: %v\n%s", where, v.err, v.out)
			}
			if !strings.Contains(v.out, "--- FAIL: TestSuites/"+where) || strings.Contains(v.out, "panic:") {
				t.Errorf("%s did not fail as a test does:\n%s", where, v.out)
			}
		})
	}
}

// TestEveryPlantedBugIsListed keeps table and model together.
func TestEveryPlantedBugIsListed(t *testing.T) {
	t.Parallel()
	if plantedBug != "" {
		t.Fatalf("this process has the bug %q", plantedBug)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	mark := regexp.MustCompile(`(?:planted\(|yield\(&\w+\.mu, )"([^"]+)"`)
	found := map[string]bool{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range mark.FindAllStringSubmatch(string(src), -1) {
			found[m[1]] = true
			if bugs[m[1]] == "" {
				t.Errorf("%s plants %q, which no case is to catch", file, m[1])
			}
		}
	}
	for bug := range bugs {
		if !found[bug] {
			t.Errorf("nothing plants %q", bug)
		}
	}
}
