/*
 * What goes wrong beside what the processes do wrong themselves.
 */

#define NOTHING_THERE \
	h_life = 0; h_epoch = 0; h_applied = 0; h_free = 0; held = 0; outbox = 0; known = 0; mark = 0; m_epoch = 0

#ifdef ONE_USER
#define NO_SHARE share = 0
#else
#define NO_SHARE skip
#endif

#ifdef COMES_BACK_OLDER
/* What of an open sale has reached the disk. The loss brings it back as it was, with
 * the head's epoch and incarnation. */
bool on_disk;
byte d_life, d_epoch, d_applied, d_held, d_outbox, d_known, d_share;
short d_free;
#define NO_DISK \
	on_disk = false; d_life = 0; d_epoch = 0; d_applied = 0; d_held = 0; d_outbox = 0; d_known = 0; d_share = 0; d_free = 0
#else
#define NO_DISK skip
#endif

#define DROP(i) \
	:: d_step { drops && !handled && queue??[i] -> \
		printf("broker: loses a message of order %d\n", i); \
		drops--; queue??i }

proctype faults() {
	do
#ifdef COMES_BACK_EMPTY
	:: d_step { losses ->
		printf("redis: comes back empty\n");
		losses--; redis_lost = true; life++; NOTHING_THERE; NO_SHARE }
#endif
#ifdef FLUSHED
	:: d_step { losses ->
		printf("redis: is flushed\n");
		losses--; redis_lost = true; NOTHING_THERE; NO_SHARE }
#endif
#ifdef COMES_BACK_OLDER
	:: d_step { losses && !on_disk && OPEN ->
		printf("redis: what there is reaches the disk\n");
		on_disk = true; d_life = h_life; d_epoch = h_epoch; d_applied = h_applied; d_free = h_free;
		d_held = held; d_outbox = outbox; d_known = known
#ifdef ONE_USER
		; d_share = share
#endif
		}
	:: d_step { losses && on_disk ->
		printf("redis: comes back with what was on the disk\n");
		losses--; redis_lost = true; life++;
		h_life = d_life; h_epoch = d_epoch; h_applied = d_applied; h_free = d_free;
		held = d_held; outbox = d_outbox; known = d_known; mark = 0; m_epoch = 0;
#ifdef ONE_USER
		share = d_share;
#endif
		NO_DISK }
#endif
#if DROPS
	EACH(DROP)
#endif
	/* From some moment on nothing goes wrong and nobody comes. */
	:: d_step { !rest ->
		rest = true; deaths = 0; unclear = 0; losses = 0; drops = 0; returns = 0; burials = 0; replays = 0;
		cancels = 0; restocks = 0; tries[0] = 0; tries[GATEWAYS - 1] = 0; NO_DISK }
	od
}
