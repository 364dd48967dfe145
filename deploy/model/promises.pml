/*
 * The promises, as section 2 of the design has them. Each is a name that is never
 * true: the verifier prints it when its condition fails.
 */

bool P1_never_oversold,
	P2_accepted_is_durable,          /* a 202 is in the queue or in the database */
	P2_granted_is_honoured,          /* nothing that the gate granted is refused later */
	P2_refused_only_after_a_loss,    /* the weaker form, where the stronger cannot hold */
	P2_accepted_is_final,
	P2_the_gate_opens_again,
	P3_units_of_a_user,
	P4_sum_in_the_database,
	P4_sum_at_the_gate,
	P4_nothing_held_when_quiet,
	P4_free_when_quiet,
	P5_one_row_for_an_id,
	P5_one_unit_for_an_id,
	nothing_is_ever_settled;         /* no promise: see nothing-to-settle */

#define PROMISE(name, condition) if :: condition :: else -> assert(name) fi

/* After every step that writes at the gate. */
inline check_gate() {
	if
	:: OPEN -> PROMISE(P4_sum_at_the_gate, h_free + SIZE(held) == LEFT_AT(h_applied))
	:: else
	fi
}

/* After every transaction. */
inline check_database() {
	PROMISE(P1_never_oversold, SUM(LIVE_AT, NOW) <= SEEDED_AT(NOW));
	PROMISE(P4_sum_in_the_database, left == LEFT_AT(NOW))
#ifdef ONE_USER
	;PROMISE(P3_units_of_a_user, SUM(LIVE_AT, NOW) <= LIMIT)
#endif
}

/* Before the gate takes a unit. */
inline check_unit(order) {
#ifndef WITHOUT_P5
	PROMISE(P5_one_unit_for_an_id, !HAS(held, order) && !LIVE_AT(order, h_applied))
#else
	skip
#endif
}

/* A row is rejected(sold_out) or rejected(already_bought). */
inline check_rejected() {
#ifdef HONOURED
	assert(P2_granted_is_honoured)
#else
	PROMISE(P2_refused_only_after_a_loss, redis_lost)
#endif
}

/* Before a 202. */
inline check_durable(order) {
#if DROPS == 0
	PROMISE(P2_accepted_is_durable, HAS(rows, order) || HAS(dead, order) || queue??[eval(order)])
#else
	skip
#endif
}

/* Whether there ever is anything to settle. */
inline check_settles() {
#ifdef NOTHING_TO_SETTLE
	assert(nothing_is_ever_settled)
#else
	skip
#endif
}

/* When nothing can happen any more. That every run comes to this point is a run of
 * its own: there is no cycle. */
proctype quiet() {
	timeout ->
	d_step {
		PROMISE(P2_the_gate_opens_again, OPEN);
		PROMISE(P2_accepted_is_final, MINUS(accepted, rows | dead) == 0);
		PROMISE(P4_nothing_held_when_quiet, MINUS(held, dead) == 0);
		PROMISE(P4_free_when_quiet, h_free == left - SIZE(held))
	}
}

#ifdef LEADS_TO
#define ENDED(i) (HAS(rows, i) || HAS(dead, i))
ltl accepted_leads_to_final {
	[] (HAS(accepted, 0) -> <> ENDED(0)) && [] (HAS(accepted, 1) -> <> ENDED(1))
}
#endif
