/*
 * State, per sale. There is one sale, every order is for one unit, and orders are
 * numbered from 0. Sets are bytes with a bit for each member.
 */

#define HAS(set, i)     (((set) >> (i)) & 1)
#define WITH(set, i)    ((set) | (1 << (i)))
#define WITHOUT(set, i) ((set) & (255 - (1 << (i))))
#define MINUS(set, sub) ((set) & (255 - (sub)))
#define SIZE(set)       (HAS(set, 0) + HAS(set, 1) + HAS(set, 2))
#define MAX(a, b)       ((a) > (b) -> (a) : (b))

/* f for each order: f is a macro, and begins with :: where a choice is meant. */
#if IDS == 3
#define EACH(f)    f(0) f(1) f(2)
#define SUM(f, s)  (f(0, s) + f(1, s) + f(2, s))
#else
#define EACH(f)    f(0) f(1)
#define SUM(f, s)  (f(0, s) + f(1, s))
#endif
#define EVERY ((1 << IDS) - 1)

/* Redis: the server's life, which its run id stands for, and the keys of the sale. */
byte life = 1;
byte h_life;          /* the life in which the sale was opened; 0: closed */
byte h_epoch;         /* 0: there is no head */
byte h_applied;
short h_free;
byte held, outbox;
byte known;           /* buyers, "o:": decided ids */
byte mark, m_epoch;   /* the opening that has begun last: 1 + its reconciler, its epoch */
#ifdef ONE_USER
byte share;           /* buyers, "u:": all orders are of one user */
#endif

#ifdef M_NO_INCARNATION
#define OPEN (h_life != 0)
#else
#define OPEN (h_life == life)
#endif

/* MySQL. stock_log is kept the other way round: which seq did what. */
byte epoch = 1, fenced, seq;
short left = SEED;    /* stock_left */
byte rows, rejected;  /* orders with a row, and those of them that were refused */
byte dead;            /* dead letters */
byte decided_at[IDS], cancelled_at[IDS], restocked_at;
#ifdef ONE_USER
byte taken;
#endif

/* The database as it was, or is, when the log had come to s. */
#define NOW 255
#define ROW_AT(i, s)  ((HAS(rows, i) && decided_at[i] <= (s)) << (i))
#define LIVE_AT(i, s) (ROW_AT(i, s) && !HAS(rejected, i) && !(cancelled_at[i] && cancelled_at[i] <= (s)))
#define SEEDED_AT(s)  (SEED + (restocked_at && restocked_at <= (s)))
#define LEFT_AT(s)    (SEEDED_AT(s) - SUM(LIVE_AT, s))

/* Of the worker: it has committed what it got; what it gave back and remembers. */
bool handled;
byte returned;

/* The sale's queue. A message is the number of its order, or a fence. */
#define FENCE 64
chan queue = [QUEUE] of { byte };

/* What is on its way to the queue: a bit for each gateway, and one for the relay. */
#define RELAY GATEWAYS
byte publishing;
/* What each reconciliation still waits for, of what was on its way when it began. */
byte waits_for[RECONCILERS];

/* What may still happen. All of it is gone when the run comes to rest. */
byte tries[GATEWAYS];       /* orders that a client may still send to the gateway */
byte deaths = DEATHS;       /* of the worker after a commit, and of reconcilers anywhere */
byte unclear = UNCLEAR;     /* publishes of the relay that are lost or not confirmed */
byte losses = LOSSES;       /* of Redis */
byte drops = DROPS;         /* confirmed messages that the broker loses */
byte returns = RETURNS;     /* deliveries that the worker gives back */
byte burials = BURIALS;     /* orders that become dead letters */
byte replays = BURIALS;     /* and are decided after all, or dropped */
byte cancels = CANCELS, restocks = RESTOCKS;
bool rest;

/* Known to nobody but the promises. */
byte accepted;              /* orders that were answered 202 */
bool redis_lost;
byte opened_epoch;          /* the highest in which the gate was open */

byte k, entry;              /* scratch: zero between steps */
