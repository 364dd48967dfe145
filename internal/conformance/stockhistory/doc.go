// Package stockhistory records what concurrent callers of a gate were told, and judges
// whether one order of their calls, each at one moment between its call and its return,
// explains every answer: whether the history is linearizable (Herlihy and Wing, 1990).
//
// A call that ended without an answer may have taken effect at any later moment, or
// never: it returns when the history ends. The histories of different sales are judged
// apart, as one sale's calls say nothing about another's. The judge is porcupine.
//
// The tests of the adapters call it. It imports package flashgate alone. No program
// links it.
package stockhistory
