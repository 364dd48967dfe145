/*
 * MySQL: a transaction is one step. See internal/mysql.
 */

#ifdef ONE_USER
#define TAKEN(n)   taken = taken + (n)
#define OVER_LIMIT (taken >= LIMIT)
#else
#define TAKEN(n)   skip
#define OVER_LIMIT false
#endif

#ifdef M_UNCONDITIONAL_UPDATE
#define NO_STOCK false
#else
#define NO_STOCK (left < 1)
#endif

inline put(order) { seq++; rows = WITH(rows, order); decided_at[order] = seq }

/* Decide, of an order that has neither a row nor a dead letter. */
inline judge(order) {
	put(order);
	if
	:: OVER_LIMIT || NO_STOCK -> rejected = WITH(rejected, order); check_rejected()
	:: else -> left--; TAKEN(1)
	fi;
	check_database()
}

/* Decide: a row or a dead letter makes it a duplicate. */
inline decide(order) {
	if
	:: HAS(rows, order) ->
#ifdef M_DEDUPE_BY_MESSAGE
		PROMISE(P5_one_row_for_an_id, committed)
#else
		skip
#endif
	:: !HAS(rows, order) && HAS(dead, order)
	:: else -> judge(order)
	fi
}

/* DrawFence: what is drawn later is higher. Without that two may draw the same, and
 * another's fence, sent earlier, passes for one's own. */
#ifdef M_SAME_FENCE_NUMBERS
inline draw_fence(number) { number = fenced + 1 }
#else
byte drawn;
inline draw_fence(number) { drawn++; number = drawn }
#endif

inline record_fence(number) { fenced = MAX(fenced, number) }

#define PENDING(order) (HAS(rows, order) && !HAS(rejected, order) && !cancelled_at[order])

/* Cancel and Expire */
inline cancel(order) { seq++; cancelled_at[order] = seq; left++; TAKEN(-1); check_database() }

/* ChangeSale */
inline restock() { seq++; restocked_at = seq; left++; check_database() }
