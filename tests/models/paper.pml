/*
 * The switch of generals as the text of Lugan et al. 2019, §III.A, describes it, without a ledger that puts what is
 * said into one order: "Each validator broadcasts its opinion (acceptance or rejection) of this block to the other
 * validators. If at least two-thirds of the validators agree, the FBA process can stop [...]. If not, the role of
 * 'general' is switched to another randomly selected validator and the block creation process can restart. If the block
 * is accepted by the validators, the 'general' can append it to the blockchain and broadcasts this update". A model for
 * Spin (spinroot.com); README.md beside this file says what it shows.
 *
 * N validators, all honest, none ever down; one height; two generals in turn, validator 1 and then validator 2. Each
 * validator follows the general that it knows, until its own deadline. A general that has heard two thirds for the
 * earlier block goes on with that one, else it makes its own: another block, with another creator, time and hash.
 *
 * Abstracted: what was sent may be heard at any time or never; deadlines may pass at any time; of the opinions only
 * those in favour are there, and only generals count them.
 *
 * LOCK: at one height a validator votes for one block and no other. The paper does not say so.
 */
#ifndef N
#define N 4
#endif
#define QUORUM        ((2 * N + 2) / 3)
#define bit(v)        (1 << (v))
#define has(set, v)   (((set) >> (v)) & 1)
#define size(set)     (has(set, 1) + has(set, 2) + has(set, 3) + has(set, 4))

typedef Votes { byte on[3] }  /* who votes for block 1, for block 2 */

byte follows[N + 1];          /* the general that a validator knows */
bool made[3];                 /* the general has made its block and broadcast it */
Votes given;                  /* all votes */
Votes heard[3];               /* those that a general has heard */
byte chain[N + 1];            /* the block that a validator has in its chain; 0: none */
byte first;                   /* the one that was appended first, anywhere */

#define agreed(g, b)  (size(heard[g].on[b]) >= QUORUM)
#ifdef LOCK
#define may_vote(b)   (!has(given.on[1] | given.on[2], me))
#else
#define may_vote(b)   (!has(given.on[b], me))
#endif

inline append(b) {
  chain[me] = b;
  first = (first == 0 -> b : first);
  assert(b == first)          /* no two blocks at one height */
}

#define MAKE(g) \
  :: d_step { me == g && follows[me] == g && chain[me] == 0 && !made[g] && !(g == 2 && agreed(g, 1)) -> \
       made[g] = true; \
       printf("validator %d is general, and makes block %d\n", me, g) }

#define VOTE(b) \
  :: d_step { follows[me] == b && chain[me] == 0 && made[b] && may_vote(b) -> \
       given.on[b] = given.on[b] | bit(me); \
       if :: me == b -> heard[b].on[b] = heard[b].on[b] | bit(me) :: else fi; \
       printf("validator %d votes for block %d\n", me, b) }

#define HEAR(g, b, v) \
  :: d_step { me == g && chain[me] == 0 && has(given.on[b] & ~heard[g].on[b], v) -> \
       heard[g].on[b] = heard[g].on[b] | bit(v); \
       printf("validator %d hears that validator %d has voted for block %d\n", me, v, b) }

#define APPEND(g, b) \
  :: d_step { me == g && chain[me] == 0 && agreed(g, b) -> \
       printf("validator %d knows two thirds for block %d, and appends it to its chain\n", me, b); \
       append(b) }

#define LEARN(g) \
  :: d_step { chain[me] == 0 && chain[g] != 0 -> \
       printf("validator %d hears that general %d has appended block %d, and appends it\n", me, g, chain[g]); \
       append(chain[g]) }

#define WAIT_NO_LONGER \
  :: d_step { follows[me] < 2 && chain[me] == 0 -> \
       follows[me] = follows[me] + 1; \
       printf("validator %d has waited long enough, and follows general %d from now on\n", me, follows[me]) }

proctype Validator(byte me) {
end:
  do
  MAKE(1) MAKE(2)
  VOTE(1) VOTE(2)
  HEAR(1, 1, 1) HEAR(1, 1, 2) HEAR(1, 1, 3) HEAR(1, 1, 4)
  HEAR(2, 1, 1) HEAR(2, 1, 2) HEAR(2, 1, 3) HEAR(2, 1, 4)
  HEAR(2, 2, 1) HEAR(2, 2, 2) HEAR(2, 2, 3) HEAR(2, 2, 4)
  APPEND(1, 1) APPEND(2, 1) APPEND(2, 2)
  LEARN(1) LEARN(2)
  WAIT_NO_LONGER
  od
}

#ifdef EVENTUALLY
/* Looks when nothing is left to say, to hear or to wait for. */
proctype Onlooker() {
  timeout -> assert(first != 0)  /* some block has been appended */
}
#endif

init {
  atomic {
    byte v = 1;
    do
    :: v <= N -> follows[v] = 1; run Validator(v); v++
    :: else -> break
    od;
#ifdef EVENTUALLY
    run Onlooker()
#endif
  }
}
