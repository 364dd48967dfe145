package challenge

import "strconv"

// formula is three operands and two operators, one of them a product, and what
// they come to when the product is taken first. The answer is 1 to 180.
type formula struct {
	text   string // such as 48+7×6
	answer int
}

// drawFormula makes a formula; below(n) gives a whole number from 0 to n−1, each
// equally likely. All its chance comes from below, so that a test can walk through
// every outcome and weigh the answers.
//
// The factors are 2 to 9. What is added is 10 to 99, so that no answer is likely:
// with operands of 1 to 9 the best blind guess passes 3.3 % of the time. In a
// difference the result is drawn, and the operand follows from it: it is never
// negative, at most 99, and the visitor still has to work it out.
func drawFormula(below func(n int) int) formula {
	b, c := 2+below(8), 2+below(8)
	product := strconv.Itoa(b) + "×" + strconv.Itoa(c)
	switch below(3) {
	case 0:
		a := 10 + below(90)
		return formula{strconv.Itoa(a) + "+" + product, a + b*c}
	case 1:
		a := 10 + below(90)
		return formula{product + "+" + strconv.Itoa(a), a + b*c}
	default:
		result := 1 + below(99-b*c)
		return formula{strconv.Itoa(result+b*c) + "−" + product, result}
	}
}
