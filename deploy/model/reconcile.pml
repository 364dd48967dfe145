/*
 * 7. Reconcile. See orderworker/worker/reconcile.go: the steps are its steps. Two of
 * them are at work at once.
 */

mtype = { looked, raises, drains, numbered, fenced_in, drained, snapshot, begun };

#ifdef LATE
#define ON_THE_WAY 0        /* D is not kept: gateways and relay publish when they like */
#elif defined(M_NO_WAIT)
#define ON_THE_WAY 0
#else
#define ON_THE_WAY publishing
#endif

byte opening;               /* reconcilers between the two steps of an opening */
#define OTHERS_OPENING MINUS(opening, 1 << r)

inline give_up() {
	life_seen = 0; e = 0; e_seen = 0; number = 0; s = 0; d = 0;
	waits_for[r] = 0; opening = WITHOUT(opening, r); phase = idle
}

inline drain() { waits_for[r] = ON_THE_WAY; phase = drains }

/* wasOpened: the head says so, or the audit, or what this worker saw itself. */
#define FINISHED_FOR_CERTAIN (epoch == 1 || e_seen >= epoch)

/* stillMine. What is not answered is no reason to give up, and nothing here is answered
 * unless a run says so. */
#ifdef ANSWERED
#define NOT_MINE (epoch != e || OPEN || life != life_seen)
#else
#define NOT_MINE false
#endif

#ifdef M_OPEN_OVER_AN_OPEN_GATE
#define ALREADY_OPEN false
#else
#define ALREADY_OPEN (h_life == life)
#endif
#ifdef M_OPEN_IN_ANY_INCARNATION
#define OTHER_LIFE false
#else
#define OTHER_LIFE (life != life_seen)
#endif
#ifdef M_NO_MARK
#define MARK_MOVED false
#else
#define MARK_MOVED (mark != r + 1)
#endif
#ifdef M_OPEN_IN_ANY_EPOCH
#define LATER_EPOCH false
#else
#define LATER_EPOCH (h_epoch >= e || m_epoch > e)
#endif

proctype reconciler(byte r) {
	byte life_seen, e_seen;     /* of the server and of the head, when the gate was seen closed */
	byte e;                     /* the epoch that is to be opened */
	byte number;                /* of the fence */
	byte s, d;                  /* the snapshot: seq, dead letters */
	mtype phase = idle;
	do
	/* Who lost the mark to another opening looks again when that one is over. */
	:: d_step { phase == idle && !OPEN && OTHERS_OPENING == 0 ->
		life_seen = life; e_seen = h_epoch; phase = looked;
		printf("reconciler %d: sees the gate closed in life %d\n", r, life) }

	/* The epoch was opened before: raise it. Or it was not, or nobody knows: take it up. */
	:: d_step { phase == looked && (FINISHED_FOR_CERTAIN || opened_epoch >= epoch) ->
		e = epoch; e_seen = 0; phase = raises }
	:: d_step { phase == looked && !FINISHED_FOR_CERTAIN ->
		e = epoch; e_seen = 0; drain();
		printf("reconciler %d: takes up epoch %d\n", r, e) }

	:: d_step { phase == raises ->
		if
#ifdef M_NO_COMPARE_AND_SET
		:: true ->
#else
		:: epoch != e -> give_up()
		:: else ->
#endif
			epoch++; e = e + 1;
			printf("reconciler %d: raises the epoch to %d\n", r, epoch);
			if
			:: e == 2 -> e = epoch; phase = drained    /* no gate was ever open */
			:: else -> e = epoch; drain()
			fi
		fi }

	/* Longer than D, and the fence. */
#ifdef M_NO_FENCE
	:: d_step { phase == drains && waits_for[r] == 0 -> phase = drained }
#else
#ifdef DRAWN_EARLIER
	:: d_step { phase == drains && waits_for[r] == 0 -> draw_fence(number); phase = numbered }
	:: d_step { phase == numbered ->
#else
	:: d_step { phase == drains && waits_for[r] == 0 ->
		draw_fence(number);
#endif
		if
		:: NOT_MINE -> give_up()
		:: else ->
			printf("reconciler %d: sends fence %d\n", r, number);
			queue!FENCE + number; phase = fenced_in
		fi }
#endif
	:: d_step { phase == fenced_in && fenced >= number -> number = 0; phase = drained }
#if RETURNS || DEATHS
	/* It was skipped: it is sent again. */
	:: d_step { phase == fenced_in && fenced < number && !queue??[eval(FENCE + number)] && !handled ->
		if
		:: NOT_MINE -> give_up()
		:: else -> queue!FENCE + number
		fi }
#endif

	:: d_step { phase == drained ->
		if
		:: epoch != e -> give_up()
		:: else ->
			s = seq; d = dead; phase = snapshot;
			printf("reconciler %d: has the snapshot of seq %d\n", r, s)
		fi }

	/* begin.lua */
	:: d_step { phase == snapshot ->
		if
		:: OTHER_LIFE || LATER_EPOCH || ALREADY_OPEN -> give_up()
		:: else ->
			mark = r + 1; m_epoch = e; opening = WITH(opening, r);
			if :: h_life == life -> h_life = 0 :: else fi;
			phase = begun
		fi }

	/* open.lua: held does not change between the two, so it is read here. */
	:: d_step { phase == begun ->
		if
		:: OTHER_LIFE || MARK_MOVED -> give_up()
		:: else ->
			open_gate(e, s, d); opened_epoch = MAX(opened_epoch, e);
			printf("reconciler %d: opens epoch %d: applied %d, free %d, held %d\n", r, e, h_applied, h_free, SIZE(held));
			give_up()
		fi }

	:: d_step { phase != idle && deaths ->
		printf("reconciler %d: dies\n", r);
		deaths--; give_up() }
	od
}
