package challenge_test

import (
	"math/big"
	"regexp"
	"strconv"
	"testing"

	"flashgate/internal/challenge"
)

// outcomes runs draw once for every sequence of numbers that below can give, and
// hands each result on with its exact probability.
func outcomes(draw func(below func(int) int) (string, int), visit func(text string, answer int, p *big.Rat)) {
	var path, sizes []int // the numbers to give in this run, and out of how many
	for {
		depth := 0
		text, answer := draw(func(n int) int {
			if depth == len(path) {
				path, sizes = append(path, 0), append(sizes, n)
			}
			depth++
			return path[depth-1]
		})
		p := big.NewRat(1, 1)
		for _, n := range sizes {
			p.Mul(p, big.NewRat(1, int64(n)))
		}
		visit(text, answer, p)

		last := len(path) - 1
		for last >= 0 && path[last] == sizes[last]-1 {
			last--
		}
		if last < 0 {
			return
		}
		path, sizes = path[:last+1], sizes[:last+1]
		path[last]++
	}
}

// bestGuess is the answer that a blind guesser would send, and how often it is
// right.
func bestGuess(draw func(below func(int) int) (string, int)) (guess int, p *big.Rat, total *big.Rat) {
	weights := map[int]*big.Rat{}
	p, total = new(big.Rat), new(big.Rat)
	outcomes(draw, func(_ string, answer int, w *big.Rat) {
		if weights[answer] == nil {
			weights[answer] = new(big.Rat)
		}
		weights[answer].Add(weights[answer], w)
		total.Add(total, w)
	})
	for answer, w := range weights {
		if w.Cmp(p) > 0 {
			guess, p = answer, w
		}
	}
	return guess, p, total
}

func TestBlindGuessSeldomPasses(t *testing.T) {
	t.Parallel()
	limit := big.NewRat(1, 100)
	guess, p, total := bestGuess(challenge.DrawFormula)
	if total.Cmp(big.NewRat(1, 1)) != 0 {
		t.Fatalf("the outcomes' probabilities add up to %v, not to 1", total)
	}
	t.Logf("the best blind guess is %d, right with probability %s", guess, p.FloatString(5))
	if p.Cmp(limit) >= 0 {
		t.Errorf("the answer %d has probability %s, want less than %s", guess, p.FloatString(5), limit.FloatString(5))
	}

	// The same reckoning must find fault with a formula known to be weak.
	_, weak, _ := bestGuess(func(below func(int) int) (string, int) {
		return "", 1 + below(9) + (1+below(9))*(1+below(9))
	})
	if weak.Cmp(limit) < 0 {
		t.Errorf("operands of 1 to 9 pass with %s", weak.FloatString(5))
	}
}

var formulaText = regexp.MustCompile(`^(\d+)([+−×])(\d+)([+−×])(\d+)$`)

// evaluate reckons with the product first.
func evaluate(t *testing.T, text string) int {
	t.Helper()
	m := formulaText.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%q is not a formula of three operands", text)
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil || strconv.Itoa(n) != s {
			t.Fatalf("%q: operand %q", text, s)
		}
		return n
	}
	apply := func(a int, op string, b int) int {
		switch op {
		case "+":
			return a + b
		case "−":
			return a - b
		default:
			return a * b
		}
	}
	a, b, c := number(m[1]), number(m[3]), number(m[5])
	if m[4] == "×" && m[2] != "×" {
		return apply(a, m[2], apply(b, m[4], c))
	}
	return apply(apply(a, m[2], b), m[4], c)
}

func TestEveryFormula(t *testing.T) {
	t.Parallel()
	operators := map[rune]int{}
	lowest, highest, longest := 1<<30, 0, 0
	outcomes(challenge.DrawFormula, func(text string, answer int, _ *big.Rat) {
		if got := evaluate(t, text); got != answer {
			t.Fatalf("%s is %d, the answer says %d", text, got, answer)
		}
		lowest, highest, longest = min(lowest, answer), max(highest, answer), max(longest, len([]rune(text)))
		for _, r := range text + "=?" {
			operators[r]++
			if !challenge.HasGlyph(r) {
				t.Fatalf("%s: %q cannot be drawn", text, r)
			}
		}
	})
	if lowest != 1 || highest != 180 {
		t.Errorf("answers are %d to %d, documented are 1 to 180", lowest, highest)
	}
	if longest != len([]rune(widest))-2 {
		t.Errorf("the longest formula has %d characters, not as many as %s", longest, widest)
	}
	for _, r := range "+−×" {
		if operators[r] == 0 {
			t.Errorf("no formula has a %c", r)
		}
	}
}
