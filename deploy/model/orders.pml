/*
 * The life of an order. The headings are the numbers of section 3 of the design.
 */

mtype = { idle, reserved, holds, tells };

/* D is not a number here: whatever waits longer than D after a moment waits until
 * all that was on its way to the queue at that moment has arrived or was given up. */
#define BEGINS(p) publishing = WITH(publishing, p)
#define ENDS(p) \
	publishing = WITHOUT(publishing, p); \
	waits_for[0] = WITHOUT(waits_for[0], p); \
	waits_for[RECONCILERS - 1] = WITHOUT(waits_for[RECONCILERS - 1], p)

#ifdef M_RELEASE_ON_UNKNOWN
#define UNKNOWN(order) if :: OPEN && HAS(held, order) -> release(order); check_gate() :: else fi
#else
#define UNKNOWN(order) skip
#endif

inline answer_202(order) { check_durable(order); accepted = WITH(accepted, order) }

/*
 * 1. Reserve, and 2. Publish. A gateway has one request at a time; it is one of many
 * in which an order may be: a repeat goes through another. A gateway that dies is one
 * that is late, and loses its answer.
 */
#ifdef M_OUTBOX_OUTSIDE
#define AFTER_RESERVE reserved
#else
#define AFTER_RESERVE holds
#endif

#define BUY(i) \
	:: d_step { phase == idle && OPEN && HAS(tries[g], i) -> \
		tries[g] = WITHOUT(tries[g], i); \
		reserve(i); \
		printf("gateway %d: reserves order %d: %e\n", g, i, answer); \
		if \
		:: answer == publish -> order = i; BEGINS(g); phase = AFTER_RESERVE \
		:: answer == accept -> answer_202(i) \
		:: else \
		fi; \
		answer = none }

proctype gateway(byte g) {
	byte order;
	mtype phase = idle;
	do
	EACH(BUY)
#ifdef M_OUTBOX_OUTSIDE
	:: d_step { phase == reserved ->
		if :: OPEN -> outbox = WITH(outbox, order) :: else fi;
		phase = holds }
	:: d_step { phase == reserved -> ENDS(g); order = 0; phase = idle }
#endif
	:: d_step { phase == holds ->
		printf("gateway %d: order %d is not published\n", g, order);
		UNKNOWN(order); ENDS(g); order = 0; phase = idle }
	:: d_step { phase == holds ->
		printf("gateway %d: order %d is published, the confirm is lost\n", g, order);
		queue!order; UNKNOWN(order); ENDS(g); order = 0; phase = idle }
	:: d_step { phase == holds ->
		printf("gateway %d: order %d is published: 202\n", g, order);
		queue!order; answer_202(order); ENDS(g); phase = tells }
#ifdef M_RETURNED_IS_CONFIRMED
	:: d_step { phase == holds ->
		printf("gateway %d: order %d comes back unroutable: 202\n", g, order);
		answer_202(order); ENDS(g); phase = tells }
#endif
	:: d_step { phase == tells -> published(order); order = 0; phase = idle }
	:: d_step { phase == tells -> order = 0; phase = idle }
	od
}

/* The relay may lease at any time: that an entry is older than D makes no difference
 * to what it does. */
#ifdef M_ENDLESS_FAULTS
#define FAILED skip
#else
#define FAILED unclear--
#endif

#define LEASE(i) \
	:: d_step { phase == idle && OPEN && HAS(outbox, i) -> \
		printf("relay: leases order %d\n", i); \
		order = i; BEGINS(RELAY); phase = holds }

proctype relay() {
	byte order;
	mtype phase = idle;
	do
	EACH(LEASE)
	:: d_step { phase == holds ->
		printf("relay: publishes order %d\n", order);
		queue!order; ENDS(RELAY); phase = tells }
	:: d_step { phase == holds && unclear ->
		printf("relay: publishes order %d, the confirm is lost\n", order);
		FAILED; queue!order; ENDS(RELAY); order = 0; phase = idle }
	:: d_step { phase == holds && unclear ->
		printf("relay: order %d is not published\n", order);
		FAILED; ENDS(RELAY); order = 0; phase = idle }
	:: d_step { phase == tells -> published(order); order = 0; phase = idle }
	od
}

/* The relay's other half: what is held, not in the outbox and not decided, although a
 * fence that was sent later has come through, was lost by the queue. */
#define LOOKS_LOST MINUS(MINUS(held, outbox), rows | dead)

proctype rescue() {
	byte seen, number, e;
	do
	:: d_step { number == 0 && OPEN && LOOKS_LOST != 0 ->
		seen = LOOKS_LOST; e = h_epoch; draw_fence(number);
		printf("rescue: sends fence %d\n", number);
		queue!FENCE + number }
#if RETURNS || DEATHS
	:: d_step { number != 0 && OPEN && fenced < number && !queue??[eval(FENCE + number)] && !handled -> queue!FENCE + number }
#endif
	:: d_step { number != 0 && (!OPEN || h_epoch != e) -> number = 0; seen = 0; e = 0 }
	:: d_step { number != 0 && OPEN && h_epoch == e && fenced >= number ->
		printf("rescue: the queue has lost %d\n", seen & LOOKS_LOST);
		outbox = outbox | (seen & LOOKS_LOST); number = 0; seen = 0; e = 0 }
	od
}

/*
 * 3. Queues, and 4. Decide. The head of the queue is with the worker until it is
 * acked. A worker that dies is replaced by one that gets the head again.
 */
#ifdef M_DEDUPE_BY_MESSAGE
bool committed;             /* this very message, by this worker or the one before */
#define COMMITTED(yes) committed = yes
#else
#define COMMITTED(yes) skip
#endif

#ifdef M_FENCE_ANYWAY
#define ALL_DECIDED true
#else
#define ALL_DECIDED (MINUS(returned, rows | dead) == 0)
#endif

inline handle(message) {
	if
	:: message < FENCE ->
		decide(message);
		printf("worker: decides order %d: seq %d, left %d\n", message, seq, left)
	:: message >= FENCE && ALL_DECIDED ->
		record_fence(message - FENCE);
		printf("worker: records fence %d\n", message - FENCE)
	:: else -> printf("worker: skips fence %d\n", message - FENCE)
	fi
}

/* A worker acks a fence unrecorded that another one had before: here they leave the
 * queue when the worker dies. */
inline forget_fences() {
	entry = len(queue);
	for (k : 1 .. entry) {
		queue?message;
		if :: message < FENCE -> queue!message :: else fi
	}
	k = 0; entry = 0; message = 0
}

#ifdef M_ACK_WAITS_FOR_THE_GATE
#define MAY_ACK (OPEN && h_applied == seq)
#else
#define MAY_ACK true
#endif

proctype worker() {
	byte message;
	do
#ifdef M_ACK_BEFORE_COMMIT
	:: d_step { !handled && queue?[message] -> queue?message; handled = true }
	:: d_step { handled -> handle(message); message = 0; handled = false }
	:: d_step { handled && deaths -> deaths--; message = 0; handled = false;
		printf("worker: dies\n") }
#else
	:: d_step { !handled && queue?[message] ->
		queue?<message>; handle(message); message = 0; handled = true; COMMITTED(true) }
	:: d_step { handled && MAY_ACK -> queue?message; message = 0; handled = false; COMMITTED(false) }
	:: d_step { handled && deaths ->
		printf("worker: dies, what it has comes again\n");
		deaths--; handled = false; returned = 0
#ifndef M_REDELIVERED_FENCES
		; forget_fences()
#endif
		}
#endif
#if BURIALS
	:: d_step { !handled && burials && queue?[message] ->
		queue?<message>;
		if
		:: message < FENCE && !HAS(rows, message) && !HAS(dead, message) ->
			printf("worker: order %d becomes a dead letter\n", message);
			burials--; dead = WITH(dead, message); handled = true
#ifdef M_DEAD_LETTER_RELEASED
			; if :: OPEN && HAS(held, message) -> release(message); check_gate() :: else fi
#endif
		:: else
		fi;
		message = 0 }
#endif
#if RETURNS
	/* It comes again behind what was prefetched: at most, everything. */
	:: d_step { !handled && returns && len(queue) > 1 && queue?[message] ->
		queue?<message>;
		if
		:: message < FENCE ->
			printf("worker: gives order %d back\n", message);
			returns--; queue?message; queue!message; returned = WITH(returned, message)
		:: else
		fi;
		message = 0 }
#endif
	od
}

/*
 * 5. Apply. The log is followed by anybody, in any worker: the entry that is next, and
 * what is still held although it was decided at or before the entry that is applied.
 */
#define SETTLE(i) \
	:: d_step { OPEN && HAS(held, i) && HAS(rows, i) && decided_at[i] <= h_applied -> \
		printf("follower: settles order %d\n", i); \
		check_settles(); settle(i) }

proctype follower() {
	do
	:: d_step { OPEN && h_applied < seq ->
		entry = h_applied + 1; apply();
		printf("follower: applied %d, free %d, held %d\n", h_applied, h_free, SIZE(held)) }
#ifdef M_NO_SEQ
	/* A worker applies what it has just committed, whatever is applied by then. */
	:: d_step { OPEN && handled && seq > 0 -> entry = seq; apply() }
#endif
#ifndef M_NO_SETTLE
	EACH(SETTLE)
#endif
#ifdef M_EXPIRE_AT_THE_GATE
	:: d_step { OPEN && HAS(known, 0) && HAS(rows, 0) -> known = WITHOUT(known, 0); h_free++; check_gate() }
#endif
	od
}

/*
 * 6. Expiry, cancel, restock, and the operator's replaying and dropping: they are the
 * same transaction whoever asks for it.
 */
#define CANCEL(i) \
	:: d_step { cancels && PENDING(i) -> \
		printf("shop: order %d is cancelled\n", i); \
		cancels--; cancel(i) }
#define REPLAY(i) \
	:: d_step { replays && HAS(dead, i) -> \
		printf("operator: replays order %d\n", i); \
		replays--; dead = WITHOUT(dead, i); judge(i) } \
	:: d_step { replays && HAS(dead, i) -> \
		printf("operator: drops order %d\n", i); \
		replays--; dead = WITHOUT(dead, i); put(i); rejected = WITH(rejected, i); check_database() }

#if CANCELS || BURIALS || RESTOCKS
proctype shop() {
	do
#if CANCELS
	EACH(CANCEL)
#endif
#if BURIALS
	EACH(REPLAY)
#endif
#if RESTOCKS
	:: d_step { restocks -> printf("shop: restocks\n"); restocks--; restock() }
#ifdef M_RESTOCK_AT_THE_GATE_FIRST
	:: d_step { OPEN && restocks -> h_free++; check_gate() }
#endif
#endif
	od
}
#endif
