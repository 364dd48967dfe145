/*
 * Redis: what a script does is one step. See internal/redis/lua.
 */

mtype = { none, refused, publish, accept };
mtype answer = none;

#ifdef ONE_USER
#define SHARE(n)   share = share + (n)
#define OVER_SHARE (share >= LIMIT)
#else
#define SHARE(n)   skip
#define OVER_SHARE false
#endif

#ifdef M_NO_MEMORY
#define REMEMBER(order) skip
#else
#define REMEMBER(order) known = WITH(known, order)
#endif

/* reserve.lua, of an open sale. */
inline reserve(order) {
	if
#ifndef M_ID_UNCHECKED
	:: HAS(known, order) -> answer = accept
	:: HAS(held, order) && HAS(outbox, order) -> answer = publish
	:: HAS(held, order) && !HAS(outbox, order) -> answer = accept
#endif
	:: else ->
		if
		:: OVER_SHARE || h_free < 1 -> answer = refused
		:: else ->
			check_unit(order);
			held = WITH(held, order); h_free--; SHARE(1);
#ifndef M_OUTBOX_OUTSIDE
			outbox = WITH(outbox, order);
#endif
			answer = publish
		fi
	fi;
	check_gate()
}

/* orders.lua: the order leaves held and outbox, units and share go back. */
inline release(order) {
	held = WITHOUT(held, order); outbox = WITHOUT(outbox, order); h_free++; SHARE(-1)
}

/* published.lua */
inline published(order) {
	if :: OPEN -> outbox = WITHOUT(outbox, order) :: else fi
}

/* apply.lua, of an open sale: the entry with the number in entry. */
inline apply() {
	h_applied = entry;
	for (k : 0 .. IDS - 1) {
		if
		:: HAS(rows, k) && decided_at[k] == entry ->
			if :: HAS(held, k) -> release(k) :: else fi;
			if :: !HAS(rejected, k) -> h_free--; SHARE(1) :: else fi;
			REMEMBER(k)
		:: else
		fi;
		if :: cancelled_at[k] == entry -> h_free++; SHARE(-1) :: else fi
	}
	k = 0;
	if :: restocked_at == entry -> h_free++ :: else fi;
	entry = 0;
	check_gate()
}

/* settle.lua, of an open sale. */
inline settle(order) {
	release(order); REMEMBER(order);
	check_gate()
}

/* open.lua: from the database as it was at seq s with the dead letters d. */
inline open_gate(e, s, d) {
	held = MINUS(held, SUM(ROW_AT, s));
	outbox = MINUS(held, d);
#ifndef M_NO_MEMORY
	known = SUM(ROW_AT, s);
#endif
#ifdef ONE_USER
	share = SUM(LIVE_AT, s) + SIZE(held);
#endif
	h_free = LEFT_AT(s) - SIZE(held);
	h_applied = s; h_epoch = e; h_life = life; mark = 0; m_epoch = 0;
	check_gate()
}
