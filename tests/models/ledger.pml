/*
 * The decision and the sealing of TCLearn, as the contract does them: every call is an entry of one totally ordered
 * ledger. A model for Spin (spinroot.com) of tclearn/protocols/tclearn/{proposing,voting,sealing,governing,duties}.py.
 * README.md beside this file lists what is checked. test_models.py checks it, and test_walks.py compares the model with
 * the contract.
 *
 * Abstracted:
 *   messages    A call arrives when it is ordered: late, or never. One that the contract refuses changes nothing, so
 *               the steps are the calls that it accepts. One that was made for an older state is refused, or does what
 *               it would do if it were made now.
 *   time        Any deadline may have passed at any moment; once all is `steady`, only those that wait for nobody.
 *   signatures  A call's sender is who it says.
 *   verdicts    A commitment shows nothing and binds, so the vote is drawn when it is revealed. A yes is a yes: neither
 *               the results behind it are modelled, nor that they must agree on G.
 *   the draw    Validators are all but the proposer (so it is up to 16 members). Generals come in any order.
 *   the rest    Releasing is part of proposing. At most two candidates are open at a time; one with LEASE (turns) or
 *               BRIEF (no turns, and votes are forgotten with the decision). Tries have no limit. There is one revert,
 *               whose approvals are one step. There are HEIGHTS blocks.
 *
 * The contract cannot know who is hostile, so here everybody may say anything that it accepts, at any moment, or
 * nothing. HOSTILE members are those who cannot get anything accepted alone, and who do no duties where progress is
 * promised.
 */
#ifndef N
#define N 4        /* members, seven at the most */
#endif
#ifndef HOSTILE
#define HOSTILE 1  /* so many of them, the first ones, are hostile */
#endif
#ifndef HEIGHTS
#define HEIGHTS 3
#endif
#ifndef LEFT
#define LEFT 1     /* so many honest members never crash */
#endif

#define F            ((N - 1) / 3)
#define quorum(m)    ((2 * (m) + 2) / 3)

#define ALL          ((1 << N) - 1)  /* sets of members are bits */
#define HONEST       (ALL & ~((1 << HOSTILE) - 1))
#define bit(m)       (1 << (m))
#define has(set, m)  (((set) >> (m)) & 1)
#define size(set)    (has(set, 0) + has(set, 1) + has(set, 2) + has(set, 3) + has(set, 4) + has(set, 5) + has(set, 6))

#define NOTHING   0  /* what is decided for a height: 1 is the candidate in slot 0, 2 the one in slot 1 */
#define REVERT    3
#define NONE      0  /* phases of a candidate */
#define TESTING   1
#define REVEALING 2
#define ACCEPTED  3
#define NOBODY    7

/* --- the contract's state ----------------------------------------------------------------------------------------- */

typedef Candidate { byte phase; byte proposer; byte commits; byte yes; byte no }

Candidate candidate[2];
byte tip;                 /* blocks in the chain */
byte chain[HEIGHTS + 1];  /* what each of them holds */
byte pending;             /* what is decided for the next one */
byte general = NOBODY;    /* who seals it */
byte failed;              /* generals that have failed to */
bool sealed;              /* the general has made the block */
byte endorsed;            /* who endorses it */
byte backing;             /* the same as an onlooker counts: for this general's block, and no other */
bool reverting;           /* an approved revert waits for the pending block */
bool asked;               /* the revert has been asked for */
byte turn;                /* whose turn it is to propose, with LEASE; NOBODY: anybody's */
byte passes;              /* turns in a row without a proposal */

/* --- the world outside -------------------------------------------------------------------------------------------- */

byte up = ALL;            /* who has not crashed */
bool steady;              /* faults are over, and deadlines long enough for who is up */

/* --- who may say what: the contract accepts this, and nothing else ------------------------------------------------ */

#define validators(c)   (ALL & ~bit(candidate[c].proposer))
#define committee       (pending == REVERT -> ALL : validators(pending - 1))
#define shown(c)        (candidate[c].yes | candidate[c].no)
#define open(c)         (candidate[c].phase == TESTING || candidate[c].phase == REVEALING)
#define exhausted       (size(failed) > F)

#ifdef LEASE
#define in_turn(c)      (c == 1 -> 0 : (turn == NOBODY -> ALL : bit(turn)))
#elif defined(BRIEF)
#define in_turn(c)      (c == 1 -> 0 : ALL)
#else
#define in_turn(c)      (open(1 - c) -> ALL & ~bit(candidate[1 - c].proposer) : ALL)
#endif
#define to_propose(c)   (pending == NOTHING && tip < HEIGHTS && candidate[c].phase == NONE -> in_turn(c) : 0)
#define to_commit(c)    (candidate[c].phase == TESTING -> validators(c) & ~candidate[c].commits : 0)
#define to_reveal(c)    (candidate[c].phase == REVEALING || (candidate[c].phase == ACCEPTED && !sealed) -> \
                         candidate[c].commits & ~shown(c) : 0)
#define to_seal         (pending != NOTHING && !sealed && !exhausted -> bit(general) : 0)
#define to_endorse      (sealed -> ALL & ~endorsed : 0)
#define to_finalize     (pending != NOTHING && exhausted -> ALL : 0)

/* Which deadlines may have passed. */
#define waits_for(set)  (steady && ((set) & up & HONEST) != 0)
#define due_testing(c)  (candidate[c].phase == TESTING && !waits_for(to_commit(c)))
#define due_reveal(c)   (candidate[c].phase == REVEALING && !waits_for(to_reveal(c)))
#define due_general     (pending != NOTHING && !exhausted && \
                         !waits_for((sealed -> committee & ~endorsed : bit(general))))
#ifdef LEASE
#define due_turn        (turn != NOBODY && pending == NOTHING && !open(0) && tip < HEIGHTS && !waits_for(bit(turn)))
#else
#define due_turn        false
#endif

/* --- and what it does --------------------------------------------------------------------------------------------- */

inline next_turn(after, count) {
#ifdef LEASE
  passes = count;
  turn = (passes < N -> (after + 1) % N : NOBODY)
#else
  skip
#endif
}

inline forget(c) {
  candidate[c].phase = NONE; candidate[c].proposer = 0;
  candidate[c].commits = 0; candidate[c].yes = 0; candidate[c].no = 0
}

inline forget_open(c) {
  if
  :: open(c) -> forget(c)
  :: else
  fi
}

inline close(c) { next_turn(candidate[c].proposer, 0); forget(c) }

inline draw_general() {
  if
  :: exhausted -> general = NOBODY
  :: !exhausted && has(committee & ~failed, 0) -> general = 0
  :: !exhausted && has(committee & ~failed, 1) -> general = 1
  :: !exhausted && has(committee & ~failed, 2) -> general = 2
  :: !exhausted && has(committee & ~failed, 3) -> general = 3
  :: !exhausted && has(committee & ~failed, 4) -> general = 4
  :: !exhausted && has(committee & ~failed, 5) -> general = 5
  :: !exhausted && has(committee & ~failed, 6) -> general = 6
  fi
}

inline unlock() { pending = NOTHING; general = NOBODY; failed = 0; sealed = false; endorsed = 0; backing = 0 }

inline lock(what) { unlock(); pending = what; draw_general() }

inline propose(c) { candidate[c].phase = TESTING; candidate[c].proposer = me }

inline commit(c) {
  candidate[c].commits = candidate[c].commits | bit(me);
  if
  :: candidate[c].commits == validators(c) -> candidate[c].phase = REVEALING
  :: else
  fi
}

inline end_testing(c) {
  if
  :: candidate[c].commits != 0 -> candidate[c].phase = REVEALING
  :: else -> close(c)
  fi
}

/* Progress is promised for candidates on which the honest agree; those of the honest are taken for such. */
#define votes_yes(c) (steady && has(HONEST, me) && has(HONEST, candidate[c].proposer))

inline reveal(c) {
  if
  :: candidate[c].yes = candidate[c].yes | bit(me)
  :: !votes_yes(c) -> candidate[c].no = candidate[c].no | bit(me)
  fi;
  if
  :: candidate[c].phase == REVEALING -> decide(c)
  :: else  /* kept for the record */
  fi
}

inline decide(c) {
  if
  :: size(candidate[c].yes) >= quorum(N - 1) -> accept(c)
  :: else ->
    if
    :: size(candidate[c].no) >= N - 1 - quorum(N - 1) + 1 || shown(c) == candidate[c].commits -> close(c)
    :: else
    fi
  fi
}

inline accept(c) {
  assert(3 * size(candidate[c].yes & validators(c)) >= 2 * (N - 1));  /* two thirds: distinct, drawn */
  assert((candidate[c].yes & HONEST) != 0);                           /* hostile members never alone */
  candidate[c].phase = ACCEPTED;
#ifdef BRIEF
  candidate[c].commits = 0; candidate[c].yes = 0; candidate[c].no = 0;
#endif
  forget_open(1 - c);
  lock(c + 1)
}

inline endorse() {
  endorsed = endorsed | bit(me); backing = backing | bit(me);
  if
  :: size(endorsed & committee) >= quorum(size(committee)) ->
    assert(3 * size(backing & committee) >= 2 * size(committee));  /* two thirds, for this very block */
    append()
  :: else
  fi
}

inline finalize() {
  assert(size(failed) == F + 1);  /* each of f + 1 generals had its chance */
  append()
}

inline switch_general() {
  failed = failed | bit(general); sealed = false; endorsed = 0; backing = 0;
  draw_general()
}

inline append() {
  tip++;
  chain[tip] = pending;
  if
  :: pending == REVERT -> next_turn((turn == NOBODY -> N - 1 : turn), 0)
  :: else -> assert(candidate[pending - 1].phase == ACCEPTED); close(pending - 1)  /* decided, and once */
  fi;
  unlock();
  if
  :: reverting && tip < HEIGHTS -> reverting = false; lock(REVERT)
  :: else
  fi
}

inline approve_revert() {
  asked = true;
  if
  :: pending != NOTHING -> reverting = true
  :: else -> forget_open(0); forget_open(1); lock(REVERT)
  fi
}

/* --- members ------------------------------------------------------------------------------------------------------ */

#ifdef WALK  /* say what was called, and the whole state: for test_walks.py */
mtype = { Begin, Propose, Commit, Reveal, Timeout, Seal, Endorse, Finalize, Revert }
#define CALLERS bit(0)  /* who says that a deadline has passed: fewer, so that more else happens */
#define SAY(call, c) ; printf("%e %d %d\n", call, me, c); tell()
inline tell_slot(c) {
  printf("slot %d %d %d", candidate[c].phase, candidate[c].proposer, candidate[c].commits);
  printf(" %d %d\n", candidate[c].yes, candidate[c].no)
}
inline tell() {
  printf("state %d %d %d %d %d %d %d\n", tip, pending, general, failed, sealed, endorsed, turn);
  tell_slot(0);
  tell_slot(1);
  printf("may %d %d %d %d %d", to_propose(0) | to_propose(1), to_commit(0), to_reveal(0), to_commit(1), to_reveal(1));
  printf(" %d %d %d\n", to_seal, to_endorse, to_finalize);
  printf("due %d %d %d %d\n", due_testing(0) || due_reveal(0), due_testing(1) || due_reveal(1), due_general, due_turn)
}
#else
#define CALLERS ALL
#define SAY(call, c)
#endif

#define mine(set) (has(up | ~HONEST, me) && has(set, me))
#define STEP(set, what, call, c) :: atomic { mine(set) -> what SAY(call, c) }
#define DUE(when, what, c)       :: atomic { mine(CALLERS) && when -> what SAY(Timeout, c) }
#define ABOUT(c) \
  STEP(to_commit(c), commit(c), Commit, c) \
  STEP(to_reveal(c), reveal(c), Reveal, c) \
  DUE(due_testing(c), end_testing(c), c) \
  DUE(due_reveal(c), close(c), c)

proctype Member(byte me) {
end:
  do
  STEP(to_propose(0), propose(0), Propose, 0)
  STEP(to_propose(1) & ~to_propose(0), propose(1), Propose, 1)
  ABOUT(0)
  ABOUT(1)
  STEP(to_seal, sealed = true, Seal, 0)
  STEP(to_endorse, endorse(), Endorse, 0)
  STEP(to_finalize, finalize(), Finalize, 0)
  DUE(due_general, switch_general(), 2)
  DUE(due_turn, next_turn(turn, passes + 1), 3)
  :: atomic { mine(ALL) && !asked && tip > 0 && tip < HEIGHTS && !steady -> approve_revert() SAY(Revert, 0) }
#ifdef PROGRESS
  :: !has(HONEST, me) -> skip  /* whatever it does, it may do nothing from now on */
#endif
  od
}

/* --- what must hold, besides the assertions ----------------------------------------------------------------------- */

#define decided(h) (tip >= h -> chain[h] : (tip + 1 == h -> pending : NOTHING))

/* Remembers what was decided for a height, and accuses when anything else is ever said of it. */
proctype Historian(byte h) {
  byte remembered;
end:
  atomic { decided(h) != NOTHING -> remembered = decided(h) };
end_content:
  decided(h) != remembered -> assert(false)  /* what is decided stays */
}

#ifdef PROGRESS
/* Members crash. FAULTS_END: at some time no more, and they come back (unless ONE_STAYS_DOWN), and all is steady. */
#define CRASH(m) :: atomic { has(up & HONEST, m) && size(up & HONEST) > LEFT -> up = up & ~bit(m) }

proctype Faults() {
  do
  CRASH(0) CRASH(1) CRASH(2) CRASH(3)
  :: break
  od;
#ifdef FAULTS_END
  atomic {
#ifndef ONE_STAYS_DOWN
    up = ALL;
#endif
    steady = true
  }
#endif
}

ltl chained  { [] ((pending != NOTHING && tip == 0) -> <> (tip > 0)) }
ltl complete { <> (tip == HEIGHTS) }
#endif

init {
  atomic {
    byte me = 0;
    do
    :: me < N -> run Member(me); me++
    :: else -> break
    od;
#ifdef PROGRESS
    run Faults()
#else
    if
    :: run Historian(1)
    :: HEIGHTS > 1 -> run Historian(2)
    :: HEIGHTS > 2 -> run Historian(3)
    fi
#endif
    SAY(Begin, 0)
  }
}
