/*
 * The protocol between gateways, Redis, the queue, the order workers and MySQL, as
 * section 3 of the design describes it. See README.md; run.sh sets the bounds.
 */

#ifndef IDS
#define IDS 2               /* orders: 2 or 3 */
#endif
#ifndef SEED
#define SEED 1              /* units */
#endif
#ifndef LIMIT
#define LIMIT 1             /* units of a user, with ONE_USER */
#endif
#ifndef GATEWAYS
#define GATEWAYS 2          /* 1 or 2 */
#endif
#ifndef RECONCILERS
#define RECONCILERS 2       /* 1 or 2 */
#endif
#ifndef REPEATED
#define REPEATED 1          /* the set of orders that the second gateway may get */
#endif
#ifndef QUEUE
#define QUEUE 8             /* more than ever are in it */
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef UNCLEAR
#define UNCLEAR 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef DROPS
#define DROPS 0
#endif
#ifndef RETURNS
#define RETURNS 0
#endif
#ifndef BURIALS
#define BURIALS 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef RESTOCKS
#define RESTOCKS 0
#endif

#include "state.pml"
#include "promises.pml"
#include "redis.pml"
#include "mysql.pml"
#include "orders.pml"
#include "reconcile.pml"
#include "faults.pml"

init {
	atomic {
		tries[0] = EVERY;
		tries[GATEWAYS - 1] = (GATEWAYS == 1 -> EVERY : REPEATED);
		run gateway(0);
#if GATEWAYS == 2
		run gateway(1);
#endif
#ifndef M_NO_RELAY
		run relay();
#endif
#if defined(WITH_RESCUE) && !defined(M_NO_RESCUE)
		run rescue();
#endif
		run worker();
		run follower();
#if CANCELS || BURIALS || RESTOCKS
		run shop();
#endif
		run reconciler(0);
#if RECONCILERS == 2
		run reconciler(1);
#endif
		run faults();
#ifndef LEADS_TO
		run quiet()
#endif
	}
}
