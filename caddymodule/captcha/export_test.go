package captcha

// ParseAnswer reads the answer out of a body.
func ParseAnswer(kind string, body []byte) (string, error) { return parseAnswer(kind, body) }
